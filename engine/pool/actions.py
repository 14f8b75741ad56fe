"""What the supervisor wants done: values that `pool.py` carries out, and tests compare."""

from dataclasses import dataclass

from engine.pool.job_queue import Job
from engine.pool.messages import Computed, Done, Order


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start a child for the device."""

    device: str
    generation: int


@dataclass(frozen=True, slots=True)
class Kill:
    """End that child now, whatever it does."""

    device: str
    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """That child ended by itself, or somebody else ended it; there is nothing to be done."""

    device: str
    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class Tell:
    """Put this on the child's queue."""

    device: str
    generation: int
    message: Order


@dataclass(frozen=True, slots=True)
class Batch:
    """All that a child is told in one turn of the pool, in order: what crosses in one message."""

    device: str
    generation: int
    orders: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class Opening:
    """A computed task, and the siblings of the leaves that the parent drew."""

    computed: Computed
    leaves: tuple[int, ...]
    siblings: bytes


@dataclass(frozen=True, slots=True)
class Foresee:
    """These leaves, and those that the proof opens, will be checked when the child has opened them."""

    job: Job
    computed: Computed
    leaves: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """Check what the child answered, then call `checked`."""

    device: str
    generation: int
    job: Job
    answer: Opening | Done


@dataclass(frozen=True, slots=True)
class Accepted:
    """The job is done and its result was found right."""

    job: Job
    result: Computed | Done
    device: str


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The job is not done and will not be; `reason` is one sentence, `code` a word for it.

    Codes: `quarantined`, `invalid`, `too_large`, `expired`, `cancelled`; the pool adds `dropped` and
    `stopped`.
    """

    job: Job
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class OutOfService:
    """The device gets no more work until its cool-down ends."""

    device: str
    reason: str


Action = Spawn | Kill | Ended | Tell | Foresee | Check | Accepted | GivenUp | OutOfService
