"""Children as processes of this machine: spawned, with two pipes and two threads each.

Spawned, never forked: a fork would carry the parent's key, threads and CUDA state along. Each child
has pipes of its own, thrown away with it, and no lock or semaphore is shared, so that a process
killed at any moment holds nobody up and leaves nothing behind. One thread a child turns what it says,
and its end, into events; another writes its orders, since a pipe to a child that is stopped fills up.
"""

import pickle
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from gettext import gettext as _
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any

from engine.pool.launcher import Exited, Heard
from engine.pool.messages import Failed, Setup, ToChild
from engine.pool.worker_main import BEAT_SECONDS, child_main
from engine.runtime.child_entry import ChildEntry
from kernels.cards import number_cards

MAX_REPORT = 2**30
"""Bytes of one message from a child: a larger one comes from a child that is broken."""
LAST_WORDS_SECONDS = 1.0
"""A child that closed its pipe has so long to end before it is killed."""
DEATH_SECONDS = 5.0
"""How long a killed process may take to be gone: for ever only where the driver holds on to it."""

Entry = Callable[[str, Setup, Connection, Connection], None]
"""What a child runs: device, set-up, the pipe with its orders, the pipe for its reports."""


@dataclass(slots=True)
class _Child:
    process: SpawnProcess
    generation: int
    orders: "queue.SimpleQueue[bytes | None]"
    listener: threading.Thread


class LocalProcesses:
    """A Launcher. Call its methods from one thread, which outlives the children: Linux ends a child
    with the thread that started it (`engine/runtime/child_entry.py`).
    """

    may_find_more = False
    quiet_seconds = BEAT_SECONDS

    def __init__(
        self,
        inbox: "queue.SimpleQueue[Any]",
        setup: Setup | None = None,
        *,
        entry: Entry = child_main,
    ) -> None:
        """`entry` is what a child runs: another one only in tests of faults."""
        self._inbox = inbox
        self._setup = setup or Setup()
        self._entry = entry
        self._context = get_context("spawn")
        self._children: dict[str, _Child] = {}

    def start(self) -> None:
        """Processes can always be asked for; cards keep the numbers that they have now."""
        number_cards()

    def spawn(self, device: str, generation: int) -> None:
        """Start a child. One that cannot be started is reported as one that failed."""
        try:
            self._spawn(device, generation)
        except OSError as error:
            failed = Failed(
                None, "CannotStart", _("no process could be started: {error}").format(error=error)
            )
            self._inbox.put(Heard(device, generation, failed))

    def tell(self, device: str, generation: int, message: ToChild) -> None:
        """Send a message, unless that child is gone already."""
        child = self._find(device, generation)
        if child is not None:
            child.orders.put(bytes(ForkingPickler.dumps(message)))

    def kill(self, device: str, generation: int) -> None:
        """SIGKILL, which also ends a stopped process, and one that waits for a kernel."""
        child = self._find(device, generation)
        if child is not None:
            child.process.kill()
            child.orders.put(None)

    def stop(self, patience: float) -> None:
        """End every child: asked first, then killed. None is left when this returns."""
        deadline = time.monotonic() + patience
        for child in self._children.values():
            child.orders.put(None)
        for child in self._children.values():
            child.listener.join(max(0.0, deadline - time.monotonic()))
            if child.listener.is_alive():
                child.process.kill()
        for child in self._children.values():
            child.listener.join(DEATH_SECONDS)
        self._children.clear()

    def pids(self) -> dict[str, int | None]:
        """Process id of each device's child."""
        return {name: child.process.pid for name, child in self._children.items()}

    def _find(self, device: str, generation: int) -> _Child | None:
        child = self._children.get(device)
        return child if child is not None and child.generation == generation else None

    def _spawn(self, device: str, generation: int) -> None:
        their_orders, our_orders = self._context.Pipe(duplex=False)
        our_reports, their_reports = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=ChildEntry(self._entry),
            args=(device, self._setup, their_orders, their_reports),
            name=f"cpc-{device}",
            daemon=True,
        )
        try:
            process.start()
        except OSError:
            our_orders.close()
            our_reports.close()
            raise
        finally:  # so that the child's death reads as the end of both pipes
            their_orders.close()
            their_reports.close()
        orders: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=_write, args=(our_orders, orders), daemon=True).start()
        listener = threading.Thread(
            target=_listen,
            args=(device, generation, process, our_reports, self._inbox, orders),
            daemon=True,
        )
        listener.start()
        self._children[device] = _Child(process, generation, orders, listener)


def _write(pipe: Connection, orders: "queue.SimpleQueue[bytes | None]") -> None:
    """Until there are no more orders, or nobody reads them. Closing the pipe tells the child to end."""
    with pipe:
        while (order := orders.get()) is not None:
            try:
                pipe.send_bytes(order)
            except OSError:
                return


def _listen(
    device: str,
    generation: int,
    process: SpawnProcess,
    reports: Connection,
    inbox: "queue.SimpleQueue[Any]",
    orders: "queue.SimpleQueue[bytes | None]",
) -> None:
    """Until the process ended and everything that it said was heard.

    A message cut off by a kill is the end, and so is one that is none: from a broken child.
    """
    with reports:
        while reports in wait([reports, process.sentinel]):
            try:
                said = reports.recv_bytes(MAX_REPORT)
            except (EOFError, OSError):
                process.join(LAST_WORDS_SECONDS)
                break
            try:
                message = pickle.loads(said)  # noqa: S301 - our own child's, which holds no key
            except Exception:  # noqa: BLE001 - whatever broken bytes make pickle raise
                break
            inbox.put(Heard(device, generation, message))
    orders.put(None)
    process.kill()
    process.join()
    inbox.put(Exited(device, generation, process.exitcode))
