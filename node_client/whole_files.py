"""Files with a secret, written whole or not at all: to a new file, which then gets the name."""

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path

from node_client.secret import Secret


def write_new(path: Path, document: Secret[bytes]) -> None:
    """Write a file that is not there yet. Raises FileExistsError."""
    with _temporary(path, document) as temporary:
        try:
            os.link(temporary, path, follow_symlinks=False)
        except FileExistsError:
            raise
        except OSError:
            # A file system without hard links: take the name first, then move the file onto it.
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            temporary.replace(path)
    _sync_directory(path.parent)


def replace_whole(path: Path, document: Secret[bytes]) -> None:
    """Put this content in an existing file's place."""
    with _temporary(path, document) as temporary:
        temporary.replace(path)
    _sync_directory(path.parent)


@contextlib.contextmanager
def _temporary(path: Path, document: Secret[bytes]) -> Iterator[Path]:
    """A synced file in the same directory that holds `document`; gone afterwards."""
    temporary = path.parent / f".{path.name}.{secrets.token_hex(8)}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(document.reveal())
            file.flush()
            os.fsync(file.fileno())
        if temporary.read_bytes() != document.reveal():
            raise OSError(errno.EIO, _("the file system returned other bytes than were written"))
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def blank(descriptor: int) -> None:
    """Overwrite an unlinked file's bytes, as well as can be."""
    with contextlib.suppress(OSError):
        os.pwrite(descriptor, bytes(os.fstat(descriptor).st_size), 0)
        os.fsync(descriptor)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
