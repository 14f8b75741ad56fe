"""Processes that do the arithmetic of checks, so that the pool's thread has only to compare.

    checkers = Checkers(count=2)
    if not checkers.submit(check, task, leaves, now): ...   # none is ready: compute it here
    for check, digests in checkers.read(ready, now): ...    # None: compute it here

They are started with the first check that is worth it: in numpy a check of 20 leaves takes 5 ms at
n = 1024 and 42 ms at 4096, a tenth of that in a checker. One that ends, hangs or says nonsense is
replaced; what it was at comes back without digests. Call the methods from the pool's thread, which the
processes die with.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from gettext import gettext as _
from itertools import chain

from engine.pool.checker_main import (
    CannotCheck,
    CheckerReady,
    Digest,
    Digests,
    FromChecker,
    by_leaf,
    checker_main,
    decode_checker,
)
from engine.pool.job_queue import new_ticket
from engine.pool.processes import ChildProcess
from engine.runtime.errors import reason_of
from kernels.devices import usable_cores
from kernels.task import LEAF_BYTES, Task

WORTH_A_PROCESS = 2**22
"""Multiply-adds of a check from which on it is worth sending: numpy takes about 2 ms for so many."""
START_SECONDS = 180.0
"""Until a checker is ready: it may have to compile its operations."""
PATIENCE_SECONDS = 10.0
SLOWEST_RATE = 2e8
"""Multiply-adds a second that every machine reaches in numpy, beyond `PATIENCE_SECONDS`."""
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 300.0
_DIGEST_ROOM = 2**17
"""Bytes that an answer may have: more than any proof's openings."""


def worth_a_process(task: Task, leaves: int) -> bool:
    """Whether a check of so many leaves is sent to a checker."""
    return _cost(task, leaves) >= WORTH_A_PROCESS


def _cost(task: Task, leaves: int) -> int:
    """Multiply-adds at most: each leaf may lie in a row of its own."""
    return leaves * task.n * task.n * task.iterations


def usual_count() -> int:
    """One for every four cores, four at most: a check is a small part of a device's time."""
    return max(1, min(4, usable_cores() // 4))


PART_ENTRIES = 2**21
"""Entries of B from which on a part of a check is worth a checker of its own: a millisecond."""


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


type Found[C] = tuple[C, dict[int, bytes] | None]
"""What was submitted, and the digests by leaf: None where the caller has to compute them."""


@dataclass(slots=True)
class _Asked[C]:
    """A check, the digests that came, and how many of its parts are still at checkers."""

    check: C
    parts: int
    digests: dict[int, bytes] = field(default_factory=dict)
    failed: bool = False

    def answer(self, digests: dict[int, bytes] | None) -> "list[Found[C]]":
        """Take a part's; what was found, with the last of them."""
        self.parts -= 1
        self.failed |= digests is None
        self.digests |= digests or {}
        return [] if self.parts else [(self.check, None if self.failed else self.digests)]


@dataclass(slots=True)
class _Order[C]:
    asked: _Asked[C]
    leaves: tuple[int, ...]
    deadline: float


@dataclass(slots=True)
class _Checker[C]:
    """One place for a process. `orders` by ticket; `again_at`: when another one may be started."""

    process: ChildProcess[FromChecker] | None = None
    ready: bool = False
    deadline: float = 0.0
    orders: dict[int, _Order[C]] = field(default_factory=dict)
    pause: float = _FIRST_PAUSE
    again_at: float = 0.0


class Checkers[C]:
    """See the module. A check is whatever the caller knows it by.

    `lost`: sentences on processes that were lost, for whoever reports them.
    """

    def __init__(
        self,
        count: int | None = None,
        *,
        entry: Callable[..., None] = checker_main,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """`patience`: seconds for the smallest check. `entry`: another one only in tests of faults."""
        self._entry = entry
        self._patience = patience
        number = usual_count() if count is None else count
        self._places: list[_Checker[C]] = [_Checker() for _place in range(number)]
        self._closing: list[ChildProcess[FromChecker]] = []
        self.lost: list[str] = []
        self.done = 0
        """Orders that checkers did: the parts of checks."""

    @property
    def ready(self) -> bool:
        """Whether there is one that takes checks."""
        return any(place.ready for place in self._places)

    @property
    def free(self) -> int:
        """How many are ready and have nothing to do."""
        return sum(place.ready and not place.orders for place in self._places)

    def want(self, now: float) -> None:
        """Start what is not started: a check that is worth a process will come."""
        for place in self._places:
            if place.process is None and now >= place.again_at:
                self._start(place, now)

    def submit(self, check: C, task: Task, leaves: Sequence[int], now: float) -> bool:
        """Have the digests of these leaves computed. False: it is not worth it, or none is ready."""
        if not worth_a_process(task, len(leaves)):
            return False
        self.want(now)
        ready = [place for place in self._places if place.ready]
        if not ready:
            return False
        ready.sort(key=lambda one: len(one.orders))
        parts = shares(task, leaves, self.free)
        asked = _Asked(check, len(parts))
        for place, part in zip(ready, parts, strict=False):
            self._order(place, asked, task, part, now)
        return True

    def _order(
        self, place: _Checker[C], asked: _Asked[C], task: Task, leaves: tuple[int, ...], now: float
    ) -> None:
        assert place.process is not None
        ticket = new_ticket()
        begins = max((order.deadline for order in place.orders.values()), default=now)
        deadline = begins + self._patience + _cost(task, len(leaves)) / SLOWEST_RATE
        place.orders[ticket] = _Order(asked, leaves, deadline)
        place.process.frames.owed[ticket] = _DIGEST_ROOM
        place.process.tasks.put(Digest(ticket, task, leaves))

    def sources(self) -> list[int]:
        """Where one is readable, `read` has something to say."""
        return [
            source for place in self._places if place.process for source in place.process.sources
        ]

    def read(self, ready: Sequence[object], now: float) -> list[Found[C]]:
        """What checks came to."""
        found: list[Found[C]] = []
        for place in self._places:
            if place.process is not None:
                found += self._read(place, ready, now)
        self._closing = [process for process in self._closing if not _is_gone(process)]
        return found

    def stop(self) -> None:
        """End them all, whatever they do: they have nothing to put in order."""
        processes = [place.process for place in self._places if place.process is not None]
        for process in processes:
            process.kill()
        for process in processes:
            process.join(float("inf"))
        closing = [*self._closing, *processes]
        while closing:
            closing = [process for process in closing if not _is_gone(process)]
        self._places, self._closing = [], []

    def _start(self, place: _Checker[C], now: float) -> None:
        try:
            place.process = ChildProcess(self._entry, (), decode_checker, "cpc-checker")
        except (OSError, RuntimeError) as error:  # the latter: no thread could be
            self._lose(
                place, _("no process could be started: {error}").format(error=reason_of(error)), now
            )
            return
        place.ready, place.deadline = False, now + START_SECONDS

    def _read(self, place: _Checker[C], ready: Sequence[object], now: float) -> list[Found[C]]:
        process = place.process
        assert process is not None
        found: list[Found[C]] = []
        for message in process.read(ready):
            match message:
                case CheckerReady():
                    place.ready, place.pause = True, _FIRST_PAUSE
                case Digests(ticket, digests) if order := place.orders.pop(ticket, None):
                    self.done += 1
                    found += order.asked.answer(by_leaf(order.leaves, digests))
                case CannotCheck(ticket, reason) if ticket is not None:
                    if order := place.orders.pop(ticket, None):
                        found += order.asked.answer(None)
                case CannotCheck(_ticket, reason):
                    self.lost.append(reason)
        overdue = min((order.deadline for order in place.orders.values()), default=float("inf"))
        if not place.ready:
            overdue = place.deadline
        if process.frames.error or now >= overdue:
            process.kill()
        if process.exitcode is not None or process.frames.error or now >= overdue:
            reason = process.frames.error or _("it ended, or hung")
            for order in place.orders.values():
                found += order.asked.answer(None)
            self._lose(place, reason, now)
        return found

    def _lose(self, place: _Checker[C], reason: str, now: float) -> None:
        self.lost.append(reason)
        if place.process is not None:
            place.process.kill()
            self._closing.append(place.process)
        place.process, place.ready = None, False
        place.orders.clear()
        place.again_at = now + place.pause
        place.pause = min(2 * place.pause, _LONGEST_PAUSE)


def _is_gone(process: ChildProcess[FromChecker]) -> bool:
    """Whether a killed process has ended, and everything of it is freed."""
    return process.join(0.0) and process.close()
