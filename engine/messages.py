"""What parent and child say to each other, and what becomes of a job.

Parent to child: `Work`, `Open`, None to end. Child to parent: `Ready`, `Beat`, `Computed`,
`Opened`, `Failed`. Every outcome is a value.
"""

from dataclasses import dataclass

from kernels.task import Task


@dataclass(frozen=True, slots=True)
class Work:
    """Compute `task` and open `openings` leaves in the proof. `ticket` names the job."""

    ticket: int
    task: Task
    openings: int


@dataclass(frozen=True, slots=True)
class Open:
    """Open these leaves of the job just computed: drawn after the child committed to its root."""

    ticket: int
    leaves: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Ready:
    """The child passed its known-answer test and takes work. `seconds` since it was started."""

    device: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Beat:
    """The child's process is alive, though its device may hang."""


@dataclass(frozen=True, slots=True)
class Computed:
    """The child's commitment: 32-byte root, proof in hex, seconds on the device."""

    ticket: int
    root: bytes
    proof: str
    device: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Opened:
    """The siblings of the leaves that the parent drew, in the proof's order."""

    ticket: int
    siblings: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """The child could not do it. `kind` is the error's class, `detail` its sentence.

    `ticket` is None when the child failed before it took any work.
    """

    ticket: int | None
    kind: str
    detail: str


FromChild = Ready | Beat | Computed | Opened | Failed
ToChild = Work | Open | None
