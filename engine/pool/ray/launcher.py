"""The farm as the pool sees it: a launcher whose children are on other machines.

    Pool([], report, launch=partial(Farm, "10.0.0.5:6379"))

A gateway process talks to the cluster; its frames are the events. Where the gateway or the cluster is
lost every device leaves, its jobs go back to the queue, and the devices join again with the next
gateway. Only `start` waits for the network.
"""

import time
from collections.abc import Callable, Sequence
from gettext import gettext as _
from multiprocessing.connection import Connection, wait

from engine.pool.actions import Batch, Kill, Spawn
from engine.pool.codec import decode_event
from engine.pool.launcher import Connected, Exited, Heard, Joined, LauncherEvent, Left, Unreachable
from engine.pool.messages import Computed, Done, Failed, Opened, Order, Setup
from engine.pool.processes import DEATH_SECONDS, ChildProcess, tell_each
from engine.pool.ray.actor import QUIET_SECONDS
from engine.pool.ray.cluster import Wanted, require_ray
from engine.pool.ray.gateway import Command, gateway_main
from engine.pool.task_queue import Pieces
from engine.runtime.errors import SetupError

FIRST_CONNECT_SECONDS = 60.0
BACKOFF_MOST_SECONDS = 60.0
_LOOK_AGAIN_SECONDS = 0.2

Entry = Callable[[str, Wanted, Setup, Pieces, Connection], None]


class Farm:
    """A Launcher whose devices come and go with the cluster's machines."""

    may_find_more = True
    quiet_seconds = QUIET_SECONDS

    def __init__(
        self,
        address: str,
        setup: Setup | None = None,
        *,
        wanted: Wanted = "auto",
        entry: Entry = gateway_main,
    ) -> None:
        """`entry` is what the gateway runs: another one only in tests of faults."""
        self._address = address
        self._arguments = (address, wanted, setup or Setup())
        self._entry = entry
        self._gateway: ChildProcess[LauncherEvent] | None = None
        self._closing: list[ChildProcess[LauncherEvent]] = []
        self._devices: set[str] = set()
        self._tickets: dict[str, set[int]] = {}
        self._reason = ""
        self._started = self._start_at = 0.0
        self._backoff = 1.0
        self._early: list[LauncherEvent] = []

    def start(self) -> None:
        """Start the gateway. Raises SetupError where Ray is missing or the cluster does not answer."""
        require_ray()
        deadline = time.monotonic() + FIRST_CONNECT_SECONDS
        self._start_gateway()
        while not self._early and time.monotonic() < deadline:
            # Not longer: a process that closed its sentinel may take a moment to have an exit code.
            self._early = self.read(wait(self.sources(), _LOOK_AGAIN_SECONDS))
        first = self._early[0] if self._early else Unreachable(_("no answer"))
        if not isinstance(first, Connected):
            self.stop(0.0)
            reason = first.reason if isinstance(first, Unreachable) else _("no answer")
            message = _("the Ray cluster at {address} cannot be reached: {reason}")
            advice = _("Start one with ray start --head, or name its head: --ray HOST:6379")
            raise SetupError(message.format(address=self._address, reason=reason), advice=advice)

    def sources(self) -> list[int]:
        """The gateway's pipe and sentinel."""
        return [] if self._gateway is None else self._gateway.sources

    def read(self, ready: Sequence[object]) -> list[LauncherEvent]:
        """What the gateway said; where it ended, its devices leave. Starts another one in time."""
        events, self._early = self._early, []
        self._closing = [gateway for gateway in self._closing if not gateway.close()]
        if self._gateway is None:
            if time.monotonic() >= self._start_at:
                self._start_gateway()
            return events
        for event in self._gateway.read(ready):
            match event:
                case Unreachable(reason):
                    self._reason = reason  # told once, when the gateway has ended
                    continue
                case Joined(device):
                    self._devices.add(device)
                case Left(device):
                    self._devices.discard(device)
                    self._forget(device)
                case Exited(device):
                    self._forget(device)
                case Heard(device, message=Computed() | Opened() | Done() | Failed() as answer):
                    self._tickets.get(device, set()).discard(answer.ticket)
            events.append(event)
        if self._gateway.exitcode is not None:
            events += self._lose_gateway(self._gateway)
        return events

    def spawn(self, device: str, generation: int) -> None:
        """Start a child on that device; it runs on another machine of the farm."""
        self._order(Spawn(device, generation))

    def tell(self, device: str, generation: int, orders: Sequence[Order]) -> None:
        """Send orders, unless that child is gone already."""
        gateway = self._gateway
        if gateway is None:
            return

        def tell(some: tuple[Order, ...]) -> None:
            gateway.tell(Batch(device, generation, some), some)

        for failed in tell_each(tell, orders):
            self._early.append(Heard(device, generation, failed))
        self._tickets.setdefault(device, set()).update(order.ticket for order in orders)

    def kill(self, device: str, generation: int) -> None:
        """End that child, whatever it does."""
        self._forget(device)
        self._order(Kill(device, generation, ""))

    def stop(self, patience: float) -> None:
        """Leave the cluster: its actors end, and the gateway."""
        self._order(None)
        gateways = self._closing
        if self._gateway is not None:
            if not self._gateway.join(time.monotonic() + patience):
                self._gateway.kill()
                self._gateway.join(time.monotonic() + DEATH_SECONDS)
            gateways = [*gateways, self._gateway]
        while gateways:
            gateways = [gateway for gateway in gateways if not gateway.close()]
        self._gateway, self._closing = None, []

    def _forget(self, device: str) -> None:
        """No answers are due from the device's child any more."""
        for ticket in self._tickets.pop(device, ()):
            if self._gateway is not None:
                self._gateway.frames.owed.pop(ticket, None)

    def _order(self, order: Command) -> None:
        if self._gateway is not None:
            self._gateway.tasks.put(order)

    def _start_gateway(self) -> None:
        self._started = time.monotonic()
        self._reason = _("the gateway to it ended")
        try:
            self._gateway = ChildProcess(
                self._entry, self._arguments, decode_event, name="cpc-farm"
            )
        except OSError:
            self._start_at = self._started + self._next_backoff()

    def _lose_gateway(self, gateway: ChildProcess[LauncherEvent]) -> list[LauncherEvent]:
        """The gateway ended: all devices left, and another one is started after a while."""
        self._closing.append(gateway)
        self._gateway = None
        reason = gateway.frames.error or self._reason
        left = [Left(device, reason) for device in sorted(self._devices)]
        self._devices.clear()
        self._tickets.clear()
        self._start_at = time.monotonic() + self._next_backoff()
        return [*left, Unreachable(reason)]

    def _next_backoff(self) -> float:
        if time.monotonic() - self._started > BACKOFF_MOST_SECONDS:
            self._backoff = 1.0
        wait_for, self._backoff = self._backoff, min(2 * self._backoff, BACKOFF_MOST_SECONDS)
        return wait_for
