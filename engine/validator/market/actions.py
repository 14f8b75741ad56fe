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
class Passed:
    """A check that a result passed, as its receipt says it: see docs/receipts.md.

    `count`: rows that were drawn from the seed. `leaves`: those that were opened.
    """

    what: str
    seed: str = ""
    count: int = 0
    leaves: tuple[int, ...] = ()


LayerRoot = tuple[int, int, int, str]
"""Node, first column, columns, and the root over them, of a layer that a result commits to."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of a check.

    `right` is None where it could not be done. `result_hash` and `data` (SHA-256 and size of stored
    bytes) are those of a full computation. `passed`, `layers` and `form` (rows, columns, bytes of
    an entry) are for the receipt.
    """

    right: bool | None
    reason: str = ""
    result_hash: str | None = None
    data: tuple[str, int] | None = None
    passed: Passed | None = None
    layers: tuple[LayerRoot, ...] = ()
    form: tuple[int, int, int] | None = None
