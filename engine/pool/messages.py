"""What parent and child say to each other.

Parent to child, pickled, several orders at a time: `Work` or `Run`, `Open`; None to end. Child to
parent, as plain data that `codec.py` checks field by field: `Ready`, `Beat`, `Began`, `Computed`,
`Opened`, `Done`, `Failed`.

    Work --> Computed, Open --> Opened    a block's task, with leaves that the parent draws itself
    Run --> Done                          any other work, which knows how its outcome is checked

A child does its orders in the order in which they came, but for openings and what is urgent, which
overtake the rest: it says so (`Began`) before it begins one of these.
"""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta, Struct

from kernels.task import Task
from kernels.work import DeviceWork, Outcome

SHORTAGE = "Shortage"
"""Kind of a failure that may pass by itself: too few processes, threads, descriptors."""


@dataclass(frozen=True, slots=True)
class Setup:
    """How a child sets its device up. `threads`: of the CPU's kernels, None for every core.

    `warm`: everything that a task of this size needs is made before the child takes work.
    """

    threads: int | None = None
    warm: Task | None = None


class Work(Struct, frozen=True):
    """Compute `task` and open `openings` leaves in the proof. `ticket` names the job."""

    ticket: int
    task: Task
    openings: int


class Run(Struct, frozen=True):
    """Run `work` and give its outcome; before all that is not `urgent`."""

    ticket: int
    work: DeviceWork
    urgent: bool = False


class Open(Struct, frozen=True):
    """Open these leaves of the job just computed: drawn after the child committed to its root."""

    ticket: int
    leaves: tuple[int, ...]


Number = Annotated[int, Meta(ge=0, lt=2**53)]
Seconds = Annotated[float, Meta(ge=0.0, le=1e9)]
Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]
_PRINTABLE = r"\A[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]*\Z"
Name = Annotated[str, Meta(max_length=300, pattern=_PRINTABLE)]
Text = Annotated[str, Meta(max_length=2000, pattern=_PRINTABLE)]
"""Both on one line and without control characters: they end on a terminal."""


class Plain(Struct, frozen=True, tag=True, forbid_unknown_fields=True):
    """A message that crosses from a process without the key to the one that may hold it.

    The types of its fields are what the receiver accepts; nothing is checked where it is made.
    """


class Ready(Plain, frozen=True):
    """The child passed its known-answer test and takes work. `seconds` since it was started."""

    device: Name
    seconds: Seconds


class Compiling(Plain, frozen=True):
    """So many of so many kernels are compiled: before `Ready`, or for an order, where any must be."""

    done: Number
    total: Number


class Beat(Plain, frozen=True):
    """The child's process is alive, though its device may hang. `memory`: its resident bytes."""

    memory: Number = 0


class Began(Plain, frozen=True):
    """The child begins this order, though it was told others before that it has not done."""

    ticket: Number


class Computed(Plain, frozen=True):
    """The child's commitment: 32-byte root, proof in hex, seconds on the device."""

    ticket: Number
    root: Digest
    proof: str
    device: Name
    seconds: Seconds


class Opened(Plain, frozen=True):
    """The siblings of the leaves that the parent drew, in the proof's order."""

    ticket: Number
    siblings: bytes


class Done(Plain, frozen=True):
    """What a `Run` came to, and the seconds that it took."""

    ticket: Number
    outcome: Outcome
    device: Name
    seconds: Seconds


class Failed(Plain, frozen=True):
    """The child could not do it. `kind` is the error's class, `detail` its sentence.

    `ticket` is None when the child failed before it took any work.
    """

    ticket: Number | None
    kind: Name
    detail: Text


FromChild = Ready | Compiling | Beat | Began | Computed | Opened | Done | Failed
Order = Work | Run | Open
