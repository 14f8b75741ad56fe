"""A log file that is put aside when it has grown: `engine.log`, `engine.log.1` ... `engine.log.5`.

    with LogFile(path) as file:
        Output(file, service=True).line("...")

It is opened for appending, each line is one write, and nobody else can read it. logrotate may move it
away, too: the next line then begins a new one.
"""

import contextlib
import io
import os
from gettext import gettext as _
from pathlib import Path

from engine.runtime.errors import BadInput, reason_of

MOST_BYTES = 10_000_000
KEPT = 5


class LogFile(io.TextIOBase):
    """A text stream, whose descriptor is the newest file's."""

    def __init__(self, path: Path | str, most: int = MOST_BYTES, kept: int = KEPT) -> None:
        """Open it, or raise BadInput."""
        self._path, self._most, self._kept = Path(path), most, kept
        self._file: io.TextIOWrapper | None = None
        try:
            self._file = _open(self._path)
        except OSError as error:
            raise BadInput(
                _("the log file {path} cannot be written: {reason}").format(
                    path=path, reason=reason_of(error)
                ),
                advice=_("Name a file in a directory of yours: --log-file PATH"),
            ) from None

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """UTF-8, whatever the locale says."""
        return "utf-8"

    def fileno(self) -> int:
        """Return the descriptor to write the next line to: where a new file begins, that one's."""
        file = self._file
        if file is None:
            self._file = file = _open(self._path)
        here = os.fstat(file.fileno())
        try:
            moved = self._path.stat().st_ino != here.st_ino
        except FileNotFoundError:
            moved = True
        if not moved and here.st_size < self._most:
            return file.fileno()
        self._file = None
        file.close()
        if not moved:
            self._put_aside()
        self._file = _open(self._path)
        return self._file.fileno()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        super().close()

    def _put_aside(self) -> None:
        for number in range(self._kept, 0, -1):
            before = self._path.with_name(f"{self._path.name}.{number - 1}")
            with contextlib.suppress(FileNotFoundError):
                (before if number > 1 else self._path).replace(
                    self._path.with_name(f"{self._path.name}.{number}")
                )


def _open(path: Path) -> io.TextIOWrapper:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    return os.fdopen(descriptor, "a", encoding="utf-8")
