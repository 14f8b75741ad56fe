"""What the supervisor knows of one device: its child, the jobs there, and how fast it was so far."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto

from engine.pool.check_share import CheckShare
from engine.pool.job_queue import URGENT, Job
from engine.pool.limits import Limits
from engine.pool.messages import Computed
from engine.pool.restart_policy import RestartPolicy


class State(Enum):
    """What a device's child is doing."""

    STARTING = auto()
    IDLE = auto()
    BUSY = auto()
    OPENING = auto()
    CHECKING = auto()
    BACKOFF = auto()
    OUT = auto()


ALIVE = frozenset({State.STARTING, State.IDLE, State.BUSY, State.OPENING, State.CHECKING})
TAKES_WORK = ALIVE - {State.STARTING}
MOST_UNCHECKED = 16
"""Answers of one child that wait for a check: it gets no further job then, unless that is urgent."""
_PACE_KEPT = 0.9
"""A device's pace is that of its slowest job; each later job lets so much of it stand."""
GATHER_SECONDS = 0.002
"""For so long a flood's answers gather in their pipes: each look costs more than one of them."""
MOST_TALK = 4096
TALK_RATE = 20.0
"""Messages of a child that answer no order: more than its pipe holds, and so many a second."""
_SHORTEST = 1e-6
"""Seconds that a job takes at least, whatever a child says: none would make its pace infinite."""


@dataclass(slots=True, eq=False)
class Assignment:
    """A job at a child. `computed` and `leaves`: its commitment, and what is to be opened of it.

    `overtook`: how many of its orders have overtaken others. `crossed`: its answer went to another card
    to be checked. `given`: when; `took`: the seconds until its answer came, which no child makes more.
    """

    job: Job
    given: float
    took: float = 0.0
    computed: Computed | None = None
    leaves: tuple[int, ...] = ()
    overtook: int = 0
    crossed: bool = False


@dataclass(slots=True, eq=False)
class Worker:
    """One device and its child. Times in seconds of the supervisor's clock.

    `jobs` has what the child was given, by ticket, in that order; `orders` what it has not answered
    yet, which it does in order. `deadline` is what `state` waits for at most, for the first order that
    is; `pace` has seconds a multiply-add by kind of job.
    """

    device: str
    restarts: RestartPolicy
    answers: CheckShare
    generation: int = 0
    state: State = State.BACKOFF
    paused: str = ""
    deadline: float = 0.0
    last_heard: float = 0.0
    jobs: dict[int, Assignment] = field(default_factory=dict)
    orders: deque[Assignment] = field(default_factory=deque)
    began: float = 0.0
    pace: dict[str, float] = field(default_factory=dict)
    start_seconds: float | None = None
    reason: str = ""
    memory: int = 0
    """Resident bytes of its child, as it said last."""
    base_memory: int | None = None
    """The same when it became ready."""
    talk: float = 0.0
    _talked_at: float = 0.0

    def take_jobs(self, *, wrong: bool = False) -> list[Job]:
        """Empty the child's queue: return the jobs that somebody waits for, in order.

        `wrong`: it gave a wrong result.
        """
        self.answers.lost(wrong=wrong)
        jobs = [at.job for at in self.jobs.values() if not at.job.unwanted]
        self.jobs.clear()
        self.orders.clear()
        return jobs

    def may_talk(self, now: float) -> bool:
        """Return whether it may have said one more thing that nobody asked for.

        Each costs this process time, which other devices wait for.
        """
        self.talk = max(0.0, self.talk - TALK_RATE * (now - self._talked_at)) + 1.0
        self._talked_at = now
        return self.talk <= MOST_TALK

    def beats(self, memory: int) -> None:
        """Take note of its child's resident bytes."""
        self.memory = memory
        if self.base_memory is None and self.state in TAKES_WORK:
            self.base_memory = memory

    @property
    def unchecked(self) -> int:
        """Answers that wait for their check."""
        return len(self.jobs) - self.answers.held - len(self.orders)

    def outlasts_a_restart(self, job: Job, now: float) -> bool:
        """Whether a new child would be ready before this one is done with the job at work."""
        pace = self.pace.get(job.kind)
        if pace is None or self.start_seconds is None:
            return True
        return self.began + pace * job.cost > now + self.start_seconds

    @property
    def is_able(self) -> bool:
        """Whether it is given work, now or as soon as it has done what it has."""
        return self.state in TAKES_WORK and not self.paused

    def may_take(self, job: Job) -> bool:
        """Whether it may be given this job, as far as there is room.

        One that took a child down is at a child alone, so that nothing else is blamed for it.
        """
        return not (
            not self.is_able
            or (self.unchecked >= MOST_UNCHECKED and job.priority < URGENT)
            or (self.orders and (job.failures or self.orders[0].job.failures))
        )

    def load(self, job: Job) -> tuple[int, Job | None]:
        """How many orders the child does before it, and the last of them.

        What is urgent overtakes the rest.
        """
        orders = self.orders
        if job.priority < URGENT:
            return len(orders), orders[-1].job if orders else None
        urgent = [at.job for at in orders if at.job.priority >= URGENT]
        return len(urgent), urgent[-1] if urgent else None

    def room(self, last: Job | None, limits: Limits) -> int:
        """How many orders its child may have: as many as are quickly done, told in one message.

        `last`: of those that it has.
        """
        if last is None or not self.is_quick(last, limits):
            return limits.queued
        many = int(limits.queued_seconds / (self.pace[last.kind] * last.cost))
        return max(limits.queued, limits.queued_quick, min(limits.queued_most, many))

    def is_quick(self, job: Job, limits: Limits) -> bool:
        """Whether it is known to take so little time that what surrounds it counts."""
        pace = self.pace.get(job.kind)
        return pace is not None and pace * job.cost < limits.quick

    def quick_seconds(self, limits: Limits) -> float:
        """Return how long its orders take, where they are several quick jobs; else nothing."""
        head = self.orders[0].job
        if len(self.orders) < limits.queued_quick or not self.is_quick(head, limits):
            return 0.0
        return len(self.orders) * self.pace[head.kind] * head.cost

    def may_compile(self, now: float, limits: Limits) -> bool:
        """Return whether it has a reason to compile kernels; a job gets that time, once for each."""
        if self.state is State.BUSY:
            latest = min(now, self.began + limits.start) + limits.start
            self.deadline = max(self.deadline, latest)
        return self.may_talk(now) and (self.state is State.STARTING or bool(self.orders))

    def keep_pace(self, job: Job, seconds: float) -> None:
        """Remember what a right answer took: the pace is that of the slowest job, for a while."""
        if getattr(job.work, "may_be_free", False):
            return  # its time says nothing of the next one
        kept = _PACE_KEPT * self.pace.get(job.kind, 0.0)
        self.pace[job.kind] = max(max(seconds, _SHORTEST) / job.cost, kept)


def may_gather(workers: Iterable[Worker], limits: Limits) -> bool:
    """Whether each child that is at work has quick jobs for twice as long as answers gather."""
    at_work = [worker for worker in workers if worker.orders]
    least = min((worker.quick_seconds(limits) for worker in at_work), default=0.0)
    return least >= 2 * GATHER_SECONDS
