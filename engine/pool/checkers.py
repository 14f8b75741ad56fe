"""Processes that check, for any owner of orders: started, watched, replaced.

    checkers = Checkers(digest_main, Digests, count=2, patience=10.0)
    checkers.want(now)
    taken = checkers.submit(order, cost, room, ended, now)     # False: none is ready
    checkers.read(ready, now)                                  # calls ended(answer), or ended(reason)

The seam: here and in `checker_main.py` is what no check differs in. A process passes its known-answer
test before it is given anything; each order has a deadline; one that ends, hangs or says what fits no
order of its is replaced, after a pause that grows until an order was done. What an order is, and what
follows from its answer or its loss, is its owner's: digests of leaves, divided among free processes and
computed by the pool itself where they are lost (`leaf_digests.py`); batches of claims, which wait for a
process, and each of which is tried alone after a loss (`engine/validator/checker_thread.py`).

Call the methods from one thread, which the processes die with.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from gettext import gettext as _
from typing import Any

from msgspec.msgpack import Decoder

from engine.pool.checker_main import Answer, CannotCheck, CheckerReady
from engine.pool.codec import decode_as
from engine.pool.processes import ChildProcess
from engine.runtime.errors import reason_of

START_SECONDS = 180.0
"""Until a checker is ready: it may have to compile its operations."""
SLOWEST_RATE = 2e8
"""Multiply-adds a second that every machine reaches in numpy."""
_SECOND_PAUSE, _LONGEST_PAUSE = 1.0, 300.0
"""Seconds until a place has its next process: the first time none, then from one to the other."""


type _Process[A: Answer] = ChildProcess[CheckerReady | CannotCheck | A]
type Ended[A: Answer] = Callable[[A | str], bool]
"""Is told the answer, and says whether it fits the order; or why none comes."""


@dataclass(slots=True)
class _Place[A: Answer]:
    """One place for a process. `orders`: deadline and `ended`, by ticket; `again_at`: of a start."""

    process: _Process[A] | None = None
    ready: bool = False
    deadline: float = 0.0
    orders: dict[int, tuple[float, Ended[A]]] = field(default_factory=dict)
    pause: float = 0.0
    again_at: float = 0.0


class Checkers[A: Answer]:
    """See the module. `lost`: sentences on processes that were lost, to be reported."""

    def __init__(
        self, entry: Callable[..., None], answer: type[A], count: int, patience: float
    ) -> None:
        """`entry`: what a process runs. `patience`: seconds for the smallest order."""
        decoder: Decoder[CheckerReady | CannotCheck | A]
        decoder = Decoder(CheckerReady | CannotCheck | answer)
        self._new = partial(ChildProcess, entry, (), partial(decode_as, decoder), "cpc-checker")
        self._patience = patience
        self._places: list[_Place[A]] = [_Place() for _place in range(count)]
        self._closing: list[_Process[A]] = []
        self.lost: list[str] = []
        self.done = 0
        """Orders that were answered."""

    @property
    def ready(self) -> bool:
        """Whether there is one that takes orders."""
        return any(place.ready for place in self._places)

    @property
    def free(self) -> int:
        """How many are ready and have nothing to do."""
        return sum(place.ready and not place.orders for place in self._places)

    def want(self, now: float) -> None:
        """Start what is not started: orders will come.

        One at first: it may have to compile its operations, which the others then find on the disk.
        """
        for place in self._places:
            if not self.ready and any(other.process is not None for other in self._places):
                return
            if place.process is not None or now < place.again_at:
                continue
            place.deadline = now + START_SECONDS
            try:
                place.process = self._new()
            except OSError as error:
                said = _("no process could be started: {error}").format(error=reason_of(error))
                self._lose(place, said, now)

    def submit(self, order: Any, cost: int, room: int, ended: Ended[A], now: float) -> bool:
        """Give the order to the one that has fewest. False: none is ready. Raises pickle's errors.

        `cost`: multiply-adds at most. `room`: bytes that its answer may have beyond a small frame's.
        """
        ready = [place for place in self._places if place.ready]
        if not ready:
            return False
        place = min(ready, key=lambda one: len(one.orders))
        assert place.process is not None
        place.process.tasks.put(order)
        place.process.frames.owed[order.ticket] = room
        begins = max((deadline for deadline, _ended in place.orders.values()), default=now)
        place.orders[order.ticket] = begins + self._patience + cost / SLOWEST_RATE, ended
        return True

    def sources(self) -> list[int]:
        """Where one is readable, `read` has something to say."""
        return [
            source for place in self._places if place.process for source in place.process.sources
        ]

    def read(self, ready: Sequence[object], now: float) -> None:
        """Take what processes said, and look at the clock."""
        for place in self._places:
            if place.process is not None:
                self._read(place, place.process, ready, now)
        self._closing = [gone for gone in self._closing if not (gone.join(0.0) and gone.close())]

    def stop(self) -> None:
        """End them all, whatever they do: they have nothing to put in order."""
        closing = [place.process for place in self._places if place.process is not None]
        for process in closing:
            process.kill()
        closing += self._closing
        while closing:
            closing = [gone for gone in closing if not (gone.join(float("inf")) and gone.close())]
        self._places, self._closing = [], []

    def _read(
        self, place: _Place[A], process: _Process[A], ready: Sequence[object], now: float
    ) -> None:
        reason = ""
        for message in process.read(ready):
            if isinstance(message, CheckerReady):
                reason = _("sent a message out of turn") if place.ready else reason
                place.ready = True
                self.want(now)
            elif order := place.orders.get(message.ticket):
                said = message.reason if isinstance(message, CannotCheck) else message
                if not order[1](said):
                    reason = _("sent a message out of turn")
                    break
                del place.orders[message.ticket]
                self.done, place.pause = self.done + (said is message), 0.0
            else:
                reason = getattr(message, "reason", _("sent a message out of turn"))
        deadlines = [deadline for deadline, _ended in place.orders.values()]
        overdue = min(deadlines if place.ready else [place.deadline], default=float("inf"))
        if reason or process.frames.error or process.exitcode is not None or now >= overdue:
            self._lose(place, reason or process.frames.error or _("it ended, or hung"), now)

    def _lose(self, place: _Place[A], reason: str, now: float) -> None:
        self.lost.append(reason)
        if place.process is not None:
            place.process.kill()
            self._closing.append(place.process)
        orders, place.orders = place.orders, {}
        place.process, place.ready = None, False
        place.again_at = now + place.pause
        place.pause = min(max(_SECOND_PAUSE, 2 * place.pause), _LONGEST_PAUSE)
        for _deadline, ended in orders.values():
            ended(reason)
