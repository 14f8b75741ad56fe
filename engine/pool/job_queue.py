"""Jobs, and the line in which they wait for a device.

    backlog.put(Job(new_ticket(), task, openings=16, name=task_id, owner="blocks"))
    job = backlog.take("cuda:0")

Higher priority first, then the order in which they came. A job that took too many children down is
quarantined: neither it, nor another one of that name, is given out again.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from kernels.task import Task
from kernels.work import DeviceWork

_NAMES_KEPT = 1024
"""Names in quarantine that are remembered, the newest."""

_tickets = itertools.count(1)


def new_ticket() -> int:
    """A number that no other job of this process has. From any thread."""
    return next(_tickets)


@dataclass(slots=True)
class Job:
    """One piece of work, to be done by whichever device comes first.

    `name` is what it is known by outside (a task's id, "" for none), `owner` says whose it is;
    `expires` in seconds of the supervisor's clock.
    """

    ticket: int
    work: Task | DeviceWork
    openings: int = 0
    name: str = ""
    owner: str = ""
    priority: int = 0
    expires: float | None = None
    failures: list[str] = field(default_factory=list)
    """Why children went down with it, one sentence each."""
    refused_by: dict[str, str] = field(default_factory=dict)
    """Devices that it does not fit on, and what they said."""
    cancelled: bool = False
    """Nobody waits for it any more: what comes of it is thrown away."""

    @property
    def cost(self) -> int:
        """Multiply-adds."""
        return self.work.multiply_adds if isinstance(self.work, Task) else self.work.cost

    @property
    def kind(self) -> str:
        """Jobs of one kind are done at about the same speed."""
        return type(self.work).__name__


class Backlog:
    """The jobs that no child has. Not thread-safe."""

    def __init__(self) -> None:
        self._jobs: list[Job] = []
        self._quarantine: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        return iter(list(self._jobs))

    def put(self, job: Job) -> None:
        """Behind all of its priority."""
        self._insert(job, behind=lambda other: other.priority >= job.priority)

    def put_back(self, job: Job) -> None:
        """Before all of its priority: it was given out once."""
        self._insert(job, behind=lambda other: other.priority > job.priority)

    def take(self, device: str) -> Job | None:
        """The first that this device has not refused."""
        for job in self._jobs:
            if device not in job.refused_by:
                self._jobs.remove(job)
                return job
        return None

    def drop(self, wanted: Callable[[Job], bool]) -> list[Job]:
        """Take out what is `wanted`."""
        dropped = [job for job in self._jobs if wanted(job)]
        self._jobs = [job for job in self._jobs if not wanted(job)]
        return dropped

    def quarantine(self, job: Job, reason: str) -> None:
        """Remember the job's name."""
        if job.name:
            self._quarantine[job.name] = reason
            if len(self._quarantine) > _NAMES_KEPT:
                self._quarantine.pop(next(iter(self._quarantine)))

    def why_quarantined(self, job: Job) -> str | None:
        """The reason, where a job of this name is in quarantine."""
        return self._quarantine.get(job.name) if job.name else None

    def _insert(self, job: Job, behind: Callable[[Job], bool]) -> None:
        place = sum(behind(other) for other in self._jobs)
        self._jobs.insert(place, job)
