"""Compare what a task needs with the memory available, before anything is allocated."""

import os
from gettext import gettext as _
from pathlib import Path

from kernels.allowance import memory_left, memory_limit
from kernels.errors import TaskTooLarge
from kernels.task import Task

MEMINFO = Path("/proc/meminfo")
NOT_WORTH_A_LOOK = 2**19
"""Bytes up to which nobody asks the system: that takes half a millisecond, as long as a small task."""


def available_memory() -> int:
    """Return the bytes that are free without swapping and that this process may take."""
    left = memory_left()
    return _free_memory() if left is None else min(left, _free_memory())


def total_memory() -> int:
    """Return the bytes of the machine, or of this process's allowance where that is less."""
    limit, total = memory_limit(), os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return total if limit is None else min(limit, total)


def _free_memory() -> int:
    """All memory if the system does not say."""
    try:
        for line in MEMINFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def require_memory(task: Task, needed: int) -> None:
    """Raise TaskTooLarge where a task needs more bytes than there are."""
    if needed > NOT_WORTH_A_LOOK:
        require_bytes(_("a task of size {n}").format(n=task.n), needed)


def require_bytes(what: str, needed: int) -> None:
    """Raise TaskTooLarge where `what` needs more bytes than there are."""
    if needed <= NOT_WORTH_A_LOOK:
        return
    available = available_memory()
    if needed > available:
        raise TaskTooLarge(
            _("{what} needs {needed} of memory, and {free} are available").format(
                what=what, needed=_gib(needed), free=_gib(available)
            )
        )


def _gib(count: int) -> str:
    return f"{count / 2**20:.0f} MiB" if count < 2**30 else f"{count / 2**30:.2f} GiB"
