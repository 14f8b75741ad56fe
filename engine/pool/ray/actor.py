"""The body of a Ray actor, one a device, on a machine of the farm.

It holds one child process of the very kind that runs at home (`pool/worker_main.py`), starts and
ends it when told to, and streams back what it says. So a kernel that hangs is killed on the spot, and
all that the supervisor knows about children holds here too. Nothing of Ray is imported in this file.
"""

import queue
import threading
import time
from collections.abc import Iterator
from gettext import gettext as _
from multiprocessing.connection import wait

from engine import __version__
from engine.pool.actions import Kill, Spawn, Tell
from engine.pool.executor import Inbox
from engine.pool.launcher import Heard, LauncherEvent
from engine.pool.messages import Beat, Setup, ToChild
from engine.pool.processes import LocalProcesses

PATIENCE_SECONDS = 0.3
TURN_SECONDS = 0.2
QUIET_SECONDS = 30.0
"""Of a child's heartbeats one in so many seconds is handed on: each costs the head some 2 ms."""


class DeviceActor:
    """Drives one device of this machine. `device` is its name here: "cpu", or "cuda:0"."""

    def __init__(self, device: str, setup: Setup, version: str) -> None:
        """`version`: of the engine that starts this actor; results of another are not asked for."""
        if version != __version__:
            message = _("this machine has cpc-engine {version}, and the head has {wanted}")
            raise RuntimeError(message.format(version=__version__, wanted=version))
        self._device = device
        self._events: queue.SimpleQueue[LauncherEvent | None] = queue.SimpleQueue()
        self._orders: Inbox[Spawn | Tell | Kill | None] = Inbox()
        # Linux ends a child with the thread that started it, and Ray's threads are Ray's.
        threading.Thread(target=self._drive, args=(setup,), daemon=True).start()

    def spawn(self, generation: int) -> None:
        """Start a child."""
        self._orders.put(Spawn(self._device, generation))

    def tell(self, generation: int, message: ToChild) -> None:
        """Hand a message to that child, unless it is gone."""
        self._orders.put(Tell(self._device, generation, message))

    def kill(self, generation: int) -> None:
        """End that child, whatever it does."""
        self._orders.put(Kill(self._device, generation, ""))

    def stop(self) -> None:
        """End the child, and the stream of events."""
        self._orders.put(None)

    def listen(self) -> Iterator[LauncherEvent]:
        """Yield what the child says, and its end, for as long as this actor lives."""
        spoke = 0.0
        while (event := self._events.get()) is not None:
            is_beat = isinstance(event, Heard) and isinstance(event.message, Beat)
            if is_beat and time.monotonic() - spoke < QUIET_SECONDS:
                continue
            spoke = time.monotonic()
            yield event

    def _drive(self, setup: Setup) -> None:
        processes = LocalProcesses(setup)
        orders: list[Spawn | Tell | Kill | None] = []
        while None not in orders:
            ready = wait([self._orders.fileno(), *processes.sources()], TURN_SECONDS)
            orders = self._orders.take()
            for order in orders:
                match order:
                    case Spawn(device, generation):
                        processes.spawn(device, generation)
                    case Tell(device, generation, message):
                        processes.tell(device, generation, message)
                    case Kill(device, generation):
                        processes.kill(device, generation)
            for event in processes.read(ready):
                self._events.put(event)
        processes.stop(PATIENCE_SECONDS)
        self._orders.close()
        self._events.put(None)
