"""Whether other users of this machine could change what lies at a path: code is loaded from there.

    if reason := exposure(directory):
        ...  # "/tmp/cache belongs to user 1001"

A directory on the way that others may write to lets them put another one in its place, as does a link
in such a directory. So every component counts, of the path as it is written and of the one that its
links lead to. Source: OpenSSH's StrictModes (auth2-pubkeyfile.c, `safe_path`) checks the same up to the
home directory.
"""

import os
import stat
from contextlib import suppress
from gettext import gettext as _
from pathlib import Path

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def exposure(path: Path) -> str:
    """Why another user than root could change what is at `path`; empty where none can.

    Components that do not exist yet do not count: what is made there is this user's own.
    """
    written = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would lose the links
    for way in dict.fromkeys((written, Path(os.path.realpath(written)))):
        for directory in (*reversed(way.parents), way):
            if reason := _of_one(directory, last=directory == way):
                return reason
    return ""


def make_private(directory: Path) -> None:
    """Make the directory, and those above it that are missing, for this user alone. Raises OSError."""
    for missing in reversed([one for one in (directory, *directory.parents) if not one.exists()]):
        with suppress(FileExistsError):
            missing.mkdir(mode=0o700)


def read_private(file: Path) -> bytes:
    """The bytes of a regular file of this user that nobody else may write. Raises OSError."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as opened:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or _is_exposed(found):
            raise PermissionError(_("{file} may be changed by others").format(file=file))
        return opened.read()


def _of_one(path: Path, *, last: bool) -> str:
    try:
        found = path.lstat()
    except OSError:
        return ""
    if found.st_uid not in (0, os.getuid()) or (last and found.st_uid != os.getuid()):
        return _("{path} belongs to user {uid}").format(path=path, uid=found.st_uid)
    if stat.S_ISLNK(found.st_mode):
        return ""  # its own mode says nothing; what it leads to is looked at as well
    if found.st_mode & _OTHERS_WRITE and (last or not found.st_mode & stat.S_ISVTX):
        return _("other users may write to {path}").format(path=path)
    return ""


def _is_exposed(found: os.stat_result) -> bool:
    return found.st_uid != os.getuid() or bool(found.st_mode & _OTHERS_WRITE)
