"""Files that hold a secret are read only where no other user of the machine could read or put them.

    if reason := exposure_of(os.fstat(descriptor), path):
        ...  # "other users of this machine may read worker.json"

As ssh does with its private keys: a secret that others could read is not one. Root counts as nobody
else, since it reads everything anyway: a file of root's that only this user's group may read besides
is accepted, which is how Kubernetes mounts a secret for a container that is not root's.
"""

import errno
import os
import stat
from gettext import gettext as _
from pathlib import Path


def exposure_of(found: os.stat_result, path: Path) -> str:
    """Why this file's secret is not safe, in words; empty where it is. `found` is the open file's."""
    if not stat.S_ISREG(found.st_mode):
        return ""  # a pipe: who holds its other end had the secret before
    if found.st_uid not in (0, os.getuid()):
        return _("{path} belongs to another user of this machine (number {uid})").format(
            path=path, uid=found.st_uid
        )
    theirs = stat.S_IRWXO if _is_roots_for_us(found) else stat.S_IRWXG | stat.S_IRWXO
    if found.st_mode & theirs:
        return _("other users of this machine may read {path}").format(path=path)
    return ""


def advice_for(path: Path) -> str:
    """The command that makes it private."""
    return _("Make it yours alone: chmod 600 {path} (and chown, where it is not yours).").format(
        path=path
    )


def others_may_write(directory: Path) -> bool:
    """Whether other users may put files there: no, where it is mounted to be read only."""
    if not _mode_of(directory) & 0o022:
        return False
    return not os.statvfs(directory).f_flag & os.ST_RDONLY


def followed(path: Path) -> Path:
    """Return the file that a link in the key directory means, as Kubernetes mounts secrets.

    Raises OSError, ELOOP for a link that leads out of the directory, or through a part of it that
    others may write to.
    """
    if not path.is_symlink():
        return path
    directory, real = path.parent.resolve(), path.resolve(strict=True)
    between = [above for above in real.parents if above.is_relative_to(directory)]
    if not between or any(others_may_write(above) for above in between[:-1]):
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return real


def _mode_of(path: Path) -> int:
    """Return the permission bits of what a path leads to; 0 where it leads nowhere."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0


def _is_roots_for_us(found: os.stat_result) -> bool:
    ours = found.st_gid in (os.getgid(), *os.getgroups())
    return found.st_uid == 0 and os.getuid() != 0 and ours and not found.st_mode & stat.S_IWGRP
