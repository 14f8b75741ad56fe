"""Reads every block once, in order, for our transactions, and notices roll-backs.

Only a block that holds a transaction proves it: receipts were seen to stay `pending` for ever. So
the ledger keeps the hash of every block searched, each next block must name the last as its parent,
and where it does not, the blocks that the two chains do not share are taken back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from gettext import gettext as _

from engine.runtime.errors import LedgerError
from engine.txmgr.ledger import UNKNOWN_GENESIS, Ledger
from node_client.block import Block
from node_client.rpc import NodeClient, NodeStatus

BLOCKS_A_TURN = 64
"""Read at most so many before something else gets its turn: a block takes some 20 ms."""


@dataclass(frozen=True, slots=True)
class RolledBack:
    """Blocks `first` to `last` are gone from the chain; `parent` (height, hash) still stands."""

    first: int
    last: int
    parent: tuple[int, str]


class ChainScan:
    """Brings the ledger up to the node's tip."""

    def __init__(self, client: NodeClient, ledger: Ledger, address: str) -> None:
        self._client = client
        self._ledger = ledger
        self._address = address

    def advance(self, tip: NodeStatus, stop: Callable[[], bool]) -> RolledBack | None:
        """Search the next blocks up to `tip`, one turn's worth. Gives the last roll-back found.

        A new ledger begins at the tip: no older block can hold a transaction that it has signed.
        Raises LedgerError where the node serves a chain that began anew.
        """
        position = self._ledger.scan_position()
        if position is None:
            block = self._client.block(tip.height, expected_hash=tip.last_hash)
            self._search(block, tip.last_hash)
            return None
        rolled_back = None
        height, block_hash = position
        if tip.height <= height:
            known = self._ledger.scanned_hash(tip.height)
            if known == tip.last_hash:
                return None  # the tip as known, or a node that is behind
            if known is None:
                self._check_genesis()
                return None  # a node that is far behind: it syncs
            rolled_back = self._take_back(tip.height, height)
            height, block_hash = rolled_back.parent
        for _turn in range(BLOCKS_A_TURN):
            if height >= tip.height or stop():
                break
            block = self._client.block(height + 1)
            if block.header.prev_hash != block_hash:
                rolled_back = self._take_back(height, height)
                height, block_hash = rolled_back.parent
                continue
            height, block_hash = block.height, block.hash()
            self._search(block, block_hash)
        return rolled_back

    def blocks_behind(self, tip: NodeStatus) -> int | None:
        """How many blocks up to `tip` wait to be searched; None where the node itself is behind."""
        position = self._ledger.scan_position()
        if position is None or position[0] < tip.height:
            return tip.height - (position[0] if position else -1)
        return 0 if position == (tip.height, tip.last_hash) else None

    def _search(self, block: Block, block_hash: str) -> None:
        for tx in block.txs:
            if tx.from_address != self._address:
                continue
            if not self._ledger.record_included(tx.hash(), block.height, block_hash):
                why = _("{hash} took the nonce").format(hash=tx.hash())
                self._ledger.record_foreign(tx.nonce, block.height, why)
        self._ledger.record_scanned(block.height, block_hash)

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
        self._ledger.roll_back(above=height)
        if known is None:  # deeper than the ledger remembers: go on from what the chain has now
            self._search(block, block_hash)
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
