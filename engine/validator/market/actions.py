"""What the market decides: actions that `service.py` performs, reporting back what comes of them."""

from dataclasses import dataclass
from typing import Literal

from engine.monitor.events.validator import ValidatorEvent
from engine.poc_protocol.frames import Frame
from engine.validator.store.jobs import JobRow

CheckKind = Literal["claim", "leaves", "full"]


@dataclass(frozen=True, slots=True)
class Send:
    """Send this frame over the connection."""

    connection: int
    frame: Frame


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close the connection."""

    connection: int
    reason: str


@dataclass(frozen=True, slots=True)
class FetchData:
    """Ask the worker for the bytes of its result; then call `Market.fetched`."""

    connection: int
    job_id: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Check a result in the background; then call `Market.checked`.

    `claim`: proof and data, cheaply. `leaves`: those drawn, with `siblings`. `full`: compute the whole
    job again.
    """

    job: JobRow
    kind: CheckKind
    siblings: bytes = b""


Action = Send | HangUp | FetchData | CheckResult | ValidatorEvent
"""An event is reported to the operator."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of a check.

    `right` is None where it could not be done. `result_hash` and `data` (SHA-256 and size of stored
    bytes) are those of a full computation.
    """

    right: bool | None
    reason: str = ""
    result_hash: str | None = None
    data: tuple[str, int] | None = None
