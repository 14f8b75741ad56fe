"""Whether this program's files on the disk are those that run: an update may come meanwhile.

A child that is started after an update would be of another version than its parent, and they would not
understand one another.
"""

import hashlib
from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path

_HOME = Path(__file__).resolve().parents[2]
_PACKAGES = ("engine", "kernels", "node_client")


class ProgramFiles:
    """The program's source files as they were when this was made."""

    def __init__(self, home: Path = _HOME) -> None:
        self._home = home
        self._looks = self._look()
        self._content = self._read()

    def updated(self) -> bool:
        """Whether any of them is another one now. Cheap as long as none was touched."""
        looks = self._look()
        if looks == self._looks:
            return False
        if self._read() != self._content:
            return True
        self._looks = looks  # written again, and the same
        return False

    def _look(self) -> list[tuple[str, int, int]]:
        seen = []
        for file in self._files():
            try:
                found = file.stat()
            except OSError:  # gone meanwhile
                continue
            seen.append((str(file), found.st_size, found.st_mtime_ns))
        return seen

    def _read(self) -> bytes:
        digest = hashlib.sha256()
        for file in self._files():
            try:
                content = file.read_bytes()
            except OSError:
                continue
            digest.update(hashlib.sha256(str(file).encode()).digest())
            digest.update(hashlib.sha256(content).digest())
        return digest.digest()

    def _files(self) -> Iterator[Path]:
        for package in _PACKAGES:
            yield from sorted((self._home / package).rglob("*.py"))


def updated_words() -> tuple[str, str]:
    """What happened, and what to do."""
    return (
        _("the program was updated on disk while it runs"),
        _("Start it again; until then it goes on as it is, and replaces no worker process."),
    )
