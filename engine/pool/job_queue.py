"""Jobs, and the line in which they wait for a device.

    backlog.put(Job(new_ticket(), task, openings=16, name=task_id, owner="blocks"))
    job = backlog.first("cuda:0")

Higher priority first, then the order in which they came. A job that took too many children down is
quarantined: neither it, nor another one of that name, is given out again.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Set
from concurrent.futures import Future
from dataclasses import dataclass, field

from engine.pool.messages import Computed, Done
from kernels.task import Task
from kernels.work import DeviceWork

_NAMES_KEPT = 1024
"""Names in quarantine that are remembered, the newest."""

URGENT = 2
"""Priority from which on a job overtakes others also at its child."""
BLOCK_PRIORITY = 3
"""Of a block's tasks: before all that validators ask for."""

_tickets = itertools.count(1)


def new_ticket() -> int:
    """A number that no other job of this process has. From any thread."""
    return next(_tickets)


@dataclass(slots=True, eq=False)
class Job:
    """One piece of work, to be done by whichever device comes first.

    `name` is what it is known by outside (a task's id, "" for none), `owner` says whose it is;
    `expires` in seconds of the supervisor's clock. `future` gets the result.
    """

    ticket: int
    work: Task | DeviceWork
    openings: int = 0
    name: str = ""
    owner: str = ""
    priority: int = 0
    expires: float | None = None
    future: Future[Computed | Done] | None = None
    cost: int = field(init=False)
    """Multiply-adds."""
    kind: str = field(init=False)
    """Jobs of one kind are done at about the same speed."""
    failures: list[str] = field(default_factory=list)
    """Why children went down with it, one sentence each."""
    failed_on: set[str] = field(default_factory=set)
    """Devices whose children these were."""
    refused_by: dict[str, str] = field(default_factory=dict)
    """Devices that it does not fit on, and what they said."""
    unwanted: str = ""
    """Why nobody waits for it any more: what comes of it is thrown away."""

    def __post_init__(self) -> None:
        self.cost, self.kind = cost_and_kind(self.work)


def cost_and_kind(work: Task | DeviceWork) -> tuple[int, str]:
    """Return the multiply-adds of a piece of work, and what its speed is known by."""
    cost = work.multiply_adds if isinstance(work, Task) else work.cost
    return cost, type(work).__name__


class Backlog:
    """The jobs that no child has, in the order in which they are given out. Not thread-safe."""

    def __init__(self) -> None:
        self._lines: dict[int, deque[Job]] = {}
        """By priority, the highest first; none is empty."""
        self.quarantined: dict[str, str] = {}
        """Names of jobs that took children down, and why."""

    def __iter__(self) -> Iterator[Job]:
        return itertools.chain.from_iterable(self._lines.values())

    def __bool__(self) -> bool:
        return bool(self._lines)

    def put(self, job: Job) -> None:
        """Behind all of its priority."""
        self._line(job.priority).append(job)

    def put_back(self, job: Job) -> None:
        """Before all of its priority: it was given out once."""
        self._line(job.priority).appendleft(job)

    def first(self, device: str, able: Set[str] = frozenset()) -> Job | None:
        """Return the first that this device has not refused, and leave it there.

        What it failed at waits for one of those that are `able` to work, and have not.
        """
        for line in self._lines.values():
            for job in line:
                fails = device in job.failed_on and able - job.failed_on - job.refused_by.keys()
                if device not in job.refused_by and not fails:
                    return job
        return None

    def remove(self, job: Job) -> None:
        """Take it out: it is one of the first."""
        line = self._lines[job.priority]
        line.remove(job)
        if not line:
            del self._lines[job.priority]

    def drop(self, wanted: Callable[[Job], bool]) -> list[Job]:
        """Take out what is `wanted`."""
        dropped = [job for job in self if wanted(job)]
        if dropped:
            gone = {job.ticket for job in dropped}
            kept = {
                priority: deque(job for job in line if job.ticket not in gone)
                for priority, line in self._lines.items()
            }
            self._lines = {priority: line for priority, line in kept.items() if line}
        return dropped

    def quarantine(self, job: Job, reason: str) -> None:
        """Remember the job's name."""
        if job.name:
            self.quarantined[job.name] = reason
            if len(self.quarantined) > _NAMES_KEPT:
                self.quarantined.pop(next(iter(self.quarantined)))

    def _line(self, priority: int) -> deque[Job]:
        if priority not in self._lines:
            self._lines[priority] = deque()
            self._lines = dict(sorted(self._lines.items(), reverse=True))
        return self._lines[priority]
