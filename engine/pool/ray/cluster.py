"""Ray, and nothing else: the cluster's machines, and an actor for each device of theirs.

Ray is an extra: this module imports it when a cluster is joined.
"""

import importlib
import importlib.util
import logging
import os
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from gettext import gettext as _
from typing import Any, Literal

from engine import __version__
from engine.pool.codec import one_line
from engine.pool.launcher import ChildEvent, Exited, Heard
from engine.pool.messages import Order, Setup
from engine.pool.ray.actor import DeviceActor
from engine.runtime.errors import SetupError
from engine.runtime.packages import install_line

Wanted = Literal["auto", "cpu", "cuda"]
_LISTENERS = "listeners"
KNOCK_SECONDS = 5.0
HEAD_GONE_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Place:
    """A device of one machine: `gpus` is 1 for a card; `cores` are the CPU's that Ray may give."""

    name: str
    node_id: str
    gpus: int
    cores: int


class FarmError(Exception):
    """The cluster, a machine of it or an actor failed; `str()` is one line."""


def require_ray() -> None:
    """Raise SetupError where Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise SetupError(
            _("--ray needs the package ray, which is not installed"),
            advice=_("On this machine and on every other of the farm: {command}").format(
                command=install_line("ray")
            ),
        )


class Cluster:
    """A connection to a running Ray cluster. One a process: Ray keeps its state in globals."""

    def __init__(self, address: str) -> None:
        """Join as a driver. Raises FarmError where nobody answers."""
        # Ray's calls stand still while the head is gone, and it ends this process after so long.
        os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", str(HEAD_GONE_SECONDS))
        ray: Any = importlib.import_module("ray")  # its stubs lack half of what is used here
        if address != "auto":
            _knock(address)
        try:
            ray.init(
                address=address,
                namespace="cpc-engine",
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except Exception as error:
            raise FarmError(_one_line(error)) from error
        self._ray = ray

    def places(self, wanted: Wanted) -> list[Place]:
        """Every device of every living machine: its cards, or its CPU where it has none."""
        try:
            nodes = self._ray.nodes()
        except Exception as error:
            raise FarmError(_one_line(error)) from error
        return [place for node in nodes if node["Alive"] for place in _places_of(node, wanted)]

    def start_actor(self, place: Place, setup: Setup) -> "Actor":
        """Start an actor for this device. It may still be on its way; `listen` tells of failure."""
        device = "cuda:0" if place.gpus else "cpu"  # Ray shows an actor its own card alone
        threads = setup.threads or (None if place.gpus else place.cores)
        remote = self._ray.remote(
            num_gpus=place.gpus,
            num_cpus=0 if place.gpus else place.cores,
            max_restarts=0,
            scheduling_strategy=self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
                place.node_id, soft=False
            ),
            concurrency_groups={_LISTENERS: 1},  # beside the orders, which are taken one by one
        )(DeviceActor)
        handle = remote.remote(device, Setup(threads=threads, warm=setup.warm), __version__)
        return Actor(self._ray, handle)

    def leave(self) -> None:
        """Leave the cluster; Ray ends the actors that this driver started."""
        self._ray.shutdown()


class Actor:
    """A `DeviceActor` on another machine. Calls return at once; what fails ends `listen`."""

    def __init__(self, ray: Any, handle: Any) -> None:
        self._ray = ray
        self._handle = handle

    def spawn(self, generation: int) -> None:
        """As `DeviceActor.spawn`."""
        self._handle.spawn.remote(generation)

    def tell(self, generation: int, orders: Sequence[Order]) -> None:
        """As `DeviceActor.tell`."""
        self._handle.tell.remote(generation, tuple(orders))

    def kill(self, generation: int) -> None:
        """As `DeviceActor.kill`."""
        self._handle.kill.remote(generation)

    async def listen(self) -> AsyncIterator[tuple[ChildEvent, ...]]:
        """As `DeviceActor.listen`. Raises FarmError where actor, machine or network are gone."""
        try:
            listen = self._handle.listen.options(
                num_returns="streaming", concurrency_group=_LISTENERS
            )
            async for reference in listen.remote():
                events = await reference
                if not isinstance(events, tuple) or not all(
                    isinstance(event, Heard | Exited) for event in events
                ):
                    raise FarmError(_("its actor sent something that is not an event"))
                yield events
        except self._ray.exceptions.RayError as error:
            raise FarmError(_one_line(error)) from error

    def dismiss(self) -> None:
        """End the actor and its child."""
        self._ray.kill(self._handle)


def _knock(address: str) -> None:
    """Ray itself takes more than a minute to say that nobody is there."""
    host, _colon, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise FarmError(_("that is not HOST:PORT"))
    try:
        socket.create_connection((host, int(port)), KNOCK_SECONDS).close()
    except OSError as error:
        raise FarmError(error.strerror or str(error)) from None


def _places_of(node: dict[str, Any], wanted: Wanted) -> list[Place]:
    machine = f"{node['NodeManagerHostname']}-{node['NodeID'][:6]}"
    resources = node["Resources"]
    cards, cores = int(resources.get("GPU", 0)), int(resources.get("CPU", 0))
    if cards and wanted != "cpu":
        return [
            Place(f"{machine}/gpu{index}", node["NodeID"], gpus=1, cores=0)
            for index in range(cards)
        ]
    if cores and wanted != "cuda":
        return [Place(f"{machine}/cpu", node["NodeID"], gpus=0, cores=cores)]
    return []


def _one_line(error: BaseException) -> str:
    """Ray's messages carry whole tracebacks and logs; a person gets the last line that says why."""
    cause = getattr(error, "cause", None)
    text = str(cause if isinstance(cause, BaseException) else error).strip()
    return one_line(text.splitlines()[0], 300) if text else type(error).__name__
