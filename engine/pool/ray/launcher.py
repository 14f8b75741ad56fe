"""The farm as the supervisor sees it: a launcher whose children are on other machines.

    farm = Farm("10.0.0.5:6379", inbox, Setup(warm=task))
    farm.start()  # raises SetupError where the cluster does not answer

One thread keeps a gateway process alive and turns its frames into events. Where the gateway or the
cluster is lost every device leaves, its job goes back to the queue, and the devices join again with
the next gateway. No call waits for the network.
"""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from gettext import gettext as _
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from engine.pool.actions import Kill, Spawn, Tell
from engine.pool.launcher import Connected, Joined, Left, Unreachable
from engine.pool.messages import Setup, ToChild
from engine.pool.ray.actor import QUIET_SECONDS
from engine.pool.ray.cluster import Wanted, require_ray
from engine.pool.ray.events import NoFarmEvent, read
from engine.pool.ray.gateway import Order, gateway_main
from engine.runtime.child_entry import ChildEntry
from engine.runtime.errors import SetupError

MAX_FRAME = 2**30
"""Bytes: room for a job's result data in base64."""
FIRST_CONNECT_SECONDS = 60.0
BACKOFF_MOST_SECONDS = 60.0

Entry = Callable[[str, Wanted, Setup, Connection, Connection], None]


class Farm:
    """A Launcher whose devices come and go with the cluster's machines."""

    may_find_more = True
    quiet_seconds = QUIET_SECONDS

    def __init__(
        self,
        address: str,
        inbox: "queue.SimpleQueue[Any]",
        setup: Setup | None = None,
        *,
        wanted: Wanted = "auto",
        entry: Entry = gateway_main,
    ) -> None:
        """`entry` is what the gateway runs: another one only in tests of faults."""
        self._address = address
        self._inbox = inbox
        self._arguments = (address, wanted, setup or Setup())
        self._entry = entry
        self._context = get_context("spawn")
        self._stopping = threading.Event()
        self._first_word: Future[Connected | Unreachable] = Future()
        self._orders: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self._process: SpawnProcess | None = None
        self._keeper = threading.Thread(target=self._keep, name="farm", daemon=True)

    def start(self) -> None:
        """Start the gateway. Raises SetupError where Ray is missing or the cluster does not answer."""
        require_ray()
        self._keeper.start()
        try:
            word = self._first_word.result(timeout=FIRST_CONNECT_SECONDS)
        except TimeoutError:
            word = Unreachable(_("no answer"))
        if isinstance(word, Unreachable):
            self.stop(0.0)
            raise SetupError(
                _("the Ray cluster at {address} cannot be reached: {reason}").format(
                    address=self._address, reason=word.reason
                ),
                advice=_("Start one with ray start --head, or name its head: --ray HOST:6379"),
            )

    def spawn(self, device: str, generation: int) -> None:
        """Start a child on that device."""
        self._orders.put(Spawn(device, generation))

    def tell(self, device: str, generation: int, message: ToChild) -> None:
        """Send a message, unless that child is gone already."""
        self._orders.put(Tell(device, generation, message))

    def kill(self, device: str, generation: int) -> None:
        """End that child, whatever it does."""
        self._orders.put(Kill(device, generation, ""))

    def stop(self, patience: float) -> None:
        """Leave the cluster: its actors end, and the gateway."""
        self._stopping.set()
        self._orders.put(None)
        process = self._process
        if process is not None:
            process.join(patience)
            process.kill()
        if self._keeper.is_alive():
            self._keeper.join()

    @property
    def gateway_pid(self) -> int | None:
        """Process id of the gateway, None before the first."""
        return None if self._process is None else self._process.pid

    def pids(self) -> dict[str, int | None]:
        """No child is a process of this machine."""
        return {}

    def _keep(self) -> None:
        """A gateway, and another one whenever it ends, until this launcher is stopped."""
        backoff = 1.0
        while not self._stopping.is_set():
            started = time.monotonic()
            self._run_gateway()
            if time.monotonic() - started > BACKOFF_MOST_SECONDS:
                backoff = 1.0
            self._stopping.wait(backoff)
            backoff = min(2 * backoff, BACKOFF_MOST_SECONDS)

    def _run_gateway(self) -> None:
        their_orders, our_orders = self._context.Pipe(duplex=False)
        our_events, their_events = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=ChildEntry(self._entry),
            args=(*self._arguments, their_orders, their_events),
            name="cpc-farm",
            daemon=True,
        )
        process.start()
        their_orders.close()
        their_events.close()
        self._process = process
        orders = self._orders = queue.SimpleQueue()
        if self._stopping.is_set():
            orders.put(None)
        threading.Thread(target=_send_orders, args=(orders, our_orders), daemon=True).start()
        with our_events:
            reason = self._listen(our_events)
        orders.put(None)
        process.kill()
        process.join()
        self._hear_first(Unreachable(reason))
        if not self._stopping.is_set():
            self._inbox.put(Unreachable(reason))

    def _hear_first(self, word: Connected | Unreachable) -> None:
        """What `start` waits for; the words of later gateways are events and no more."""
        if not self._first_word.done():
            self._first_word.set_result(word)

    def _listen(self, events: Connection) -> str:
        """Hand on events until the gateway ends; gives why."""
        devices: set[str] = set()
        reason = _("the gateway to it ended")
        while True:
            try:
                event = read(events.recv_bytes(MAX_FRAME))
            except (EOFError, OSError):
                break
            except NoFarmEvent as error:
                reason = str(error)
                break
            match event:
                case Unreachable():
                    reason = event.reason
                    continue
                case Connected():
                    self._hear_first(event)
                case Joined():
                    devices.add(event.device)
                case Left():
                    devices.discard(event.device)
            self._inbox.put(event)
        for device in sorted(devices):
            self._inbox.put(Left(device, reason))
        return reason


def _send_orders(orders: "queue.SimpleQueue[Order]", pipe: Connection) -> None:
    with pipe:
        while True:
            order = orders.get()
            try:
                pipe.send(order)
            except OSError:
                return
            if order is None:
                return
