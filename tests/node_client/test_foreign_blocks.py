"""Blocks that hold what we never send: recorded ones, and any that hypothesis can think of."""

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node_client.block import Block
from node_client.block_body import read_block
from node_client.block_transaction import BlockTransaction
from node_client.errors import InvalidTransaction
from node_client.keys import PrivateKey
from node_client.transaction import Transaction
from tests.blocks import ANY_JSON, header


def test_every_recorded_one_is_read_with_its_hash_and_without_a_fault(vectors: Any) -> None:
    kinds = set()
    for entry in vectors("foreign_blocks"):
        block = read_block(json.dumps(entry["block"]).encode())
        assert (block.height, block.hash()) == (entry["height"], entry["hash"])
        assert block.fault == ""
        assert block.signature_fits()
        assert block.served == entry["block"]
        for tx in block.txs:
            kinds.add(tx.tx_type)
            own = tx.own(tx.from_address)
            assert own is not None
            assert own.to_json() == tx.raw
            assert own.hash() == tx.hash()
            assert tx.own("cpc1ce0nn835fsmg45evmeefnpfufkv8shh6z9adsj") is None
    assert kinds == {"UPDATE_VALIDATOR", "SUBMIT_RESULT", "TRANSFER"}


@pytest.mark.parametrize(
    ("nonce", "read"), [({"nonce": "7"}, 7), ({"nonce": 7.0}, 7), ({"nonce": True}, 1), ({}, 0)]
)
def test_a_results_own_nonce_as_the_node_reads_it(
    nonce: dict[str, Any], read: int, draft: Any
) -> None:
    raw = draft().to_json()
    del raw["payload"]["nonce"]
    raw["payload"] |= nonce | {"more": [None]}
    result = BlockTransaction(raw).compute_result()
    assert result.nonce == read
    leaf = {name: raw["payload"].get(name, read) for name in type(result).model_fields}
    text = json.dumps(leaf | {"nonce": read}, separators=(",", ":"))
    assert result.hash() == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("nonce", [None, "x", 7.5, [], "", 1e300])
def test_a_payload_that_is_no_result(nonce: Any, draft: Any) -> None:
    raw = draft().to_json()
    raw["payload"]["nonce"] = nonce
    with pytest.raises(InvalidTransaction):
        BlockTransaction(raw).compute_result()


class TestOwn:
    @pytest.fixture
    def signed(self, draft: Any, key: PrivateKey) -> Transaction:
        signed: Transaction = draft(nonce=3, gas_price=1000, fee=80_000_000).signed_by(key)
        return signed

    def test_ours(self, signed: Transaction, key: PrivateKey) -> None:
        held = BlockTransaction(signed.to_json() | {"timestamp": 5})
        assert held.own(key.address) == signed
        assert (held.hash(), held.nonce, held.tx_type) == (signed.hash(), 3, "SUBMIT_RESULT")
        assert held.task_id == signed.payload["task_id"]

    @pytest.mark.parametrize(
        "change",
        [
            {"signature": ""},
            {"signature": "00" * 64},
            {"pub_key": ""},
            {"nonce": 4},
            {"nonce": "3"},
            {"nonce": 2**63},
            {"amount": 1},
            {"tx_type": "POC_REWARD"},
            {"payload": None},
            {"payload": {}},
            {"gas_price": 1000.0},
        ],
    )
    def test_anything_else(
        self, change: dict[str, Any], signed: Transaction, key: PrivateKey
    ) -> None:
        assert BlockTransaction(signed.to_json() | change).own(key.address) is None

    def test_another_key(self, signed: Transaction, key: PrivateKey, keys: Any) -> None:
        forged = signed.model_copy(update={"pub_key": keys[1].public_key})
        forged = forged.model_copy(update={"signature": keys[1].sign_digest(forged.digest())})
        assert forged.signature_fits()
        assert BlockTransaction(forged.to_json()).own(key.address) is None


FIELDS = (*Transaction.model_fields, "payload.nonce", "payload.proof", "payload.task_id")


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(FIELDS), ANY_JSON, st.sampled_from(["SUBMIT_RESULT", "TRANSFER", "MINT"]))
def test_any_value_in_any_field_is_read(field: str, value: Any, tx_type: str) -> None:
    raw: dict[str, Any] = {
        "tx_type": tx_type,
        "from_address": "cpc1x",
        "to_address": None,
        "amount": 0,
        "fee": 0,
        "nonce": 0,
        "signature": "",
        "pub_key": "",
        "payload": {"task_id": "", "worker_address": "", "result_hash": "", "proof": ""},
        "gas_price": 0,
        "gas_limit": 0,
    }
    name, _, inner = field.partition(".")
    raw[name] = raw[name] | {inner: value} if inner else value
    for tx in (BlockTransaction(raw), BlockTransaction(value)):
        assert isinstance(tx.tx_type + tx.from_address, str)
        assert tx.own("cpc1x") is None
        assert tx.nonce is None or 0 <= tx.nonce < 2**63
        assert tx.hash() is None or len(tx.hash() or "") == 64
        assert tx.task_id is None or isinstance(tx.task_id, str)


@settings(max_examples=100, deadline=None)
@given(ANY_JSON, st.sampled_from(["txs", "pq_signature", "pq_sig_scheme_id", "more"]))
def test_any_value_beside_the_header_leaves_the_block_in_its_place(value: Any, name: str) -> None:
    empty = header(5)
    served = {"header": empty, "txs": [], "pq_signature": ""} | {name: value}
    block = read_block(json.dumps(served).encode())
    assert block.hash() == Block.read({"header": empty, "txs": []}).hash()
    assert bool(block.fault) == (name == "txs" and value != [])
