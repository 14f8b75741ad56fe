"""A block's transactions as the strict model of what we send, and what strangers may put there."""

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from node_client.block import Block
from node_client.block_transaction import BlockTransaction
from node_client.keys import PrivateKey
from node_client.transaction import Transaction, TxType

VECTORS = Path(__file__).parent / "vectors"

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


def header(height: int) -> dict[str, Any]:
    """The header of an empty block that nobody signed."""
    return {
        "height": height,
        "prev_hash": "0" * 64,
        "timestamp": 0,
        "chain_id": "cpc-devnet-1",
        "proposer_address": "",
        "round": 0,
        "tx_root": "0" * 64,
        "state_root": "",
        "compute_root": "",
        "gas_used": 0,
        "gas_limit": 1,
    }


def to_oneself(key: PrivateKey, nonce: int) -> Transaction:
    """A signed transfer of one unit: it spends the nonce."""
    draft = Transaction(
        tx_type=TxType.TRANSFER,
        from_address=key.address,
        to_address=key.address,
        amount=1,
        fee=21_000_000,
        nonce=nonce,
        gas_price=1000,
        gas_limit=21_000,
    )
    return draft.signed_by(key)


def strange_transactions() -> list[Any]:
    """What was seen in real blocks, and worse: each is a JSON value that a block holds."""
    blocks = json.loads((VECTORS / "foreign_blocks.json").read_text())
    recorded = [tx for entry in blocks for tx in entry["block"]["txs"]]
    result = next(tx for tx in recorded if tx["tx_type"] == "SUBMIT_RESULT")
    transfer = next(tx for tx in recorded if tx["tx_type"] == "TRANSFER")

    def paid(**payload: Any) -> dict[str, Any]:
        return result | {"payload": result["payload"] | payload}

    without_nonce = {k: v for k, v in result["payload"].items() if k != "nonce"}
    nested: Any = 1
    for _level in range(1_000):
        nested = [nested]
    return [
        *recorded,
        *(paid(nonce=nonce) for nonce in ("7", 7.0, True, None, [], "x", 10**40)),
        result | {"payload": without_nonce},
        result | {"payload": None},
        paid(worker_address=None),
        paid(task_id="\x1b[2J\x9b\u202e", result_hash="\x00", proof="\ud800"),
        paid(proof="ab" * 4_500_000),
        paid(more=nested),
        transfer | {"payload": {"x": float("inf"), "y": 1e16, "z": -0.0}},
        transfer | {"to_address": "nobody"},
        transfer | {"amount": 10**4_000, "nonce": 2**63},
        {name: value for name, value in transfer.items() if name != "from_address"},
        transfer | {"tx_type": "POC_REWARD"},
        transfer | {"tx_type": None, "nonce": "0", "pub_key": 5, "signature": [], "fee": -1},
        None,
        [[]],
        "text",
        1e300,
    ]


def transactions(block: Block) -> list[Transaction]:
    return [Transaction.model_validate(tx.raw) for tx in block.txs]


def served(*txs: Transaction) -> tuple[BlockTransaction, ...]:
    return tuple(BlockTransaction(tx.to_json()) for tx in txs)
