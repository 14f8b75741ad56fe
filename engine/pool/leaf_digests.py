"""Has the digests of leaves computed, so that the pool's thread has only to compare.

    checkers = LeafCheckers(count=2)
    if not checkers.digest(task, leaves, found, now): ...   # none is ready: compute it here
    checkers.read(ready, now)       # calls found(digests), or found(None): compute it here

In numpy a check of 20 leaves takes 5 ms at n = 1024 and 42 ms at 4096, a tenth of that in a checker.
The first is started with the first check that is worth it. They give digests, no verdict.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Annotated

from msgspec import Meta

from engine.pool.checker_main import Answer, serve_checks
from engine.pool.checkers import Checkers
from engine.pool.job_queue import new_ticket
from engine.pool.task_queue import Pieces
from engine.pool.worker_main import Reports
from engine.runtime.trace import span
from kernels.check import opened_digests
from kernels.devices import usable_cores
from kernels.digest import DIGEST_BYTES
from kernels.operations import Operations
from kernels.task import LEAF_BYTES, Task

WORTH_A_PROCESS = 2**22
"""Multiply-adds of a check from which on it is worth sending: numpy takes about 2 ms for so many."""
PATIENCE_SECONDS = 10.0
PART_ENTRIES = 2**21
"""Entries of B from which on a part of a check is worth a checker of its own: a millisecond."""
_MOST_DIGESTS = 2048
"""Of an answer: more than any proof's openings."""


@dataclass(frozen=True, slots=True)
class Digest:
    """Compute the digests of these leaves of the task's result. `ticket` names the order."""

    ticket: int
    task: Task
    leaves: tuple[int, ...]


class Digests(Answer, frozen=True):
    """The digests, 32 bytes each, in the order of the leaves that were asked for."""

    digests: Annotated[bytes, Meta(max_length=DIGEST_BYTES * _MOST_DIGESTS)]


type Found = Callable[[dict[int, bytes] | None], None]
"""Is told the digests by leaf: None where the caller has to compute them."""


def digest_main(orders: Pieces, reports: Reports) -> None:
    """Entry point of a spawned checker."""
    serve_checks(orders, reports, _perform)


def _perform(order: Digest, operations: Operations) -> Digests:
    with span("digests", ticket=order.ticket):
        digests = opened_digests(order.task, order.leaves, operations)
    return Digests(order.ticket, b"".join(digests[leaf] for leaf in order.leaves))


def worth_a_process(task: Task, leaves: int) -> bool:
    """Whether a check of so many leaves is sent to a checker."""
    return _cost(task, leaves) >= WORTH_A_PROCESS


def _cost(task: Task, leaves: int) -> int:
    """Multiply-adds at most: each leaf may lie in a row of its own."""
    return leaves * task.n * task.n * task.iterations


def usual_count() -> int:
    """One for every four cores, sixteen at most: four cards' checks at n = 4096 keep so many busy."""
    return max(1, min(16, usable_cores() // 4))


def shares(task: Task, leaves: Sequence[int], count: int) -> list[tuple[int, ...]]:
    """Divide the leaves among so many checkers at most, those of the same columns together.

    What they share is a window of B, which costs most. Further iterations need all of it for each.
    """
    windows: defaultdict[int, list[int]] = defaultdict(list)
    for leaf, (_row, first, _last) in task.leaf_places(leaves).items():
        windows[first].append(leaf)
    worth = len(windows) * LEAF_BYTES * task.n // PART_ENTRIES
    count = min(count, worth, len(windows)) if task.iterations == 1 else 1
    columns = list(windows.values())
    return [tuple(chain(*columns[at :: max(1, count)])) for at in range(max(1, count))]


class LeafCheckers(Checkers[Digests]):
    """See the module."""

    def __init__(
        self,
        count: int | None = None,
        *,
        entry: Callable[..., None] = digest_main,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """`entry`: another one only in tests of faults."""
        super().__init__(entry, Digests, usual_count() if count is None else count, patience)

    def digest(self, task: Task, leaves: Sequence[int], found: Found, now: float) -> bool:
        """Have the digests of these leaves computed. False: it is not worth it, or none is ready."""
        if not worth_a_process(task, len(leaves)):
            return False
        self.want(now)
        if not self.ready:
            return False
        parts = shares(task, leaves, self.free)
        waits, digests = set(parts), dict[int, bytes]()

        def ended(part: tuple[int, ...], said: Digests | str) -> bool:
            if isinstance(said, Digests):
                if len(said.digests) != DIGEST_BYTES * len(part):
                    return False
                for at, leaf in enumerate(part):
                    digests[leaf] = said.digests[DIGEST_BYTES * at : DIGEST_BYTES * (at + 1)]
            waits.remove(part)
            if not waits:
                found(digests if len(digests) == len(leaves) else None)
            return True

        for part in parts:
            order, room = Digest(new_ticket(), task, part), DIGEST_BYTES * len(part)
            self.submit(order, _cost(task, len(part)), room, partial(ended, part), now)
        return True
