"""The gateway: a process without a key that talks to the cluster, so that the engine need not.

Orders come in through a pipe from the engine (Spawn, Tell, Kill); events go out through another, as
JSON (`events.py`). Where the cluster is lost this process ends, by itself or by Ray's hand, and the
engine starts another. Ray's own driver code runs here and nowhere else.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from gettext import gettext as _
from multiprocessing.connection import Connection
from pathlib import Path

from engine.pool.actions import Kill, Spawn, Tell
from engine.pool.launcher import ChildEvent, Connected, Exited, Heard, Joined, Left, Unreachable
from engine.pool.messages import Failed, Setup
from engine.pool.ray.cluster import Actor, Cluster, FarmError, Place, Wanted
from engine.pool.ray.events import FarmEvent, NoFarmEvent, write
from kernels.data import carry_data
from kernels.errors import InvalidTask

WATCH_SECONDS = 2.0

Order = Spawn | Tell | Kill | None


def gateway_main(
    address: str, wanted: Wanted, setup: Setup, orders: Connection, events: Connection
) -> None:
    """Entry point of the process: until the engine ends it, or is gone, or the cluster is."""
    _be_quiet()

    def tell_engine(event: FarmEvent) -> None:
        events.send_bytes(write(event))

    try:
        cluster = Cluster(address)
        tell_engine(Connected(address))
        asyncio.run(Gateway(cluster, wanted, setup, tell_engine).run(orders))
        cluster.leave()
    except FarmError as error:
        tell_engine(Unreachable(str(error)))
        raise SystemExit(1) from None
    except (BrokenPipeError, EOFError):
        return


def _be_quiet() -> None:
    """Ray's libraries write what they think of lost machines to the terminal, which is the engine's."""
    with Path(os.devnull).open("w") as nowhere:
        for stream in (1, 2):
            os.dup2(nowhere.fileno(), stream)


@dataclass(slots=True)
class _Hired:
    actor: Actor
    generation: int


class Gateway:
    """Devices of the cluster as they come and go, and an actor for each that is in use."""

    def __init__(
        self,
        cluster: Cluster,
        wanted: Wanted,
        setup: Setup,
        tell_engine: Callable[[FarmEvent], None],
    ) -> None:
        self._cluster = cluster
        self._wanted = wanted
        self._setup = setup
        self._tell_engine = tell_engine
        self._places: dict[str, Place] = {}
        self._hired: dict[str, _Hired] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, orders: Connection) -> None:
        """Carry out orders until there are no more. Raises FarmError where the cluster is lost."""
        line: asyncio.Queue[Order] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        threading.Thread(target=_read_orders, args=(orders, line, loop), daemon=True).start()
        watching = asyncio.create_task(self._watch())
        try:
            while not watching.done():
                ordered = asyncio.create_task(line.get())
                await asyncio.wait((ordered, watching), return_when=asyncio.FIRST_COMPLETED)
                if not ordered.done():
                    ordered.cancel()
                    break
                if (order := ordered.result()) is None:
                    return
                self._carry_out(order)
            watching.result()
        finally:
            watching.cancel()
            for hired in self._hired.values():
                hired.actor.dismiss()

    async def _watch(self) -> None:
        """Tell of devices that come and go."""
        while True:
            found = await asyncio.to_thread(self._cluster.places, self._wanted)
            places = {place.name: place for place in found}
            for name in self._places.keys() - places.keys():
                self._let_go(name, _("its machine left the cluster"))
            joined = places.keys() - self._places.keys()
            self._places = places
            for name in sorted(joined):
                self._tell_engine(Joined(name))
            await asyncio.sleep(WATCH_SECONDS)

    def _let_go(self, device: str, reason: str) -> None:
        hired = self._hired.pop(device, None)
        if hired is not None:
            hired.actor.dismiss()
        self._tell_engine(Left(device, reason))

    def _carry_out(self, order: Spawn | Tell | Kill) -> None:
        if isinstance(order, Spawn):
            self._spawn(order)
            return
        hired = self._hired.get(order.device)
        if hired is None or hired.generation != order.generation:
            return
        if isinstance(order, Tell):
            self._tell(order, hired.actor)
        else:
            hired.actor.kill(order.generation)

    def _tell(self, order: Tell, actor: Actor) -> None:
        """Hand a message on, with the data that lies in files here: the actor does not see them."""
        try:
            actor.tell(order.generation, carry_data(order.message))
        except InvalidTask as error:
            assert order.message is not None
            failed = Failed(order.message.ticket, type(error).__name__, str(error))
            self._tell_engine(Heard(order.device, order.generation, failed))

    def _spawn(self, order: Spawn) -> None:
        place = self._places.get(order.device)
        if place is None:  # it left while the order was on its way
            self._tell_engine(Exited(order.device, order.generation, None))
            return
        hired = self._hired.get(order.device)
        if hired is None:
            hired = _Hired(self._cluster.hire(place, self._setup), order.generation)
            self._hired[order.device] = hired
            listening = asyncio.create_task(self._listen(order.device, hired))
            self._tasks.add(listening)
            listening.add_done_callback(self._tasks.discard)
        hired.generation = order.generation
        hired.actor.spawn(order.generation)

    async def _listen(self, device: str, hired: _Hired) -> None:
        """Hand on what the device's child says, for as long as its actor lives."""
        try:
            async for event in hired.actor.listen():
                self._tell_engine(_renamed(event, device))
            reason = _("its actor ended")
        except (FarmError, NoFarmEvent) as error:
            reason = str(error)
        if self._hired.get(device) is hired:
            del self._hired[device]
            with suppress(FarmError):
                hired.actor.dismiss()  # where only the way to it is gone, it may live on
            failed = Failed(None, "ActorLost", reason)
            self._tell_engine(Heard(device, hired.generation, failed))


def _renamed(event: ChildEvent, device: str) -> ChildEvent:
    """The event under the name that the device has in the farm."""
    if isinstance(event, Heard):
        return Heard(device, event.generation, event.message)
    return Exited(device, event.generation, event.exitcode)


def _read_orders(
    orders: Connection, line: "asyncio.Queue[Order]", loop: asyncio.AbstractEventLoop
) -> None:
    while True:
        try:
            order: Order = orders.recv()
        except (EOFError, OSError):
            order = None
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(line.put_nowait, order)
        if order is None:
            return
