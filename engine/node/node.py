"""Prepares a mining run: asks the node who it is, checks what must be right, opens the ledger.

summary = mine_on(MineRequest(urls=["http://localhost:8000"]), key, PlainReporter())
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import partial
from gettext import gettext as _
from pathlib import Path

from engine.mining.config import MineSettings, Summary
from engine.mining.loop import Launch, Miner
from engine.monitor.events.run import MiningStarted, Warned
from engine.monitor.reporter import Reporter
from engine.node.preflight import (
    Chain,
    check_balance,
    check_clock,
    check_disk,
    check_gas_price,
    demand,
    look_at_chain,
)
from engine.pool.limits import Limits
from engine.pool.processes import LocalProcesses
from engine.protection.sensors import NO_WISHES, Protection
from engine.runtime.errors import BadInput, SetupError
from engine.runtime.paths import ledger_path
from engine.runtime.signals import stop_on_signals
from engine.runtime.systemd import Manager
from engine.tasks.defaults import DEFAULT_ITERATIONS, DEFAULT_OPENINGS, DEFAULT_SIZE
from engine.txmgr.ledger import Ledger
from engine.txmgr.manager import SenderSettings
from kernels.devices import chosen_devices
from node_client.keys import PrivateKey
from node_client.rpc import NodeClient

STALE_BLOCKS = 3
"""Without a new block for so many block times, a node that is higher is looked for."""

Attend = Callable[[Miner], AbstractContextManager[object]]
"""Makes what is open while the miner runs."""


@dataclass(frozen=True, slots=True)
class MineRequest:
    """What the operator asked for; None stands for the network's or this program's default."""

    urls: list[str]
    devices: tuple[str, ...] = ("auto",)
    threads: int | None = None
    size: int = DEFAULT_SIZE
    iterations: int = DEFAULT_ITERATIONS
    openings: int = DEFAULT_OPENINGS
    tasks_per_block: int | None = 1
    ray: str | None = None
    """Address of a Ray cluster whose machines do the work."""
    blocks: int | None = None
    depth: int = 6
    gas_price: int | None = None
    max_gas_price: int | None = None
    ledger: Path | None = None
    protection: Protection = NO_WISHES
    limits: Limits = field(default_factory=Limits)


def mine_on(
    request: MineRequest,
    key: PrivateKey,
    report: Reporter,
    *attend: Attend,
    launch: Launch | None = None,
) -> Summary:
    """Check everything, then mine until done or stopped. Raises the wings' errors.

    Each `attend` makes what is open while the miner runs: a door for `pause` and `resume`, say.
    `launch` starts the children: another one only in tests of faults.
    """
    if len(set(request.devices)) < len(request.devices):
        raise SetupError(
            _("a device is named twice: each gets one child"), advice=_("Name it once.")
        )
    client = NodeClient(request.urls)
    chain = look_at_chain(client)
    price = chain.network.min_gas_price if request.gas_price is None else request.gas_price
    path = request.ledger or ledger_path(chain.chain_id, chain.genesis, key.address)
    for check in (
        check_gas_price(chain.network, price),
        check_clock(chain),
        check_balance(client, key.address, price),
        check_disk(path.parent),
    ):
        if demand(check).state == "warn":
            report(Warned(check.name, check.found, check.fix))
    devices, usual = _devices(request)
    settings = MineSettings(
        chain_id=chain.chain_id,
        sending=SenderSettings(chain.network, price, request.depth, request.max_gas_price),
        devices=devices,
        threads=request.threads,
        size=request.size,
        iterations=request.iterations,
        openings=request.openings,
        tasks_per_block=request.tasks_per_block,
        blocks=request.blocks,
        protection=request.protection,
        limits=request.limits,
    )
    report(
        MiningStarted(
            address=key.address,
            chain_id=chain.chain_id,
            devices=", ".join(devices)
            or _("the machines of the Ray cluster {ray}").format(ray=request.ray),
            node=request.urls[0],
            network=chain.network.name,
            height=chain.status.height,
            block_time=chain.network.block_time,
            size=request.size,
            iterations=request.iterations,
            ledger=str(path),
        )
    )
    with Ledger.open(
        path, chain_id=chain.chain_id, genesis=chain.genesis, address=key.address
    ) as ledger:
        miner = Miner(
            settings,
            lambda: pinned_client(request.urls, chain),
            key,
            ledger,
            report,
            launch=launch or usual,
            manager=Manager.from_environment(),
        )
        with ExitStack() as stack:
            for open_beside in attend:
                stack.enter_context(open_beside(miner))
            stack.enter_context(stop_on_signals(miner.stop, miner.child_pids))
            return miner.run()


def pinned_client(urls: list[str], chain: Chain) -> NodeClient:
    """A client that takes no other chain for this one, and no node that fell behind."""
    return NodeClient(
        urls,
        genesis=chain.pinned_genesis,
        stale_after=STALE_BLOCKS * chain.network.block_time,
    )


def _devices(request: MineRequest) -> tuple[tuple[str, ...], Launch]:
    """The devices known now, and what starts their children: processes here, or a farm."""
    if request.ray is None:
        return chosen_devices(request.devices), LocalProcesses
    from engine.pool.ray.launcher import Farm  # Ray's machines: nobody else pays for it

    if request.devices not in (("auto",), ("cpu",), ("cuda",)):
        raise BadInput(
            _("with --ray a device is no card of one machine"),
            advice=_(
                "Use --device cuda or --device cpu for that kind alone, or leave it out for both."
            ),
        )
    return (), partial(Farm, request.ray, wanted=request.devices[0])
