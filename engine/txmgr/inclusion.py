"""Reads every block once, in order, for our transactions, and notices roll-backs.

Only a block that holds a transaction proves it: receipts were seen to stay `pending` for ever. So
the ledger keeps the hash of every block searched, each next block must name the last as its parent,
and where it does not, the blocks that the two chains do not share are taken back.

A block is what a node says it is: anyone can make one up, with any `from_address` in it. What counts
in it is a transaction that our key has signed, under numbers with which the chain would take it.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from gettext import gettext as _

from engine.monitor.events.sending import PaymentReceived
from engine.monitor.reporter import Reporter
from engine.runtime.errors import LedgerError
from engine.tasks.defaults import TASK_LIFETIME_BLOCKS
from engine.txmgr.ledger import UNKNOWN_GENESIS, Ledger
from node_client.block import Block
from node_client.errors import NodeError, NotFound
from node_client.networks import Network
from node_client.nonce_proof import own_transactions
from node_client.rpc import NodeClient, NodeStatus
from node_client.transaction import Transaction, TxType

BLOCKS_A_TURN = 64
"""Read at most so many before something else gets its turn: a block takes some 20 ms."""
AGAIN_KEPT = 16
AGAIN_MOST_BLOCKS = 64
"""Blocks with a fault that are looked into again, and the longest wait for that."""
FRESH_BLOCKS = 10
"""A tip that is younger than so many block times is the chain's, and its node does not sync."""
CLOCK_SLACK_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class RolledBack:
    """Blocks `first` to `last` are gone from the chain; `parent` (height, hash) still stands."""

    first: int
    last: int
    parent: tuple[int, str]


class ChainScan:
    """Brings the ledger up to the node's tip."""

    def __init__(
        self,
        client: NodeClient,
        ledger: Ledger,
        address: str,
        network: Network,
        clock: Callable[[], float] = time.time,
        report: Reporter = lambda _event: None,
    ) -> None:
        """`clock`: Unix time, in seconds, which tells a fresh tip from an old one."""
        self._report = report
        self._client = client
        self._ledger = ledger
        self._address = address
        self._network = network
        self._clock = clock
        self.elsewhere_at: int | None = None
        """Height of the last block with a transaction that another program signed with our key."""
        self.unreadable: list[tuple[int, str]] = []
        """Heights and faults of blocks that were followed by their header, for the caller to take."""
        self._again: dict[int, tuple[int, int]] = {}  # by height: the tip to look at, and the wait

    def advance(self, tip: NodeStatus, stop: Callable[[], bool]) -> RolledBack | None:
        """Search the next blocks up to `tip`, one turn's worth. Gives the last roll-back found.

        A new ledger begins at the tip: no older block can hold a transaction that it has signed.
        Raises LedgerError where the node serves a chain that began anew.
        """
        self._look_again(tip.height)
        position = self._ledger.scan_position()
        if position is None:
            self._begin(self._client.block(tip.height, expected_hash=tip.last_hash))
            return None
        rolled_back = None
        height, block_hash = position
        if tip.height <= height:
            known = self._ledger.scanned_hash(tip.height)
            if known == tip.last_hash:
                return None  # the tip as known, or a node that is behind
            if known is None:
                self._check_genesis()
                return self._leave(height, tip)
            rolled_back = self._take_back(tip.height, height)
            height, block_hash = rolled_back.parent
        for _turn in range(BLOCKS_A_TURN):
            if height >= tip.height or stop():
                break
            block = self._next(height + 1, tip)
            if block.header.prev_hash != block_hash:
                rolled_back = self._take_back(height, height)
                height, block_hash = rolled_back.parent
                continue
            height, block_hash = block.height, block.hash()
            self._search(block, block_hash)
        return rolled_back

    def _next(self, height: int, tip: NodeStatus) -> Block:
        """The block at this height; the tip may have been read for mining already."""
        if height == tip.height:
            block = self._client.known_block(tip.last_hash)
            if block is not None and block.height == height:
                return block
        return self._client.block(height)

    def blocks_behind(self, tip: NodeStatus) -> int | None:
        """How many blocks up to `tip` wait to be searched; None where the node itself is behind."""
        position = self._ledger.scan_position()
        if position is None or position[0] < tip.height:
            return tip.height - (position[0] if position else -1)
        return 0 if position == (tip.height, tip.last_hash) else None

    def _begin(self, block: Block) -> str:
        """Go on from this block, whatever was read before. Return its hash."""
        block_hash = block.hash()
        self._ledger.begin_scan(block.height)
        self._search(block, block_hash)
        return block_hash

    def _search(self, block: Block, block_hash: str) -> None:
        if block.fault:
            self.unreadable.append((block.height, block.fault))
            self._again[block.height] = (block.height + 1, 1)
            while len(self._again) > AGAIN_KEPT:
                del self._again[min(self._again)]
        # Signatures are looked at before anybody waits for the ledger.
        ours, received = self._ours(block), list(self._received(block))
        with self._ledger.together():
            self._record(ours, block, block_hash)
            new = [tx for tx in received if self._ledger.record_received(tx, block.height)]
            self._ledger.record_scanned(block.height, block_hash)
        for tx in new:
            self._report(PaymentReceived(tx.amount, block.height, tx.hash(), tx.from_address))

    def _look_again(self, tip_height: int) -> None:
        """Look into a block with a fault once more: later, or on another node, it may have none.

        One a turn, and after twice as many blocks each time: it may be as large as a body can be.
        """
        due = [height for height, (at, _wait) in self._again.items() if at <= tip_height]
        for height in due[:1]:
            _at, wait = self._again.pop(height)
            fault = True
            with suppress(NodeError):
                block = self._client.block(height)
                if block.hash() != self._ledger.scanned_hash(height):
                    break  # rolled back
                self._record(self._ours(block), block, block.hash())
                for tx in self._received(block):
                    self._ledger.record_received(tx, block.height)
                fault = bool(block.fault)
            if fault and wait < AGAIN_MOST_BLOCKS:
                self._again[height] = (tip_height + 2 * wait, 2 * wait)

    def _ours(self, block: Block) -> list[Transaction]:
        """But for another reading of our digits, which the chain does not take."""
        least = self._network.min_gas_price
        return [tx for tx in own_transactions(block, self._address) if tx.gas_price >= least]

    def _received(self, block: Block) -> Iterator[Transaction]:
        """Give the transfers of others to this account, each signed by its sender."""
        for served in block.txs:
            if served.tx_type != TxType.TRANSFER or served.to_address != self._address:
                continue
            tx = served.own(served.from_address)
            if tx is not None and tx.from_address != self._address:
                yield tx

    def _record(self, ours: list[Transaction], block: Block, block_hash: str) -> None:
        for tx in ours:
            if not self._ledger.record_included(tx, block.height, block_hash):
                self._ledger.record_elsewhere(tx, block.height, block_hash)
                self.elsewhere_at = block.height

    def _leave(self, height: int, tip: NodeStatus) -> RolledBack | None:
        """Leave a position above the tip that is no part of the chain; None if it may yet be.

        A node that syncs is below our position as well, but its tip is old. A fresh one says that
        the position was made up: go on from the last block that both chains share, or else from so
        far back that no block is missed which can hold an answer that still counts.
        """
        newest = self._client.block(tip.height, expected_hash=tip.last_hash)
        age = self._clock() - newest.header.timestamp
        if age > FRESH_BLOCKS * self._network.block_time + CLOCK_SLACK_SECONDS:
            return None
        for known_height, known_hash in self._ledger.scanned_blocks(tip.height):
            if self._client.block(known_height).hash() == known_hash:
                self._ledger.roll_back(above=known_height)
                return RolledBack(known_height + 1, height, (known_height, known_hash))
        try:
            first = self._client.block(max(0, tip.height - TASK_LIFETIME_BLOCKS))
        except NotFound:
            first = newest  # a node that keeps no older ones
        return RolledBack(first.height, height, (first.height, self._begin(first)))

    def _take_back(self, from_height: int, last: int) -> RolledBack:
        """Step down to the last block that both chains share, and forget what came after."""
        self._check_genesis()
        height = from_height
        while True:
            block = self._client.block(height)
            block_hash, known = block.hash(), self._ledger.scanned_hash(height)
            if known in (block_hash, None):
                break
            height -= 1
        if known is None:  # deeper than the ledger remembers: go on from what the chain has now
            self._begin(block)
        else:
            self._ledger.roll_back(above=height)
        return RolledBack(height + 1, last, (height, block_hash))

    def _check_genesis(self) -> None:
        if (self._client.genesis() or UNKNOWN_GENESIS) != self._ledger.genesis:
            raise LedgerError(
                _(
                    "the node serves another chain now: its first block is not the one that this"
                    " ledger began with"
                ),
                advice=_("A devnet that was started again begins anew. Start mine again, too."),
            )
