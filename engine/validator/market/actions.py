"""What the market wants done: it decides, others carry it out, and come back with what they found."""

from dataclasses import dataclass
from typing import Literal

from engine.monitor.events.validator import ValidatorEvent
from engine.poc_protocol.frames import Frame

What = Literal["claim", "leaves", "full"]


@dataclass(frozen=True, slots=True)
class Send:
    """Send this frame over the connection."""

    link: int
    frame: Frame


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close the connection."""

    link: int
    reason: str


@dataclass(frozen=True, slots=True)
class FetchData:
    """Ask the worker for the bytes of its result; then call `Market.fetched`."""

    link: int
    job_id: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Inspect:
    """Check a result, without keeping anybody waiting; then call `Market.found`.

    `claim`: what came with the hash, cheaply. `leaves`: those drawn, with `siblings`. `full`: compute
    the whole job again.
    """

    job_id: str
    what: What
    siblings: bytes = b""


@dataclass(frozen=True, slots=True)
class Closed:
    """A task has ended: nobody needs its inputs any more."""

    task_id: str


@dataclass(frozen=True, slots=True)
class Tell:
    """Report this to the operator."""

    event: ValidatorEvent


Action = Send | HangUp | FetchData | Inspect | Closed | Tell


@dataclass(frozen=True, slots=True)
class Finding:
    """What an inspection came to.

    `right` is None where it could not be carried out. `result_hash` and `data` (the SHA-256 and size
    of bytes that are kept) are those of a full computation.
    """

    right: bool | None
    reason: str = ""
    result_hash: str | None = None
    data: tuple[str, int] | None = None
