"""The child process: opens one device, proves that it works, computes what it is given.

It holds no key and knows no chain. It ends when it is told to, when nobody hears it, or when its
parent is gone, however that came about.
"""

import os
import pickle
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from gettext import gettext as _
from multiprocessing import connection, parent_process
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, NoReturn

import psutil

from engine.pool import messages
from engine.pool.codec import encode, one_line, write_frame
from engine.pool.task_queue import Pieces
from engine.runtime.confinement import confine
from engine.runtime.errors import is_shortage
from engine.runtime.i18n import speak
from engine.runtime.trace import span
from kernels.cards import pin
from kernels.compiling import compiling_seconds, tell_compiling
from kernels.device import Commitment, Device
from kernels.devices import Progress, open_device
from kernels.errors import DeviceFault, KernelError
from kernels.known_answer import known_answer_test
from kernels.work import Outcome

BEAT_SECONDS = 1.0
MOST_TOGETHER = 32
COST_TOGETHER = 2**28
"""Orders that run together, and their multiply-adds: none waits long for the others."""
POISONED = 5
"""Exit code after a fault that the process's later results cannot be trusted for."""

Reports = Connection


def child_main(device_name: str, setup: messages.Setup, tasks: Pieces, reports: Reports) -> None:
    """Entry point of a spawned child."""
    speak()
    confine()
    pin(device_name)
    serve(
        lambda progress: open_device(device_name, setup.threads, progress=progress),
        setup,
        tasks,
        reports,
    )
    os._exit(0)  # to take Numba and its libraries apart takes longer than the parent waits


def serve(
    open_the_device: Callable[[Progress], Device],
    setup: messages.Setup,
    tasks: Pieces,
    reports: Reports,
) -> None:
    """Open, test, warm up, then work until told to end. An unexpected error ends the process."""
    started = time.monotonic()
    line = _Line(reports)
    try:
        threading.Thread(target=_beat_while_parent_lives, args=(line,), daemon=True).start()
        device = open_the_device(lambda done, total: line.say(messages.Compiling(done, total)))
        with device:
            known_answer_test(device)
            if setup.warm is not None:
                device.prepare(setup.warm)
            line.say(messages.Beat(psutil.Process().memory_info().rss))  # what it takes at rest
            line.say(messages.Ready(device.name, time.monotonic() - started))
            tell_compiling(lambda done, total: line.say(messages.Compiling(done, total)))
            _work(device, tasks, line)
    except Exception as error:  # noqa: BLE001 - the parent reports it; a traceback helps no miner
        line.say(_failed(None, error))
        raise SystemExit(1) from None


def _work(device: Device, tasks: Pieces, line: "_Line") -> None:
    """Do orders until told to end.

    Where the device runs by itself the next order begins on it before the last one's answer is read.
    """
    lanes, work = Lanes(tasks), _Work(device, line)
    at_work: _Begun | None = None
    while True:
        taken = lanes.take(wait=at_work is None)
        if lanes.ended:
            return
        if taken is not None and (more := lanes.alike(taken)):
            if at_work is not None:
                work.answer(at_work)
            for batched in work.begin_together([taken.order, *more]):
                work.answer(batched)
            at_work = None
            continue
        begun = None if taken is None else work.begin(taken.order)
        if at_work is not None:
            work.answer(at_work)
        if taken is not None and taken.overtakes:
            line.say(messages.Began(taken.order.ticket))
        if begun is not None and not device.runs_ahead:
            work.answer(begun)
            begun = None
        at_work = begun


class Lanes:
    """What a child was told, and which of it comes next.

    Openings go first, as a finished result waits for them; then what is urgent, a block's task; then
    the rest. So a flood of jobs holds a block's task up no longer than the order at work.
    """

    def __init__(self, tasks: Pieces) -> None:
        self._tasks = tasks
        self._told: list[messages.Order] = []
        self.ended = False

    def take(self, *, wait: bool) -> "Taken | None":
        """Return the next order. None: the child is to end, or, without `wait`, there is none yet."""
        while not self.ended and ((wait and not self._told) or not self._tasks.empty()):
            orders = next_order(self._tasks)
            self.ended = orders is None
            self._told += orders or ()
        if self.ended or not self._told:
            return None
        place = min(range(len(self._told)), key=lambda at: _rank(self._told[at]))
        return Taken(self._told.pop(place), overtakes=place > 0)

    def alike(self, taken: "Taken") -> list[messages.Order]:
        """Take out the next orders, too, as long as they may run together with the one taken.

        No order is overtaken by it.
        """
        orders: list[messages.Order] = []
        cost, key = _cost_of(taken.order), _goes_with(taken.order)
        while (
            key is not None
            and not taken.overtakes
            and self._told
            and len(orders) < MOST_TOGETHER - 1
            and _goes_with(following := self._told[0]) == key
            and _rank(following) == _rank(taken.order) == min(map(_rank, self._told))
            and (cost := cost + _cost_of(following)) <= COST_TOGETHER
        ):
            orders.append(self._told.pop(0))
        return orders


def _goes_with(order: messages.Order) -> Any:
    """Return what is equal for orders whose work may run together; None where it runs alone."""
    return getattr(order.work, "goes_with", None) if isinstance(order, messages.Run) else None


def _cost_of(order: messages.Order) -> int:
    return order.work.cost if isinstance(order, messages.Run) else 0


def _rank(order: messages.Order) -> int:
    if isinstance(order, messages.Open):
        return 0
    return 2 if isinstance(order, messages.Run) and not order.urgent else 1


class Taken(NamedTuple):
    """The next order. `overtakes`: others that were told before it still wait."""

    order: messages.Order
    overtakes: bool


class _Begun(NamedTuple):
    """An order at work. `finish` waits for it, and may raise what went wrong when it began."""

    order: messages.Order
    finish: Callable[[], messages.FromChild]


class _Work:
    """Does orders on the device; has the commitments that the parent may have opened."""

    def __init__(self, device: Device, line: "_Line") -> None:
        self._device, self._line = device, line
        self._owed: dict[int, Commitment] = {}
        self._free_at = self._compiled = 0.0

    def begin(self, order: messages.Order) -> _Begun:
        """Begin it, so far as the device runs by itself. Raises nothing."""
        try:
            return _Begun(order, self._begin(order))
        except Exception as error:  # noqa: BLE001 - raised again when it is this order's turn
            return _Begun(order, partial(_raise, error))

    def begin_together(self, orders: Sequence[messages.Order]) -> list[_Begun]:
        """Do orders whose work goes together; where that fails, begin each by itself."""
        began, runs = time.perf_counter(), [one for one in orders if isinstance(one, messages.Run)]
        works: list[Any] = [run.work for run in runs]
        try:
            with span("run", tickets=len(runs)):
                outcomes = works[0].run_together(works, self._device)
        except (KernelError, MemoryError):
            return [self.begin(order) for order in orders]
        rate = self._seconds(began) / sum(work.cost for work in works)
        return [
            _Begun(run, partial(_done, run, outcome, self._device.name, rate * run.work.cost))
            for run, outcome in zip(runs, outcomes, strict=True)
        ]

    def answer(self, begun: _Begun) -> None:
        """Wait until it is done, and say what came of it."""
        ticket = begun.order.ticket
        try:
            self._line.say(begun.finish())
        except MemoryError:
            self._owed.pop(ticket, None)
            self._line.say(messages.Failed(ticket, "TaskTooLarge", _("memory ran out")))
        except KernelError as error:
            self._owed.pop(ticket, None)
            self._line.say(_failed(ticket, error))
            if isinstance(error, DeviceFault) and error.sticky:
                os._exit(POISONED)  # at once: what would be tidied up hangs on the poisoned context
        self._free_at = time.perf_counter()

    def _begin(self, order: messages.Order) -> Callable[[], messages.FromChild]:
        began, device = time.perf_counter(), self._device
        match order:
            case messages.Work():
                return partial(self._computed, order, device.begin(order.task), began)
            case messages.Open():
                return partial(self._opened, order)
            case messages.Run(_ticket, work):
                begin = getattr(work, "begin", None)
                finish = partial(work.run, device) if begin is None else begin(device)
                return partial(self._ran, order, finish, began)

    def _computed(
        self, order: messages.Work, finish: Callable[[], Commitment], began: float
    ) -> messages.Computed:
        with span("compute", ticket=order.ticket, n=order.task.n):
            commitment = finish()
        seconds = self._seconds(began)
        with span("proof", ticket=order.ticket):
            proof = commitment.proof(min(order.openings, order.task.leaf_count))
        self._owed[order.ticket] = commitment
        return messages.Computed(order.ticket, commitment.root, proof, self._device.name, seconds)

    def _opened(self, order: messages.Open) -> messages.Opened:
        with span("open", ticket=order.ticket):
            siblings = self._owed.pop(order.ticket).siblings(order.leaves)
        return messages.Opened(order.ticket, siblings)

    def _ran(
        self, order: messages.Run, finish: Callable[[], Outcome], began: float
    ) -> messages.Done:
        with span("run", ticket=order.ticket):
            outcome = finish()
        return messages.Done(order.ticket, outcome, self._device.name, self._seconds(began))

    def _seconds(self, began: float) -> float:
        """What it took, without the wait for the order before it, and without compiling."""
        before, self._compiled = self._compiled, compiling_seconds()
        took = time.perf_counter() - max(began, self._free_at)
        return max(0.0, took - (self._compiled - before))


def _done(order: messages.Run, outcome: Outcome, device: str, seconds: float) -> messages.FromChild:
    return messages.Done(order.ticket, outcome, device, seconds)


def _raise(error: Exception) -> NoReturn:
    raise error


def next_order(tasks: Pieces) -> Any:
    """Return the next order that the parent gave; the child trusts its parent."""
    more, order = True, bytearray()
    while more:
        more, piece = tasks.get()
        order += piece
    return pickle.loads(order)  # noqa: S301 - see above; there is no key here


def _failed(ticket: int | None, error: Exception) -> messages.Failed:
    kind = messages.SHORTAGE if is_shortage(error) else type(error).__name__
    return messages.Failed(ticket, kind, one_line(str(error)))


class _Line:
    """The pipe to the parent, shared by the worker and the heartbeat."""

    def __init__(self, reports: Reports) -> None:
        self._reports = reports
        self._lock = threading.Lock()

    def say(self, message: messages.FromChild) -> None:
        """Send whole, or end: without a parent there is nothing left to do here."""
        frame = encode(message)
        try:
            with self._lock:
                write_frame(self._reports.fileno(), frame)
        except OSError:
            os._exit(0)


def _beat_while_parent_lives(line: _Line) -> None:
    parent = parent_process()
    assert parent is not None
    process = psutil.Process()
    while not connection.wait([parent.sentinel], BEAT_SECONDS):
        line.say(messages.Beat(process.memory_info().rss))
    os._exit(0)  # also out of a kernel that hangs: nobody is left to kill this process
