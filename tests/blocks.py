"""A block's transactions as the strict model of what we send, for tests that sent all of them."""

from node_client.block import Block
from node_client.block_transaction import BlockTransaction
from node_client.transaction import Transaction


def transactions(block: Block) -> list[Transaction]:
    return [Transaction.model_validate(tx.raw) for tx in block.txs]


def served(*txs: Transaction) -> tuple[BlockTransaction, ...]:
    return tuple(BlockTransaction(tx.to_json()) for tx in txs)
