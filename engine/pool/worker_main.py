"""The child process: opens one device, proves that it works, computes what it is given.

It holds no key and knows no chain. It ends when it is told to, when nobody hears it, or when its
parent is gone, however that came about.
"""

import os
import pickle
import threading
import time
from collections.abc import Callable
from gettext import gettext as _
from multiprocessing import connection, parent_process
from multiprocessing.connection import Connection
from multiprocessing.queues import SimpleQueue
from typing import Any

import psutil

from engine.pool import messages
from engine.pool.codec import encode, one_line, write_frame
from engine.runtime.confinement import confine
from engine.runtime.errors import is_shortage
from engine.runtime.i18n import speak
from engine.runtime.trace import span
from kernels.cards import pin
from kernels.device import Commitment, Device
from kernels.devices import open_device
from kernels.errors import DeviceFault, KernelError
from kernels.known_answer import known_answer_test

BEAT_SECONDS = 1.0
POISONED = 5
"""Exit code after a fault that the process's later results cannot be trusted for."""

Pieces = SimpleQueue[tuple[bool, bytes]]
"""A child's task queue: pieces of pickled orders, each with whether more of its order follow."""
Reports = Connection


def child_main(device_name: str, setup: messages.Setup, tasks: Pieces, reports: Reports) -> None:
    """Entry point of a spawned child."""
    speak()
    confine()
    pin(device_name)
    serve(lambda: open_device(device_name, setup.threads), setup, tasks, reports)


def serve(
    open_the_device: Callable[[], Device], setup: messages.Setup, tasks: Pieces, reports: Reports
) -> None:
    """Open, test, warm up, then work until told to end. An unexpected error ends the process."""
    started = time.monotonic()
    line = _Line(reports)
    try:
        threading.Thread(target=_beat_while_parent_lives, args=(line,), daemon=True).start()
        device = open_the_device()
        with device:
            known_answer_test(device)
            if setup.warm is not None:
                device.prepare(setup.warm)
            line.say(messages.Ready(device.name, time.monotonic() - started))
            _work(device, tasks, line)
    except Exception as error:  # noqa: BLE001 - the parent reports it; a traceback helps no miner
        line.say(_failed(None, error))
        raise SystemExit(1) from None


def _work(device: Device, tasks: Pieces, line: "_Line") -> None:
    owed: dict[int, Commitment] = {}
    while (order := next_order(tasks)) is not None:
        try:
            match order:
                case messages.Work():
                    owed[order.ticket] = _compute(device, order, line)
                case messages.Open(ticket, leaves):
                    # Its tree is freed before the next one is made.
                    with span("open", ticket=ticket):
                        siblings = owed.pop(ticket).siblings(leaves)
                    line.say(messages.Opened(ticket, siblings))
                case messages.Run(ticket, work):
                    started = time.perf_counter()
                    outcome = work.run(device)
                    seconds = time.perf_counter() - started
                    line.say(messages.Done(ticket, outcome, device.name, seconds))
        except MemoryError:
            owed.pop(order.ticket, None)
            line.say(messages.Failed(order.ticket, "TaskTooLarge", _("memory ran out")))
        except KernelError as error:
            owed.pop(order.ticket, None)
            line.say(_failed(order.ticket, error))
            if isinstance(error, DeviceFault) and error.sticky:
                os._exit(POISONED)  # at once: what would be tidied up hangs on the poisoned context


def next_order(tasks: Pieces) -> Any:
    """Return the next order that the parent gave; the child trusts its parent."""
    more, order = True, bytearray()
    while more:
        more, piece = tasks.get()
        order += piece
    return pickle.loads(order)  # noqa: S301 - see above; there is no key here


def _compute(device: Device, order: messages.Work, line: "_Line") -> Commitment:
    started = time.perf_counter()
    with span("compute", ticket=order.ticket, n=order.task.n):
        commitment = device.compute(order.task)
    seconds = time.perf_counter() - started
    with span("proof", ticket=order.ticket):
        proof = commitment.proof(min(order.openings, order.task.leaf_count))
    line.say(messages.Computed(order.ticket, commitment.root, proof, device.name, seconds))
    return commitment


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
