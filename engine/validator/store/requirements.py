"""What the market has to know of a job, and where it learns it: the kinds of jobs are plug-ins."""

from dataclasses import asdict, dataclass
from typing import Any, Protocol, Self


@dataclass(frozen=True, slots=True)
class Facts:
    """What a payload comes to; kept with the task, so that a payload is parsed once.

    `cost` in multiply-adds. `leaves`: of its result, 0 where it has none. `own_seed`: each worker
    gets a job of its own. `returns_data`: the result's bytes go to the customer. `matrix_size` and
    `iterations` are 0 where the kind has none. `blobs`: SHA-256 and size of what a worker fetches.
    """

    challenge_type: str
    cost: int
    leaves: int
    own_seed: bool = False
    returns_data: bool = False
    matrix_size: int = 0
    iterations: int = 0
    blobs: tuple[tuple[str, int], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """What `to_json` gave."""
        blobs = tuple((sha256, size) for sha256, size in value["blobs"])
        return cls(**value | {"blobs": blobs})


class Kinds(Protocol):
    """The kinds of jobs, as far as the market needs them."""

    def facts(self, payload: dict[str, Any]) -> Facts:
        """What a payload comes to. Raises JobRefused or BlobError."""

    def for_worker(self, payload: dict[str, Any], job_id: str) -> dict[str, Any]:
        """The customer's payload as one worker gets it: with a seed of its own, where it has one."""
