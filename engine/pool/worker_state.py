"""What the supervisor knows of one device: its child, the jobs there, and how fast it was so far."""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto

from engine.pool.job_queue import Job
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


@dataclass(slots=True, eq=False)
class Assignment:
    """A job at a child. `computed` and `leaves`: its commitment, and what is to be opened of it.

    `overtook`: how many of its orders have overtaken others.
    """

    job: Job
    computed: Computed | None = None
    leaves: tuple[int, ...] = ()
    overtook: int = 0


@dataclass(slots=True, eq=False)
class Worker:
    """One device and its child. Times in seconds of the supervisor's clock.

    `jobs` has what the child was given, by ticket, in that order; `orders` what it has not answered
    yet, which it does in order. `deadline` is what `state` waits for at most, for the first order that
    is; `pace` has seconds a multiply-add by kind of job.
    """

    device: str
    restarts: RestartPolicy
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

    def take_jobs(self) -> list[Job]:
        """Empty the child's queue: return the jobs that somebody waits for, in order."""
        jobs = [at.job for at in self.jobs.values() if not at.job.unwanted]
        self.jobs.clear()
        self.orders.clear()
        return jobs

    def outlasts_a_restart(self, job: Job, now: float) -> bool:
        """Whether a new child would be ready before this one is done with the job at work."""
        pace = self.pace.get(job.kind)
        if pace is None or self.start_seconds is None:
            return True
        return self.began + pace * job.cost > now + self.start_seconds
