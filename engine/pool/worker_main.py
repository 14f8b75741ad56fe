"""The child process: opens one device, proves that it works, computes what it is given.

It holds no key and knows no chain. It ends when it is told to, when its pipe closes, or when its
parent is gone, however that came about.
"""

import os
import threading
import time
from collections.abc import Callable
from gettext import gettext as _
from multiprocessing import connection, parent_process
from multiprocessing.connection import Connection

import psutil

from engine.pool.messages import (
    Beat,
    Computed,
    Done,
    Failed,
    FromChild,
    Open,
    Opened,
    Ready,
    Run,
    Setup,
    ToChild,
    Work,
)
from engine.runtime.i18n import speak
from kernels.cards import pin
from kernels.device import Commitment, Device
from kernels.devices import open_device
from kernels.errors import DeviceFault, KernelError
from kernels.known_answer import known_answer_test

BEAT_SECONDS = 1.0
POISONED = 5
"""Exit code after a fault that the process's later results cannot be trusted for."""


def child_main(device_name: str, setup: Setup, orders: Connection, reports: Connection) -> None:
    """Entry point of a spawned child."""
    speak()
    pin(device_name)
    serve(lambda: open_device(device_name, setup.threads), setup, orders, reports)


def serve(
    open_the_device: Callable[[], Device], setup: Setup, orders: Connection, reports: Connection
) -> None:
    """Open, test, warm up, then work until told to end. An unexpected error ends the process."""
    started = time.monotonic()
    line = _Line(reports)
    threading.Thread(target=_beat_while_parent_lives, args=(line,), daemon=True).start()
    try:
        device = open_the_device()
        with device:
            known_answer_test(device)
            if setup.warm is not None:
                device.prepare(setup.warm)
            line.say(Ready(device.name, time.monotonic() - started))
            _work(device, orders, line)
    except Exception as error:  # noqa: BLE001 - the parent reports it; a traceback helps no miner
        line.say(Failed(None, type(error).__name__, str(error)))
        raise SystemExit(1) from None


def _work(device: Device, orders: Connection, line: "_Line") -> None:
    held: tuple[int, Commitment] | None = None
    while (order := _next(orders)) is not None:
        try:
            match order:
                case Work():
                    held = None  # frees the last tree before the next is made
                    held = (order.ticket, _compute(device, order, line))
                case Open() if held is not None and held[0] == order.ticket:
                    line.say(Opened(order.ticket, held[1].siblings(order.leaves)))
                case Open():
                    line.say(Failed(order.ticket, "NothingToOpen", _("no such job is held here")))
                case Run():
                    held = None
                    _run(device, order, line)
        except MemoryError:
            line.say(Failed(order.ticket, "TaskTooLarge", _("memory ran out")))
        except KernelError as error:
            line.say(Failed(order.ticket, type(error).__name__, str(error)))
            if isinstance(error, DeviceFault) and error.sticky:
                os._exit(POISONED)  # at once: what would be tidied up hangs on the poisoned context


def _next(orders: Connection) -> ToChild:
    """The next order; None to end, as when nobody is left to give any."""
    try:
        order: ToChild = orders.recv()
    except (EOFError, OSError):
        return None
    return order


def _compute(device: Device, order: Work, line: "_Line") -> Commitment:
    started = time.perf_counter()
    commitment = device.compute(order.task)
    seconds = time.perf_counter() - started
    proof = commitment.proof(min(order.openings, order.task.leaf_count))
    line.say(Computed(order.ticket, commitment.root, proof, device.name, seconds))
    return commitment


def _run(device: Device, order: Run, line: "_Line") -> None:
    started = time.perf_counter()
    outcome = order.work.run(device)
    line.say(Done(order.ticket, outcome, device.name, time.perf_counter() - started))


class _Line:
    """The pipe to the parent, shared by the worker and the heartbeat."""

    def __init__(self, reports: Connection) -> None:
        self._reports = reports
        self._lock = threading.Lock()

    def say(self, message: FromChild) -> None:
        """Send whole, or end: without a parent there is nothing left to do here."""
        try:
            with self._lock:
                self._reports.send(message)
        except OSError:
            os._exit(0)


def _beat_while_parent_lives(line: _Line) -> None:
    parent = parent_process()
    assert parent is not None
    process = psutil.Process()
    while not connection.wait([parent.sentinel], BEAT_SECONDS):
        line.say(Beat(process.memory_info().rss))
    os._exit(0)  # also out of a kernel that hangs: nobody is left to kill this process
