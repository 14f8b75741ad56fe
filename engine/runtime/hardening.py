"""What a process does to keep its secrets, before it reads any: no core dump, no other user's eyes.

    restrict_files()    # at the program's start: what it makes is for this user alone
    protect_memory()    # before a key is read

A core dump, or another process of the same user that attaches as a debugger does, would read the key
and the passphrase from this process's memory. Root still can, and swap may hold a copy
(docs/threats.md).

Source: prctl(2), PR_SET_DUMPABLE; setrlimit(2), RLIMIT_CORE; umask(2).
"""

import os
import sys
from contextlib import suppress

_PR_SET_DUMPABLE = 4  # <linux/prctl.h>


def restrict_files() -> None:
    """Files and directories made from now on are readable and writable by this user only."""
    os.umask(0o077)


def protect_memory() -> None:
    """No core dumps, and no debugger but root's, for this process. Children set their own."""
    import ctypes  # not at the top: --help needs neither
    import resource

    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
