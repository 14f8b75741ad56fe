"""Input of a piece of work: bytes known by their SHA-256, carried along or lying in a file.

    data = Data.of_bytes(content)
    data = Data.of_file(path, sha256, size)
    data.read()  # checked against the hash: a file each time, bytes once in a process

Small input travels with the work. Large input stays in a file and only its name travels: a parent's
write into a pipe must never wait for a child that hangs.
"""

import hashlib
from dataclasses import dataclass, field, fields, is_dataclass, replace
from gettext import gettext as _
from pathlib import Path
from typing import Any, Self

from kernels.errors import InvalidTask


@dataclass(frozen=True, slots=True)
class Data:
    """`size` bytes with this SHA-256: `content`, or the file at `path`."""

    sha256: bytes
    size: int
    content: bytes | None = field(default=None, repr=False)
    path: str | None = None
    _is_checked: bool = field(default=False, init=False, repr=False, compare=False)
    """Whether this process saw that `content` has this hash: bytes do not change."""

    @classmethod
    def of_bytes(cls, content: bytes) -> Self:
        """These bytes, carried along."""
        made = cls(hashlib.sha256(content).digest(), len(content), content)
        object.__setattr__(made, "_is_checked", True)
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.sha256, self.size, self.content, self.path)

    @classmethod
    def of_file(cls, path: Path, sha256: bytes, size: int) -> Self:
        """A file, which is not opened before `read`."""
        return cls(sha256, size, path=str(path))

    def read(self) -> bytes:
        """The bytes. Raises InvalidTask where the file is gone or is another one."""
        content = self.content
        if content is not None and self._is_checked:
            return content
        if content is None:
            assert self.path is not None
            try:
                with Path(self.path).open("rb") as file:
                    content = file.read(self.size + 1)
            except OSError as error:
                raise self._unreadable(error) from error
        if len(content) != self.size or hashlib.sha256(content).digest() != self.sha256:
            raise InvalidTask(
                _("the input {hex} is not what its hash says").format(hex=self.sha256.hex())
            )
        object.__setattr__(self, "_is_checked", True)
        return content

    def read_part(self, first: int, size: int) -> bytes:
        """Some of the bytes, not compared with the hash: call `read` before you blame somebody.

        Raises InvalidTask where they are not there.
        """
        if self.content is not None:
            return self.content[first : first + size]
        assert self.path is not None
        try:
            with Path(self.path).open("rb") as file:
                file.seek(first)
                part = file.read(size)
        except OSError as error:
            raise self._unreadable(error) from error
        if len(part) != size:
            raise InvalidTask(
                _("the input {hex} is not what its hash says").format(hex=self.sha256.hex())
            )
        return part

    def _unreadable(self, error: OSError) -> InvalidTask:
        return InvalidTask(
            _("the input {hex} cannot be read: {error}").format(hex=self.sha256.hex(), error=error)
        )

    def carried(self) -> Self:
        """The same data with its bytes in it: for a child that does not see this file system."""
        return self if self.content is not None else type(self).of_bytes(self.read())


def carry_data[T](value: T) -> T:
    """The same value with the bytes of all its Data in it, however deep: work, or a message of it.

    For a child on another machine, which does not see this one's files. Raises InvalidTask where a
    file is gone or is another one.
    """
    if isinstance(value, Data):
        return value.carried()
    if not is_dataclass(value) or isinstance(value, type):
        return value
    parts: dict[str, Any] = {part.name: getattr(value, part.name) for part in fields(value)}
    carried = {name: carry_data(part) for name, part in parts.items()}
    changed = {name: part for name, part in carried.items() if part is not parts[name]}
    return replace(value, **changed) if changed else value
