"""The account on the chain that a node sends from: checked, with its ledger and its one sender."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path

from engine.monitor.events.run import MiningStarted, Warned
from engine.monitor.reporter import Reporter
from engine.monitor.troubles import Troubles
from engine.node import preflight
from engine.node.agreement import Agreement
from engine.node.request import NodeRequest
from engine.runtime.database import Waits, lock_beside_key
from engine.runtime.paths import ledger_name, ledger_path
from engine.txmgr.ledger import Ledger
from engine.txmgr.manager import Sender
from engine.txmgr.signer import SenderSettings
from node_client.evidence import Evidence
from node_client.keys import PrivateKey
from node_client.recent_blocks import RecentBlocks
from node_client.rpc import NodeClient

STALE_BLOCKS = 3
"""Without a new block for so many block times, a node that is higher is looked for."""

ANCHOR_DEPTH = 10


@dataclass(frozen=True, slots=True)
class Account:
    """`connect` makes a client: every thread has one of its own, as sessions are not shared."""

    chain: preflight.Chain
    path: Path
    ledger: Ledger
    sender: Sender
    connect: Callable[[], NodeClient]

    def started(self, request: NodeRequest, address: str, devices: str) -> MiningStarted:
        """Return what is told at the start of mining."""
        chain, mining = self.chain, request.mining
        assert mining is not None
        return MiningStarted(
            address=address,
            chain_id=chain.chain_id,
            devices=devices or _("the machines of the Ray cluster {ray}").format(ray=request.ray),
            node=request.urls[0],
            network=chain.network.name,
            height=chain.status.height,
            block_time=chain.network.block_time,
            size=mining.size,
            iterations=mining.iterations,
            ledger=str(self.path),
        )


@dataclass(frozen=True, slots=True)
class Look:
    """What a node says before the start, found right. `price`: units a gas; `path`: the ledger's."""

    chain: preflight.Chain
    price: int
    path: Path
    warnings: tuple[preflight.Check, ...]


def look_at_node(request: NodeRequest, address: str) -> Look:
    """Ask the nodes, and check everything that needs no ledger. Raises the wings' errors."""
    client = NodeClient(list(request.urls), evidence=Evidence())
    try:
        chain = preflight.look_at_chain(client)
        price = chain.network.min_gas_price if request.gas_price is None else request.gas_price
        path = request.ledger or ledger_path(chain.chain_id, chain.genesis, address)
        checks = (
            preflight.check_nodes(chain),
            preflight.check_transport(client),
            preflight.check_gas_price(chain.network, price),
            preflight.check_clock(chain),
            preflight.check_balance(client, address, chain.network, price),
            preflight.check_disk(path.parent),
        )
    finally:
        client.close()
    warnings = tuple(check for check in checks if preflight.demand(check).state == "warn")
    return Look(chain, price, path, warnings)


@contextmanager
def open_account(
    request: NodeRequest,
    key: PrivateKey,
    look: Look,
    report: Reporter,
    troubles: Troubles,
    failed: Callable[[Exception], None],
    waits: Waits,
) -> Iterator[Account]:
    """Open the ledger of the account that `look` was taken of. The sender is not started.

    `troubles` is the run's only one; `failed` is told what the sender ended of, and `waits` where
    another program keeps the ledger locked. Raises LedgerError.
    """
    for check in look.warnings:
        report(Warned(check.name, check.found, check.fix))
    urls, chain, path = list(request.urls), look.chain, look.path
    settings = SenderSettings(
        chain.network, look.price, request.depth, request.max_gas_price, request.confirmed_nonce
    )
    with (
        Ledger.open(
            path,
            chain_id=chain.chain_id,
            genesis=chain.genesis,
            address=key.address,
            waits=waits,
        ) as ledger,
        lock_beside_key(request.keys, ledger_name(chain.chain_id, chain.genesis, key.address)),
    ):
        evidence, recent = Evidence(anchor=_anchor(ledger)), RecentBlocks()
        block_time = chain.network.block_time

        def connect() -> NodeClient:
            """Make a client that takes no other chain for this one, and no node that fell behind."""
            return NodeClient(
                urls,
                genesis=chain.pinned_genesis,
                stale_after=STALE_BLOCKS * block_time,
                evidence=evidence,
                recent=recent,
            )

        sender = Sender(connect(), ledger, key, settings, report, troubles, failed)
        agreement = Agreement(connect(), key.address, block_time, troubles, failed)
        if len(urls) > 1:
            agreement.start()
        try:
            yield Account(chain, path, ledger, sender, connect)
        finally:
            agreement.stopping.set()


def _anchor(ledger: Ledger) -> tuple[int, str] | None:
    """A block that an earlier run has read, below what may have been rolled back since."""
    position = ledger.scan_position()
    height = 0 if position is None else position[0] - ANCHOR_DEPTH
    known = ledger.scanned_hash(height)
    return None if known is None else (height, known)
