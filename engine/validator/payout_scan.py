"""Searches blocks for the payer's transactions: linked, in order, each once.

    scan = PayoutScan(client, blocks, address, tell)
    scan.advance(client.status(), least_open=12)
    scan.height, blocks.spent(12)

Where the chain has parted from what was searched, the search goes back to the last block that both
share; where they share none that is kept (a node had made up a height, or the database is older than
this table), down from the tip to the last transaction below the least open nonce.
"""

from collections.abc import Callable, Iterable
from gettext import gettext as _
from gettext import ngettext

from engine.validator.store.payout_blocks import PayoutBlocks
from node_client.block import Block
from node_client.errors import BadResponse, NotFound
from node_client.nonce_proof import MOST_BLOCKS, own_transactions
from node_client.rpc import NodeClient, NodeStatus

BLOCKS_A_TURN = 64


class PayoutScan:
    """One account's search, through one client."""

    def __init__(
        self,
        client: NodeClient,
        blocks: PayoutBlocks,
        address: str,
        tell: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.blocks = self._blocks = blocks
        """What was found."""
        self._client = client
        self._address = address
        self._tell = tell

    @property
    def height(self) -> int:
        """Height of the last block that was searched, -1 before the first."""
        position = self._blocks.position()
        return position[0] if position else -1

    def advance(self, tip: NodeStatus, least_open: int | None) -> bool:
        """Search the next blocks up to `tip`, one turn's worth. Return whether all were searched.

        `least_open`: the least nonce of a signed transfer, None without one. A tip that is made up
        costs nothing: the first block that is not there ends the turn. Raises NodeError.
        """
        position = self._blocks.position()
        if position is None or not self._is_on_chain(*position, tip):
            if (tip.height, tip.last_hash) in self._blocks.searched():
                return False  # the same chain, as a node has it that is behind
            position = self._restart(tip, least_open)
        height, block_hash = position
        for _turn in range(BLOCKS_A_TURN):
            if height >= tip.height:
                return True
            try:
                block = self._client.block(height + 1)
            except NotFound:
                return False
            if block.header.prev_hash != block_hash:
                return False  # rolled back just now: the next turn finds where
            height, block_hash = block.height, self._search(block)
        return height >= tip.height

    def _is_on_chain(self, height: int, block_hash: str, tip: NodeStatus) -> bool:
        if height == tip.height:
            return block_hash == tip.last_hash
        return self._has(height, block_hash)

    def _has(self, height: int, block_hash: str) -> bool:
        try:
            return self._client.block(height).hash() == block_hash
        except NotFound:
            return False

    def _restart(self, tip: NodeStatus, least_open: int | None) -> tuple[int, str]:
        """Go back to a block that the chain has, and return its height and hash."""
        for height, block_hash in self._blocks.searched():
            if height <= tip.height and self._has(height, block_hash):
                self._blocks.take_back(above=height)
                return height, block_hash
        return self.begin_below(tip, least_open)

    def begin_below(self, tip: NodeStatus, least_open: int | None) -> tuple[int, str]:
        """Search anew from a block below which `least_open` was not spent; the tip without one."""
        block = self._client.block(tip.height, expected_hash=tip.last_hash)
        if least_open is not None:
            block = self._below(block, least_open)
        self._blocks.take_back(above=-1)
        return block.height, self._search(block)

    def misses(self, nonces: Iterable[int]) -> bool:
        """Whether one of these nonces was spent in a block below those that were searched."""
        last = self._blocks.last_spent()
        return any(nonce < last and self._blocks.spent(nonce) is None for nonce in nonces)

    def _below(self, block: Block, nonce: int) -> Block:
        """Go down from `block` to one that holds a transaction of ours below `nonce`, or the first."""
        self._tell(_("Reading blocks for the last transaction before the open transfers."))
        for _read in range(MOST_BLOCKS):
            if any(tx.nonce < nonce for tx in own_transactions(block, self._address)):
                return block
            try:
                parent = self._client.block(block.height - 1) if block.height else None
            except NotFound:
                parent = None
            if parent is None:
                return block
            if parent.hash() != block.header.prev_hash:
                raise BadResponse(
                    _("block {height} is not the parent of the block above it").format(
                        height=parent.height
                    )
                )
            block = parent
        raise BadResponse(
            ngettext(
                "{n} block holds no transaction of {address}",
                "{n} blocks hold no transaction of {address}",
                MOST_BLOCKS,
            ).format(n=MOST_BLOCKS, address=self._address)
        )

    def _search(self, block: Block) -> str:
        block_hash = block.hash()
        own = own_transactions(block, self._address)
        self._blocks.add(block.height, block_hash, own, rooted=not block.fault)
        return block_hash
