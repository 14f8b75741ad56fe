"""What this process is allowed of the machine: memory and processor time of its control groups.

A container's limit does not show in what the kernel says of the whole machine, and who goes over it is
killed. So whoever asks for free memory or cores takes the least of what is there and what is allowed.

Sources: Linux, Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst; proc(5), cgroup,
mountinfo; setrlimit(2), RLIMIT_AS.
"""

import math
import os
import resource
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

_SELF = Path("/proc/self")
_NO_LIMIT = 1 << 60
"""Version 1 writes "no limit" as the largest number of pages that it can count."""


def memory_limit() -> int | None:
    """The most bytes that the control groups allow this process and its siblings; None: no limit."""
    limits = [limit for limit, _used in _memory()]
    return min(limits, default=None)


def memory_left() -> int | None:
    """The bytes that this process may still take of its allowance; None where there is no limit."""
    left = [max(0, limit - used) for limit, used in _memory()]
    address_space = resource.getrlimit(resource.RLIMIT_AS)[0]
    if address_space != resource.RLIM_INFINITY:
        pages = _words(_SELF / "statm")
        used = int(pages[0]) * os.sysconf("SC_PAGE_SIZE") if pages else 0
        left.append(max(0, address_space - used))
    return min(left, default=None)


def core_quota() -> int | None:
    """How many cores' time the control groups allow, rounded up; None where there is no quota."""
    quotas = []
    for version, group in _groups("cpu"):
        if version == 2:
            words = _words(group / "cpu.max")
        else:
            words = [*_words(group / "cpu.cfs_quota_us"), *_words(group / "cpu.cfs_period_us")]
        quota, period = words if len(words) == 2 else ("max", "max")
        if quota.isdigit() and period.isdigit() and int(period) > 0:
            quotas.append(max(1, math.ceil(int(quota) / int(period))))
    return min(quotas, default=None)


def _memory() -> Iterator[tuple[int, int]]:
    """Limit and use of each control group with a limit; what can be dropped is not in use."""
    for version, group in _groups("memory"):
        if version == 2:
            limits, used = ["memory.max", "memory.high"], "memory.current"
            cached = "inactive_file"
        else:
            limits, used = ["memory.limit_in_bytes"], "memory.usage_in_bytes"
            cached = "total_inactive_file"
        numbers = [int(word) for name in limits for word in _words(group / name) if word.isdigit()]
        taken = "".join(_words(group / used))
        if not numbers or min(numbers) >= _NO_LIMIT or not taken.isdigit():
            continue
        words = _words(group / "memory.stat")
        dropped = dict(zip(words[::2], words[1::2], strict=False)).get(cached, "0")
        yield min(numbers), max(0, int(taken) - int(dropped))


def _groups(controller: str) -> tuple[tuple[int, Path], ...]:
    """Version and directory of each control group that limits this process: its own and those above."""
    return _groups_of(controller, tuple(_lines(_SELF / "cgroup")))


@lru_cache(maxsize=8)
def _groups_of(controller: str, membership: tuple[str, ...]) -> tuple[tuple[int, Path], ...]:
    """What `_groups` gives. Kept, as reading all mounts takes longer than many a task."""
    own, found = _own_groups(membership), []
    for line in _lines(_SELF / "mountinfo"):
        before, _dash, after = line.partition(" - ")
        kind, _source, options = [*after.split(), "", "", ""][:3]
        fields = before.split()
        if kind == "cgroup2" and "" in own:
            version, path = 2, own[""]
        elif kind == "cgroup" and controller in options.split(",") and controller in own:
            version, path = 1, own[controller]
        else:
            continue
        root, mount = fields[3], Path(fields[4])
        # In a container the mount shows the group itself, and its path may be that of the host.
        inner = path.removeprefix(root.rstrip("/")) if path.startswith(root) else "/"
        group = mount / inner.lstrip("/")
        found.append((version, group))
        while group != mount and mount in group.parents:
            group = group.parent
            found.append((version, group))
    return tuple(found)


def _own_groups(membership: Iterable[str]) -> dict[str, str]:
    """Path of this process's control group by controller; "" for that of version 2."""
    found: dict[str, str] = {}
    for line in membership:
        _number, _colon, rest = line.partition(":")
        names, _colon, path = rest.partition(":")
        found |= dict.fromkeys(names.split(","), path)
    return found


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _words(file: Path) -> list[str]:
    return " ".join(_lines(file)).split()
