"""A block's transactions as the strict model of what we send, and what strangers may put there."""

from hypothesis import strategies as st

from node_client.block import Block
from node_client.block_transaction import BlockTransaction
from node_client.transaction import Transaction

ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(["", "7", "\ud800", "\x1b[31m", "cpc1", "SUBMIT_RESULT", "ab" * 32])
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def transactions(block: Block) -> list[Transaction]:
    return [Transaction.model_validate(tx.raw) for tx in block.txs]


def served(*txs: Transaction) -> tuple[BlockTransaction, ...]:
    return tuple(BlockTransaction(tx.to_json()) for tx in txs)
