"""The gateway: a process without a key that talks to the cluster, so that the engine need not.

Orders come in through a queue from the engine (Spawn, Batch, Kill); events go out through a pipe, as
plain data (`engine/pool/codec.py`). Where the cluster is lost this process ends, by itself or by Ray's
hand, and the engine starts another. Ray's own driver code runs here and nowhere else.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from gettext import gettext as _
from multiprocessing.connection import Connection
from pathlib import Path

from engine.pool import launcher
from engine.pool.actions import Batch, Kill, Spawn
from engine.pool.codec import BrokenMessage, check_event, encode, write_frame
from engine.pool.messages import Failed, Order, Run, Setup
from engine.pool.processes import answer_bytes, tell_each
from engine.pool.ray.cluster import Actor, Cluster, FarmError, Place, Wanted
from engine.pool.task_queue import Pieces
from engine.pool.worker_main import next_order
from kernels.data import carry_data

WATCH_SECONDS = 2.0

Command = Spawn | Batch | Kill | None


def gateway_main(
    address: str, wanted: Wanted, setup: Setup, orders: Pieces, events: Connection
) -> None:
    """Entry point of the process: until the engine ends it, or is gone, or the cluster is."""
    _be_quiet()

    def tell_engine(event: launcher.LauncherEvent) -> None:
        write_frame(events.fileno(), encode(event))

    try:
        cluster = Cluster(address)
        tell_engine(launcher.Connected(address))
        asyncio.run(Gateway(cluster, wanted, setup, tell_engine).run(orders))
        cluster.leave()
    except FarmError as error:
        tell_engine(launcher.Unreachable(str(error)))
        raise SystemExit(1) from None
    except (BrokenPipeError, EOFError):
        return


def _carried(order: Order) -> Order:
    """The order with the bytes of its data in it. Raises InvalidTask where a file is gone."""
    if not isinstance(order, Run):
        return order
    return Run(order.ticket, carry_data(order.work), order.urgent)


def _be_quiet() -> None:
    """Ray's libraries write what they think of lost machines to the terminal, which is the engine's."""
    with Path(os.devnull).open("w") as nowhere:
        for stream in (1, 2):
            os.dup2(nowhere.fileno(), stream)


@dataclass(slots=True)
class _Running:
    actor: Actor
    generation: int
    owed: dict[int, int] = field(default_factory=dict)
    """Bytes that the answer to an order may have, by ticket: no machine may send more than that."""


class Gateway:
    """Devices of the cluster as they come and go, and an actor for each that is in use."""

    def __init__(
        self,
        cluster: Cluster,
        wanted: Wanted,
        setup: Setup,
        tell_engine: Callable[[launcher.LauncherEvent], None],
    ) -> None:
        self._cluster = cluster
        self._wanted = wanted
        self._setup = setup
        self._tell_engine = tell_engine
        self._places: dict[str, Place] = {}
        self._running: dict[str, _Running] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, orders: Pieces) -> None:
        """Carry out orders until there are no more. Raises FarmError where the cluster is lost."""
        line: asyncio.Queue[Command] = asyncio.Queue()
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
            for running in self._running.values():
                running.actor.dismiss()

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
                self._tell_engine(launcher.Joined(name))
            await asyncio.sleep(WATCH_SECONDS)

    def _let_go(self, device: str, reason: str) -> None:
        running = self._running.pop(device, None)
        if running is not None:
            running.actor.dismiss()
        self._tell_engine(launcher.Left(device, reason))

    def _carry_out(self, order: Spawn | Batch | Kill) -> None:
        if isinstance(order, Spawn):
            self._spawn(order)
            return
        running = self._running.get(order.device)
        if running is None or running.generation != order.generation:
            return
        if isinstance(order, Batch):
            self._tell(order, running)
        else:
            running.actor.kill(order.generation)

    def _tell(self, batch: Batch, running: _Running) -> None:
        """Hand orders on, with the data that lies in files here: the actor does not see them."""

        def tell(orders: tuple[Order, ...]) -> None:
            owed = {order.ticket: answer_bytes(order) for order in orders}
            running.actor.tell(batch.generation, tuple(map(_carried, orders)))
            running.owed |= owed

        for failed in tell_each(tell, batch.orders):
            self._tell_engine(launcher.Heard(batch.device, batch.generation, failed))

    def _spawn(self, order: Spawn) -> None:
        place = self._places.get(order.device)
        if place is None:  # it left while the order was on its way
            self._tell_engine(launcher.Exited(order.device, order.generation, None))
            return
        running = self._running.get(order.device)
        if running is None:
            running = _Running(self._cluster.start_actor(place, self._setup), order.generation)
            self._running[order.device] = running
            listening = asyncio.create_task(self._listen(order.device, running))
            self._tasks.add(listening)
            listening.add_done_callback(self._tasks.discard)
        running.generation = order.generation
        running.owed.clear()
        running.actor.spawn(order.generation)

    async def _listen(self, device: str, running: _Running) -> None:
        """Hand on what the device's child says, for as long as its actor lives."""
        try:
            async for events in running.actor.listen():
                for event in events:
                    renamed = _renamed(event, device)
                    check_event(renamed, running.owed)
                    self._tell_engine(renamed)
            reason = _("its actor ended")
        except (FarmError, BrokenMessage) as error:
            reason = str(error)
        if self._running.get(device) is running:
            del self._running[device]
            with suppress(FarmError):
                running.actor.dismiss()  # where only the way to it is gone, it may live on
            failed = Failed(None, "ActorLost", reason)
            self._tell_engine(launcher.Heard(device, running.generation, failed))


def _renamed(event: launcher.ChildEvent, device: str) -> launcher.ChildEvent:
    """The event under the name that the device has in the farm."""
    if isinstance(event, launcher.Heard):
        return launcher.Heard(device, event.generation, event.message)
    return launcher.Exited(device, event.generation, event.exitcode)


def _read_orders(
    orders: Pieces, line: "asyncio.Queue[Command]", loop: asyncio.AbstractEventLoop
) -> None:
    while True:
        order: Command = next_order(orders)
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(line.put_nowait, order)
        if order is None:
            return
