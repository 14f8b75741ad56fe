"""What the supervisor knows of one device: its child, the job at it, and how fast it was so far."""

from dataclasses import dataclass, field
from enum import Enum, auto

from engine.pool.job_queue import Job
from engine.pool.limits import Limits
from engine.pool.messages import Computed
from engine.pool.restart_policy import Standing


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

_PACE_KEPT = 0.9
"""A device's pace is that of its slowest job; each later job lets so much of it stand."""


@dataclass(slots=True)
class Slot:
    """One device. Times in seconds of the supervisor's clock.

    `deadline` is what `state` waits for at most; `pace` has seconds a multiply-add by kind of job.
    """

    device: str
    standing: Standing
    generation: int = 0
    state: State = State.BACKOFF
    paused: bool = False
    deadline: float = 0.0
    last_heard: float = 0.0
    job: Job | None = None
    began: float = 0.0
    computed: Computed | None = None
    leaves: tuple[int, ...] = ()
    pace: dict[str, float] = field(default_factory=dict)
    start_seconds: float | None = None
    reason: str = ""

    def take(self, job: Job, now: float, limits: Limits) -> None:
        """The child begins this job."""
        self.job = job
        self.state = State.BUSY
        self.began = now
        self.deadline = now + self._patience(job, limits)

    def rest(self) -> None:
        """The child has nothing to do."""
        self.state = State.IDLE
        self.job = None
        self.computed = None

    def awaits(self, state: State, ticket: int) -> bool:
        """Whether the child is in that state with that job."""
        return self.job is not None and self.state is state and self.job.ticket == ticket

    def learn(self, job: Job, seconds: float) -> None:
        """The device took so long for this job."""
        if getattr(job.work, "may_be_free", False):
            return  # how long it took says nothing about the next one
        kept = _PACE_KEPT * self.pace.get(job.kind, 0.0)
        self.pace[job.kind] = max(seconds / job.cost, kept)

    def outlasts_a_restart(self, now: float) -> bool:
        """Whether a new child would be ready before this one is done with its job."""
        assert self.job is not None
        pace = self.pace.get(self.job.kind)
        if pace is None or self.start_seconds is None:
            return True
        return self.began + pace * self.job.cost > now + self.start_seconds

    def _patience(self, job: Job, limits: Limits) -> float:
        pace = self.pace.get(job.kind)
        if pace is None:
            return limits.start + job.cost / limits.slowest_rate
        return limits.work_margin + limits.work_factor * pace * job.cost
