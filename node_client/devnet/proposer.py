"""The devnet's proposer: puts a block together and signs it.

`pq_signature` is the proposer's ECDSA signature (r || s, hex) over the 32 bytes of the block's
hash; all real blocks in `tests/vectors/blocks.json` confirm it (see Block.signature_fits).

A block may hold anything that was seen in real ones, or that a client must bear. Its roots are those
of the values as they were sent; it is served without the numbers that JSON does not have, which are
null, so that the roots of such a block do not fit what is served.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from node_client.block import EMPTY_COMPUTE_ROOT, EMPTY_TX_ROOT, Block, BlockHeader
from node_client.block_transaction import BlockTransaction
from node_client.errors import InvalidData, InvalidTransaction
from node_client.keys import PrivateKey
from node_client.merkle import merkle_root
from node_client.responses import parse_json
from node_client.transaction import BASE_GAS, Transaction, TxType

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
        txs: Sequence[Any],
    ) -> Block:
        """The signed block of these transactions, ours or any JSON. `timestamp` in whole seconds."""
        # Not to_json, which makes null of numbers that JSON does not have.
        txs = [tx.model_dump() if isinstance(tx, Transaction) else tx for tx in txs]
        sent = [BlockTransaction(tx) for tx in txs]
        header = BlockHeader(
            height=height,
            prev_hash=prev_hash,
            timestamp=timestamp,
            chain_id=self._chain_id,
            proposer_address=self._key.validator_address,
            round=round_,
            tx_root=_root([_tx_leaf(tx) for tx in sent], EMPTY_TX_ROOT),
            state_root=state_root,
            compute_root=_root(
                [_compute_leaf(tx) for tx in sent if tx.is_result], EMPTY_COMPUTE_ROOT
            ),
            gas_used=sum(_gas(tx) for tx in sent),
            gas_limit=self._gas_limit,
        )
        no_proofs = {"zk_state_proof_hash": None, "zk_compute_proof_hash": None}
        return Block.read(
            {
                "header": header.model_dump() | no_proofs,
                "txs": [as_served(tx) for tx in txs],
                "pq_signature": self._key.sign_digest(bytes.fromhex(header.hash())),
                "pq_sig_scheme_id": SIGNATURE_SCHEME,
            }
        )


def as_served(value: Any) -> Any:
    """Return a copy as JSON gives it, null for numbers that it does not have. Raises InvalidData."""
    try:
        # Within the nesting that a block adds, and a reader's own.
        text = json.dumps([[[[[[[[value]]]]]]]])
        nested = parse_json(text.encode(), strict=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidData(f"it cannot be served as JSON: {error}") from None
    for _level in range(8):
        (nested,) = nested
    return nested


def _root(leaves: Sequence[bytes], empty: str) -> str:
    root = merkle_root(leaves)
    return empty if root is None else root.hex()


def _tx_leaf(tx: BlockTransaction) -> bytes:
    """The leaf of the tx_root; of what cannot be hashed one that nobody can compute."""
    return tx.digest() or _unknown(tx.raw)


def _compute_leaf(tx: BlockTransaction) -> bytes:
    try:
        return bytes.fromhex(tx.compute_result().hash())
    except InvalidTransaction:
        return _unknown(tx.raw)


def _unknown(value: Any) -> bytes:
    return hashlib.sha256(b"unknown" + json.dumps(value).encode()).digest()


def _gas(tx: BlockTransaction) -> int:
    return BASE_GAS[TxType(tx.tx_type)] if tx.tx_type in TxType else 0
