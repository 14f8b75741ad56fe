"""A run of the mining loop, from outside: what it is asked for, what may change, and what it did."""

from dataclasses import asdict, dataclass, field
from typing import Any

from engine.mining.options import MiningOptions
from engine.tasks.defaults import DEFAULT_ITERATIONS, DEFAULT_OPENINGS, DEFAULT_SIZE
from engine.txmgr.ledger_reader import Progress
from kernels.task import Task


@dataclass(frozen=True, slots=True)
class MiningConfig:
    """What to mine. `blocks`: end after so many, None for ever.

    `tasks_per_block` None: as many as the devices are seen to finish in the first half of a block.
    """

    size: int = DEFAULT_SIZE
    iterations: int = DEFAULT_ITERATIONS
    openings: int = DEFAULT_OPENINGS
    tasks_per_block: int | None = int(MiningOptions.tasks_per_block)
    blocks: int | None = None

    @property
    def typical_task(self) -> Task:
        """A task as large as every block's. Raises InvalidTask for a size out of range."""
        return Task(bytes(31) + b"\1", self.size, self.iterations)


@dataclass(frozen=True, slots=True)
class MiningChange:
    """What holds from the next block on, in a running loop."""

    tasks_per_block: int | None
    openings: int


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run did.

    `results`: the newest of the blocks that this run saw; `counts`: of all of them, by state; `fees`:
    what the final ones have cost, in units; `received`: what others sent to the account meanwhile.
    """

    blocks_seen: int
    blocks_missed: int
    blocks_skipped: int
    results: list[Progress]
    seconds: float
    counts: dict[str, int] = field(default_factory=dict)
    fees: int = 0
    received: int = 0

    @property
    def confirmed(self) -> int:
        """How many results are final."""
        return self.counts.get("final", 0)

    @property
    def unfinished(self) -> int:
        """How many results are neither final nor given up."""
        done = self.confirmed + self.counts.get("given_up", 0)
        return sum(self.counts.values()) - done

    def to_json(self) -> dict[str, Any]:
        """Return a plain dictionary; proofs are left out, being in the blocks."""
        results = [asdict(result) | {"proof": None} for result in self.results]
        return asdict(self) | {"results": results, "confirmed": self.confirmed}
