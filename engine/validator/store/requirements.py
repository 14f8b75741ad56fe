"""What the market needs to know of a payload; the kinds of jobs are plug-ins."""

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Protocol, Self


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a payload requires of a worker; stored with the task, so a payload is parsed once.

    `cost` in multiply-adds. `leaves`: of its result, 0 where it has none. `own_seed`: each worker
    gets a seed of its own. `returns_data`: the result's bytes go to the customer. `matrix_size` and
    `iterations` are 0 where the kind has none. `blobs`: SHA-256 and size of what a worker fetches.
    `model`: SHA-256 of the model that a worker does well to hold already.
    """

    challenge_type: str
    cost: int
    leaves: int
    own_seed: bool = False
    returns_data: bool = False
    matrix_size: int = 0
    iterations: int = 0
    blobs: tuple[tuple[str, int], ...] = ()
    model: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return a plain dictionary."""
        return asdict(self)

    @classmethod
    @lru_cache(maxsize=1024)  # many tasks are alike
    def from_text(cls, text: str) -> Self:
        """Return what `to_json` was called on, from its JSON."""
        value = json.loads(text)
        blobs = tuple((sha256, size) for sha256, size in value["blobs"])
        return cls(**value | {"blobs": blobs})


class Kinds(Protocol):
    """The kinds of jobs, as the market needs them."""

    def requirements(self, payload: dict[str, Any]) -> Requirements:
        """Return what a payload requires. Raises JobRefused or BlobError."""

    def for_worker(self, payload: dict[str, Any], job_id: str) -> dict[str, Any]:
        """Return the customer's payload as one worker gets it: with its own seed, if it has one."""
