"""Reads every block once, in order, for our transactions, and notices roll-backs.

Only a block that holds a transaction proves it: receipts were seen to stay `pending` for ever. So
the ledger keeps the hash of every block searched, each next block must name the last as its parent,
and where it does not, the blocks that the two chains do not share are taken back.
"""

from collections.abc import Callable
from dataclasses import dataclass

from engine.ledger import Ledger
from node_client.block import Block
from node_client.rpc import NodeClient, NodeStatus


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
        """Search the blocks up to `tip`. Gives the roll-back where there was one.

        A new ledger begins at the tip: no older block can hold a transaction that it has signed.
        """
        position = self._ledger.scan_position()
        if position is None:
            block = self._client.block(tip.height, expected_hash=tip.last_hash)
            self._search(block, tip.last_hash)
            return None
        rolled_back = None
        height, block_hash = position
        if tip.height <= height:
            if self._ledger.scanned_hash(tip.height) == tip.last_hash:
                return None  # the tip as known, or a node that is behind
            rolled_back = self._take_back(tip.height, height)
            height, block_hash = rolled_back.parent
        while height < tip.height and not stop():
            block = self._client.block(height + 1)
            if block.header.prev_hash != block_hash:
                rolled_back = self._take_back(height, height)
                height, block_hash = rolled_back.parent
                continue
            height, block_hash = block.height, block.hash()
            self._search(block, block_hash)
        return rolled_back

    def caught_up(self, tip: NodeStatus) -> bool:
        """Whether everything up to this very tip was searched."""
        return self._ledger.scan_position() == (tip.height, tip.last_hash)

    def _search(self, block: Block, block_hash: str) -> None:
        for tx in block.txs:
            if tx.from_address != self._address:
                continue
            if not self._ledger.record_included(tx.hash(), block.height, block_hash):
                self._ledger.abandon_nonce(tx.nonce, f"{tx.hash()} took the nonce")
        self._ledger.record_scanned(block.height, block_hash)

    def _take_back(self, from_height: int, last: int) -> RolledBack:
        """Step down to the last block that both chains share, and forget what came after."""
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
