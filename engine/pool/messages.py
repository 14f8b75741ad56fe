"""What parent and child say to each other, and what becomes of a job.

Parent to child: `Work` or `Run`, `Open`, None to end. Child to parent: `Ready`, `Beat`, `Computed`,
`Opened`, `Done`, `Failed`. Every outcome is a value.

    Work --> Computed, Open --> Opened    a block's task, with leaves that the parent draws itself
    Run --> Done                          any other work, which knows how its outcome is checked
"""

from dataclasses import dataclass

from kernels.task import Task
from kernels.work import DeviceWork, Outcome


@dataclass(frozen=True, slots=True)
class Setup:
    """How a child sets its device up. `threads`: of the CPU's kernels, None for every core.

    `warm`: everything that a task of this size needs is made before the child takes work.
    """

    threads: int | None = None
    warm: Task | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """Compute `task` and open `openings` leaves in the proof. `ticket` names the job."""

    ticket: int
    task: Task
    openings: int


@dataclass(frozen=True, slots=True)
class Run:
    """Run `work` and give its outcome."""

    ticket: int
    work: DeviceWork


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
    """The child's process is alive, though its device may hang. `memory`: its resident bytes."""

    memory: int = 0


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
class Done:
    """What a `Run` came to, and the seconds that it took."""

    ticket: int
    outcome: Outcome
    device: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Failed:
    """The child could not do it. `kind` is the error's class, `detail` its sentence.

    `ticket` is None when the child failed before it took any work.
    """

    ticket: int | None
    kind: str
    detail: str


FromChild = Ready | Beat | Computed | Opened | Done | Failed
ToChild = Work | Run | Open | None
