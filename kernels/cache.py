"""The directory of compiled kernels and tuned configurations, kept between starts.

What lies there is executed. So it is used only where no other user of this machine can write, and
`cache_problem` says why it is not; then kernels are compiled at each start, and nothing is kept.
"""

import os
import tempfile
from gettext import gettext as _
from pathlib import Path

from kernels.private_path import exposure, make_private, read_private

NOWHERE = Path(os.devnull) / "cpc-engine"
"""Stands for the directory where there is none: nothing can be made there."""


def cache_directory() -> Path:
    """`CPC_CACHE`, or `cpc-engine` in the user's directory for caches; NOWHERE without a home."""
    given, base = os.environ.get("CPC_CACHE"), os.environ.get("XDG_CACHE_HOME")
    try:
        if given:
            return Path(given).expanduser()
        return Path(base or "~/.cache").expanduser() / "cpc-engine"
    except RuntimeError:
        return NOWHERE


def cache_problem() -> str:
    """Why nothing is kept, in a sentence; empty where it is."""
    directory = cache_directory()
    if directory == NOWHERE:
        reason = _("the home directory is not known (HOME, CPC_CACHE)")
    else:
        reason = exposure(directory)
    if not reason:
        return ""
    return _("compiled kernels are not kept: {reason}").format(reason=reason)


def is_kept(file: Path) -> bool:
    """Whether a file is below the cache directory, and to be trusted."""
    return file.exists() and not exposure(file.parent)


def read_kept(file: Path) -> bytes | None:
    """The bytes of a file below the cache directory; None where there is none to trust."""
    try:
        return None if exposure(file.parent) else read_private(file)
    except OSError:
        return None


def keep(file: Path, content: bytes) -> bool:
    """Write a file below the cache directory, whole or not at all; False where that may not be."""
    try:
        if exposure(file.parent):
            return False
        make_private(file.parent)
        if exposure(file.parent):  # somebody was quicker, in a directory such as /tmp
            return False
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=".new-")
        with os.fdopen(handle, "wb") as out:
            out.write(content)
        Path(name).replace(file)
    except OSError:  # a full or read-only disk costs seconds at the next start
        return False
    return True
