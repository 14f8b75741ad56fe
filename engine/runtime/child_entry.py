"""What a child process does first: it asks Linux to end it with its parent.

    context.Process(target=ChildEntry(child_main), args=arguments)

A child of multiprocessing's "spawn" reads its target, then its arguments, from one pickle, and imports
what they name (numba, the kernels) as it reads. `ChildEntry` is read as a call of `die_with_parent`
before anything else. This file imports nothing heavy, so a child is protected some 50 ms after it was
started, not after half a second.

What remains are the milliseconds in which Python itself starts. A child that runs then finds its
parent gone as soon as it asks. One that is stopped (SIGSTOP) then, and whose parent is killed before it
continues, stays stopped, unless somebody else ends it: a shell with job control (the kernel sends
SIGHUP and SIGCONT to stopped members of an orphaned process group), systemd (it ends the whole control
group) and a container do; `setsid` and `nohup` do not. Only a call between fork and exec could close
this, and multiprocessing has no place for one that is safe beside threads.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


class ChildEntry:
    """A target for `multiprocessing.Process` that dies with its parent, then runs `function`."""

    def __init__(self, function: Callable[..., None]) -> None:
        self._function = function

    def __call__(self, *arguments: Any) -> None:
        """Run the function."""
        self._function(*arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        # pickle reads the third member, which names the function, after it called the first
        return _begin, (os.getpid(),), {"_function": self._function}


def _begin(parent: int) -> ChildEntry:
    die_with_parent(parent)
    return ChildEntry.__new__(ChildEntry)


@contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Have processes that this thread starts meanwhile never see Ctrl-C, which is the parent's.

    A terminal sends it to the whole group. A child that imports half a second's worth of code would
    print a traceback, if the signal came before its own `signal.signal`.
    """
    resource_tracker.ensure_running()  # its start unblocks the signal, so not with the first process
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def die_with_parent(parent: int) -> None:
    """Have Linux kill this process when the thread that started it ends; leave Ctrl-C to the parent.

    `parent`: process id of who started it. Elsewhere than on Linux a child has to watch it by itself.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)  # it was gone before we asked
