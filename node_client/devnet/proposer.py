"""The devnet's proposer: puts a block together and signs it.

`pq_signature` is the proposer's ECDSA signature (r || s, hex) over the 32 bytes of the block's
hash; all real blocks in `tests/vectors/blocks.json` confirm it (see Block.signature_fits).
"""

from collections.abc import Sequence

from node_client.block import EMPTY_COMPUTE_ROOT, EMPTY_TX_ROOT, Block, BlockHeader
from node_client.keys import PrivateKey
from node_client.transaction import Transaction

SIGNATURE_SCHEME = 1


class Proposer:
    """One validator's key, and the chain that it signs for."""

    def __init__(self, key: PrivateKey, chain_id: str, gas_limit: int) -> None:
        """`gas_limit`: the most gas a block, as its header says it."""
        self._key = key
        self._chain_id = chain_id
        self._gas_limit = gas_limit

    def make_block(
        self,
        height: int,
        *,
        prev_hash: str,
        timestamp: int,
        round_: int,
        state_root: str,
        txs: Sequence[Transaction],
    ) -> Block:
        """The signed block. `timestamp` in whole seconds of Unix time."""
        draft = Block(
            header=BlockHeader(
                height=height,
                prev_hash=prev_hash,
                timestamp=timestamp,
                chain_id=self._chain_id,
                proposer_address=self._key.validator_address,
                round=round_,
                tx_root=EMPTY_TX_ROOT,
                state_root=state_root,
                compute_root=EMPTY_COMPUTE_ROOT,
                gas_used=sum(tx.base_gas for tx in txs),
                gas_limit=self._gas_limit,
            ),
            txs=list(txs),
        )
        roots = {"tx_root": draft.tx_root(), "compute_root": draft.compute_root()}
        header = draft.header.model_copy(update=roots)
        return draft.model_copy(
            update={
                "header": header,
                "pq_signature": self._key.sign_digest(bytes.fromhex(header.hash())),
                "pq_sig_scheme_id": SIGNATURE_SCHEME,
            }
        )
