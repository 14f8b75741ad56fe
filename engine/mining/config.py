"""A run of the mining loop, from outside: what it is asked for, and what it did."""

from dataclasses import asdict, dataclass, field
from typing import Any

from engine.pool.limits import Limits
from engine.protection.sensors import NO_WISHES, Protection
from engine.tasks.defaults import DEFAULT_ITERATIONS, DEFAULT_OPENINGS, DEFAULT_SIZE
from engine.txmgr.ledger import Progress
from engine.txmgr.manager import SenderSettings


@dataclass(frozen=True, slots=True)
class MineSettings:
    """What to mine and how. `blocks`: end after so many, None for ever."""

    chain_id: str
    sending: SenderSettings
    devices: tuple[str, ...] = ("auto",)
    threads: int | None = None
    size: int = DEFAULT_SIZE
    iterations: int = DEFAULT_ITERATIONS
    openings: int = DEFAULT_OPENINGS
    tasks_per_block: int | None = 1
    """None: as many as the devices are seen to finish in the first half of a block."""
    blocks: int | None = None
    limits: Limits = field(default_factory=Limits)
    protection: Protection = NO_WISHES


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did. `results` are those of the blocks that this run saw."""

    blocks_seen: int
    blocks_missed: int
    blocks_skipped: int
    results: list[Progress]
    seconds: float

    @property
    def confirmed(self) -> int:
        """How many results are final."""
        return sum(result.state == "final" for result in self.results)

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary; proofs are left out, being in the blocks."""
        results = [asdict(result) | {"proof": None} for result in self.results]
        return asdict(self) | {"results": results, "confirmed": self.confirmed}
