"""A chain that a liar makes up on top of the true one, signed with a proposer's key of its own.

forgery = Forgery(chain)
forgery.add([tx])        # tx may be of anybody, unsigned, at any nonce
forgery.tip().height

Roots, hashes, links and signatures of its blocks are right: who may propose is nowhere in a block.
The state root is that of the true block below, repeated; nobody outside can compute it.
"""

import threading
from collections.abc import Sequence

from node_client.block import Block
from node_client.devnet.chain import Chain
from node_client.devnet.proposer import Proposer
from node_client.errors import InvalidData
from node_client.keys import PrivateKey
from node_client.transaction import Transaction


class Forgery:
    """True blocks up to a height, and forged ones above. Usable from any thread.

    It never falls behind the true chain: where that grows on, empty forged blocks follow.
    """

    def __init__(self, chain: Chain, depth: int = 0) -> None:
        """Stand on the block `depth` below the chain's tip. Raises InvalidData below genesis."""
        base = chain.block(chain.height - depth) if depth >= 0 else None
        if base is None:
            raise InvalidData(f"there is no block {depth} below the tip")
        self._chain = chain
        self._maker = Proposer(PrivateKey.generate(), chain.chain_id, base.header.gas_limit)
        self._base = base
        self._blocks: list[Block] = []
        self._lock = threading.Lock()

    def add(self, txs: Sequence[Transaction]) -> Block:
        """Make one forged block more, and return it."""
        with self._lock:
            return self._append(txs)

    def tip(self) -> Block:
        """Return the last forged block."""
        with self._lock:
            while self._tip().height < self._chain.height:
                self._append(())
            return self._tip()

    def block(self, height: int) -> Block | None:
        """Return the block at `height`, a true one up to where the forgery stands."""
        if height <= self._base.height:
            return self._chain.block(height)
        if height > self.tip().height:
            return None
        with self._lock:
            return self._blocks[height - self._base.height - 1]

    def _tip(self) -> Block:
        return self._blocks[-1] if self._blocks else self._base

    def _append(self, txs: Sequence[Transaction]) -> Block:
        below = self._tip()
        height = below.height + 1
        block = self._maker.make_block(
            height,
            prev_hash=below.hash(),
            timestamp=self._chain.timestamp(height),
            round_=0,
            state_root=below.header.state_root,
            txs=txs,
        )
        self._blocks.append(block)
        return block
