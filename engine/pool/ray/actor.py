"""The body of a Ray actor, one a device, on a machine of the farm.

It holds one child process of the very kind that runs at home (`pool/worker_main.py`), starts and
ends it when told to, and streams back what it says. So a kernel that hangs is killed on the spot, and
all that the supervisor knows about children holds here too. Nothing of Ray is imported in this file.
"""

import queue
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from gettext import gettext as _
from multiprocessing.connection import wait

from engine import __version__
from engine.pool.actions import Batch, Kill, Spawn
from engine.pool.executor import Inbox
from engine.pool.launcher import Heard, LauncherEvent
from engine.pool.messages import Beat, Order, Setup
from engine.pool.processes import LocalProcesses

PATIENCE_SECONDS = 0.3
TURN_SECONDS = 0.2
QUIET_SECONDS = 30.0
"""Of a child's heartbeats one in so many seconds is handed on: each costs the head some 2 ms."""


MOST_AT_ONCE = 64
"""Events that are handed on together."""


class DeviceActor:
    """Drives one device of this machine. `device` is its name here: "cpu", or "cuda:0"."""

    def __init__(self, device: str, setup: Setup, version: str) -> None:
        """`version`: of the engine that starts this actor; results of another are not asked for."""
        if version != __version__:
            message = _("this machine has cpc-engine {version}, and the head has {wanted}")
            raise RuntimeError(message.format(version=__version__, wanted=version))
        self._device = device
        self._events: queue.SimpleQueue[LauncherEvent | None] = queue.SimpleQueue()
        self._orders: Inbox[Spawn | Batch | Kill | None] = Inbox()
        # Linux ends a child with the thread that started it, and Ray's threads are Ray's.
        threading.Thread(target=self._drive, args=(setup,), daemon=True).start()

    def spawn(self, generation: int) -> None:
        """Start a child."""
        self._orders.put(Spawn(self._device, generation))

    def tell(self, generation: int, orders: tuple[Order, ...]) -> None:
        """Hand orders to that child, unless it is gone."""
        self._orders.put(Batch(self._device, generation, orders))

    def kill(self, generation: int) -> None:
        """End that child, whatever it does."""
        self._orders.put(Kill(self._device, generation, ""))

    def stop(self) -> None:
        """End the child, and the stream of events."""
        self._orders.put(None)

    def listen(self) -> Iterator[tuple[LauncherEvent, ...]]:
        """Yield what the child says, and its end, for as long as this actor lives.

        Several at a time where they are there: each hand-over costs both sides more than an event.
        """
        spoke, ended = 0.0, False
        while not ended:
            events = [self._events.get()]
            with suppress(queue.Empty):
                while len(events) < MOST_AT_ONCE:
                    events.append(self._events.get_nowait())
            ended = None in events
            quiet = time.monotonic() - spoke < QUIET_SECONDS
            told = tuple(event for event in events if event and not (quiet and _is_beat(event)))
            if told:
                spoke = time.monotonic()
                yield told

    def _drive(self, setup: Setup) -> None:
        processes = LocalProcesses(setup)
        orders: list[Spawn | Batch | Kill | None] = []
        while None not in orders:
            ready = wait([self._orders.fileno(), *processes.sources()], TURN_SECONDS)
            orders = self._orders.take()
            for order in orders:
                match order:
                    case Spawn(device, generation):
                        processes.spawn(device, generation)
                    case Batch(device, generation, told):
                        processes.tell(device, generation, told)
                    case Kill(device, generation):
                        processes.kill(device, generation)
            for event in processes.read(ready):
                self._events.put(event)
        processes.stop(PATIENCE_SECONDS)
        self._orders.close()
        self._events.put(None)


def _is_beat(event: LauncherEvent) -> bool:
    return isinstance(event, Heard) and isinstance(event.message, Beat)
