"""The engine's hands on a machine of the farm: the body of a Ray actor, one a device.

It holds one child process of the very kind that runs at home (`pool/worker_main.py`), starts and
ends it when told to, and streams back what it says. So a kernel that hangs is killed on the spot, and
all that the supervisor knows about children holds here too. Nothing of Ray is imported in this file.
"""

import queue
import threading
import time
from collections.abc import Iterator
from gettext import gettext as _

from engine import __version__
from engine.pool.launcher import ChildEvent, Heard
from engine.pool.messages import Beat, Setup, ToChild
from engine.pool.processes import LocalProcesses

PATIENCE_SECONDS = 0.3
QUIET_SECONDS = 30.0
"""Of a child's heartbeats one in so many seconds is handed on: each costs the head some 2 ms."""


class Hands:
    """Drives one device of this machine. `device` is its name here: "cpu", or "cuda:0"."""

    def __init__(self, device: str, setup: Setup, version: str) -> None:
        """`version`: of the engine that hires these hands; results of another are not asked for."""
        if version != __version__:
            raise RuntimeError(
                _("this machine has cpc-engine {version}, and the head has {wanted}").format(
                    version=__version__, wanted=version
                )
            )
        self._device = device
        self._events: queue.SimpleQueue[ChildEvent | None] = queue.SimpleQueue()
        self._orders: queue.SimpleQueue[tuple[str, int, ToChild] | None] = queue.SimpleQueue()
        # Linux ends a child with the thread that started it, and Ray's threads are Ray's.
        threading.Thread(target=self._drive, args=(setup,), daemon=True).start()

    def spawn(self, generation: int) -> None:
        """Start a child."""
        self._orders.put(("spawn", generation, None))

    def tell(self, generation: int, message: ToChild) -> None:
        """Hand a message to that child, unless it is gone."""
        self._orders.put(("tell", generation, message))

    def kill(self, generation: int) -> None:
        """End that child, whatever it does."""
        self._orders.put(("kill", generation, None))

    def stop(self) -> None:
        """End the child, and the stream of events."""
        self._orders.put(None)

    def listen(self) -> Iterator[ChildEvent]:
        """What the child says, and its end, for as long as these hands are hired."""
        spoke = 0.0
        while (event := self._events.get()) is not None:
            is_beat = isinstance(event, Heard) and isinstance(event.message, Beat)
            if is_beat and time.monotonic() - spoke < QUIET_SECONDS:
                continue
            spoke = time.monotonic()
            yield event

    def _drive(self, setup: Setup) -> None:
        processes = LocalProcesses(self._events, setup)
        while (order := self._orders.get()) is not None:
            what, generation, message = order
            match what:
                case "spawn":
                    processes.spawn(self._device, generation)
                case "tell":
                    processes.tell(self._device, generation, message)
                case "kill":
                    processes.kill(self._device, generation)
        processes.stop(PATIENCE_SECONDS)
        self._events.put(None)
