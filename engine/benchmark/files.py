"""Files that `bench` writes: refused before the work if they could not be written after it."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from gettext import gettext as _
from pathlib import Path

from engine.runtime.errors import BadInput


def check_writable(path: Path) -> None:
    """Raise BadInput if this file could not be written. Write nothing."""
    with writing(path):
        target = path if path.exists() else path.parent
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not path.parent.is_dir() or not os.access(target, os.W_OK):
            raise PermissionError(0, _("no such directory, or no permission"))


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise BadInput for an OSError of the body, which writes this file."""
    try:
        yield
    except OSError as error:
        message = _("{path} cannot be written: {strerror}")
        raise BadInput(message.format(path=path, strerror=error.strerror)) from error
