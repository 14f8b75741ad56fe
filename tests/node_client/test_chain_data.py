"""Transactions, blocks, roots and amounts as the node has them: all recorded vectors."""

import copy
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from node_client.block import Block, compute_root, tx_root
from node_client.errors import InvalidData, InvalidTransaction
from node_client.merkle import merkle_root
from node_client.networks import UNITS_PER_CPC, format_cpc, parse_cpc
from node_client.transaction import ComputeResult, Transaction, sorted_json
from tests.blocks import transactions


class TestTransactions:
    def test_recorded_ones(self, vectors: Any) -> None:
        for entry in vectors("transactions"):
            tx = Transaction.model_validate(entry["transaction"])
            assert tx.hash() == entry["hash"]
            if entry["compute_result_leaf"] is not None:
                assert tx.compute_result().hash() == entry["compute_result_leaf"]
            elif tx.tx_type == "SUBMIT_RESULT":
                with pytest.raises(InvalidTransaction):
                    tx.compute_result()

    def test_those_in_blocks_are_signed(self, vectors: Any) -> None:
        for entry in vectors("blocks"):
            for tx in transactions(Block.read(entry["block"])):
                assert tx.signature_fits()
                assert not tx.model_copy(update={"amount": tx.amount + 1}).signature_fits()
                assert not tx.model_copy(update={"pub_key": ""}).signature_fits()

    def test_ours_are_those_of_the_node(self, vectors: Any, keys: Any) -> None:
        """Deterministic signatures: signing a recorded transaction again gives a fitting one."""
        by_address = {key.address: key for key in keys}
        tried = 0
        for entry in vectors("transactions"):
            tx = Transaction.model_validate(entry["transaction"])
            if (key := by_address.get(tx.from_address)) is not None:
                assert tx.signed_by(key).hash() == entry["hash"]
                assert tx.signed_by(key).signature_fits()
                tried += 1
        assert tried > 5

    def test_json_round_trip(self, vectors: Any) -> None:
        for entry in vectors("transactions"):
            tx = Transaction.model_validate(entry["transaction"])
            assert tx.to_json() == entry["transaction"]
            assert Transaction.model_validate(json.loads(json.dumps(tx.to_json()))) == tx

    def test_a_copy_with_another_value_has_another_hash(self, vectors: Any, keys: Any) -> None:
        """The hash is kept: not over a copy, and signing adds nothing to it but the public key."""
        tx = Transaction.model_validate(vectors("transactions")[0]["transaction"])
        before = tx.hash()
        assert tx == Transaction.model_validate(tx.to_json())
        assert tx.model_copy(update={"nonce": tx.nonce + 1}).hash() != before
        assert copy.copy(tx).hash() == copy.deepcopy(tx).hash() == tx.model_copy().hash() == before
        draft = tx.model_copy(update={"from_address": keys[0].address})
        signed = draft.signed_by(keys[0])
        assert signed.hash() == Transaction.model_validate(signed.to_json()).hash() != draft.hash()

    @given(
        st.dictionaries(
            st.text(),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
                max_leaves=4,
            ),
        )
        | st.dictionaries(
            st.text(st.characters(max_codepoint=127)),
            st.text(st.characters(max_codepoint=127)) | st.integers(-(2**65), 2**65),
        )
    )
    def test_the_quick_way_to_write_a_payload_is_jsons_own(self, payload: dict[str, Any]) -> None:
        slow = json.dumps(payload, sort_keys=True, separators=(",", ":"))
        assert sorted_json(payload) == slow

    @given(st.text(), st.integers(-(2**65), 2**65))
    def test_a_leaf_is_the_hash_of_compact_json(self, proof: str, nonce: int) -> None:
        values = dict.fromkeys(("task_id", "worker_address", "result_hash"), "é\x7f/")
        values |= {"proof": proof, "nonce": nonce, "signature": proof[::-1]}
        text = json.dumps(values, separators=(",", ":"), ensure_ascii=False)
        assert ComputeResult(**values).hash() == hashlib.sha256(text.encode()).hexdigest()

    def test_a_time_stamp_is_ignored(self, vectors: Any) -> None:
        entry = vectors("transactions")[0]
        tx = Transaction.model_validate(entry["transaction"] | {"timestamp": 5})
        assert tx.hash() == entry["hash"]

    @pytest.mark.parametrize(
        "change",
        [
            {"amount": "5"},
            {"amount": 5.0},
            {"amount": -1},
            {"amount": True},
            {"nonce": None},
            {"tx_type": "MINT"},
            {"to_address": 5},
            {"payload": []},
        ],
    )
    def test_wrong_types(self, change: dict[str, object], vectors: Any) -> None:
        with pytest.raises(ValidationError):
            Transaction.model_validate(vectors("transactions")[0]["transaction"] | change)

    def test_a_lone_surrogate(self, draft: Any) -> None:
        tx = draft(to_address="\ud800")
        with pytest.raises(InvalidTransaction):
            tx.hash()

    @pytest.mark.parametrize("change", [{"proof": None}, {"nonce": "0"}, {"task_id": 5}])
    def test_no_compute_result(self, change: dict[str, object], draft: Any) -> None:
        tx = draft()
        wrong = tx.model_copy(update={"payload": tx.payload | change})
        with pytest.raises(InvalidTransaction):
            wrong.compute_result()
        without = {k: v for k, v in tx.payload.items() if k != "signature"}
        with pytest.raises(InvalidTransaction):
            tx.model_copy(update={"payload": without}).compute_result()

    def test_the_workers_signature(self, key: Any, draft: Any) -> None:
        from node_client.keys import verify_digest

        result = ComputeResult.model_validate(draft().payload).signed_by(key)
        assert verify_digest(key.public_key, result.signing_digest(), result.signature)


class TestBlocks:
    def test_recorded_ones(self, vectors: Any) -> None:
        previous = None
        for entry in vectors("blocks"):
            block = Block.read(entry["block"])
            assert block.hash() == entry["hash"]
            assert tx_root(block.txs) == block.header.tx_root
            assert compute_root(block.txs) == block.header.compute_root
            assert block.signature_fits()
            assert not block.fault
            if previous is not None:
                assert block.header.prev_hash == previous
            previous = entry["hash"]

    def test_roots_that_do_not_fit(self, vectors: Any) -> None:
        served = vectors("blocks")[4]["block"]
        txs = served["txs"]
        assert len(txs) == 3
        for others in (txs[:-1], txs[::-1], []):
            assert "tx_root" in Block.read(served | {"txs": others}).fault
        header = served["header"] | {"compute_root": "0" * 64}
        assert "compute_root" in Block.read(served | {"header": header}).fault

    def test_signatures_that_do_not_fit(self, vectors: Any) -> None:
        served = vectors("blocks")[4]["block"]
        foreign = vectors("blocks")[3]["block"]["pq_signature"]
        for signature in (foreign, "", "zz", "00" * 64, None, 5):
            assert not Block.read(served | {"pq_signature": signature}).signature_fits()
        header = served["header"] | {"timestamp": served["header"]["timestamp"] + 1}
        assert not Block.read(served | {"header": header}).signature_fits()


class TestMerkle:
    def test_small_trees(self) -> None:
        import hashlib

        def pair(left: bytes, right: bytes) -> bytes:
            return hashlib.sha256(left + right).digest()

        a, b, c = (bytes([n]) * 32 for n in range(3))
        assert merkle_root([]) is None
        assert merkle_root([a]) == a
        assert merkle_root([a, b]) == pair(a, b)
        assert merkle_root([a, b, c]) == pair(pair(a, b), pair(c, c))

    def test_the_leaves_are_left_alone(self) -> None:
        leaves = [bytes(32)] * 3
        merkle_root(leaves)
        assert len(leaves) == 3


class TestAmounts:
    @given(st.integers(1, 10**40))
    def test_round_trip(self, units: int) -> None:
        assert parse_cpc(format_cpc(units)) == units

    @pytest.mark.parametrize(
        ("text", "units"),
        [
            ("1", UNITS_PER_CPC),
            ("0.25", UNITS_PER_CPC // 4),
            ("0.000000000000000001", 1),
            ("100", 100 * UNITS_PER_CPC),
        ],
    )
    def test_amounts(self, text: str, units: int) -> None:
        assert parse_cpc(text) == units

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "0",
            "-1",
            "nan",
            "inf",
            "1e999",
            "0.0000000000000000001",
            "1,5",
            "1 CPC",
            "0x1",
            "١",
            "9" * 61,
        ],
    )
    def test_what_is_none(self, text: str) -> None:
        with pytest.raises(InvalidData):
            parse_cpc(text)

    def test_format(self) -> None:
        assert [format_cpc(n) for n in (0, 1, -5 * 10**17, 10**18)] == [
            "0",
            "0.000000000000000001",
            "-0.5",
            "1",
        ]
