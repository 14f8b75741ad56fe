"""Results in blocks, right and wrong in every way that a chain can hold."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.tasks.derivation import BlockTask, derive_task_id
from engine.tasks.verification import verify_block
from kernels.devices import open_device
from node_client.devnet import Chain
from node_client.keys import PrivateKey
from node_client.networks import UNITS_PER_CPC
from node_client.transaction import ComputeResult, Transaction, TxType
from tests.blocks import ANY_JSON
from tests.engine.chain_client import ChainClient

KEY, OTHER = PrivateKey(bytes(31) + b"\x2d"), PrivateKey(bytes(31) + b"\x2e")
SIZE, OPENINGS = 33, 16


class Rig:
    """A chain; `put` makes a block of results, whatever the node would say of them."""

    def __init__(self):
        self.chain = Chain(
            {key.address: UNITS_PER_CPC for key in (KEY, OTHER)}, clock=lambda: 1_700_000_000.0
        )
        self.client = ChainClient(self.chain)
        self.nonces = {KEY.address: 0, OTHER.address: 0}

    def task(self, height, index=0, key=KEY):
        block_hash = self.chain.block(height).hash()
        return BlockTask.derive(block_hash, key.address, height=height, index=index, size=SIZE)

    def answer(self, task, key=KEY, **changes):
        with open_device("reference") as device:
            commitment = device.compute(task.task)
        payload = {
            "task_id": task.task_id,
            "worker_address": key.address,
            "result_hash": commitment.root.hex(),
            "proof": commitment.proof(OPENINGS),
            "nonce": task.index,
            "signature": "",
        }
        payload |= changes
        nonce = self.nonces[key.address]
        self.nonces[key.address] += 1
        return Transaction(
            tx_type=TxType.SUBMIT_RESULT,
            from_address=key.address,
            amount=0,
            fee=80_000_000,
            nonce=nonce,
            payload=ComputeResult.model_validate(payload).model_dump(),
            gas_price=1000,
            gas_limit=80_000,
        ).signed_by(key)

    def put(self, *txs):
        for tx in txs:
            self.chain.include(tx.to_json())
        self.chain.produce()
        return self.verdicts()

    def verdicts(self, height=None, **options):
        return verify_block(
            self.client,
            self.chain.height if height is None else height,
            least_openings=OPENINGS,
            **{"size": SIZE} | options,
        ).results


@pytest.fixture
def rig():
    made = Rig()
    for _ in range(3):
        made.chain.produce()
    return made


def flip(hexadecimal, bit):
    return f"{int(hexadecimal, 16) ^ 1 << bit:0{len(hexadecimal)}x}"


def test_right_results_of_two_workers_and_two_indices(rig):
    verdicts = rig.put(
        rig.answer(rig.task(3)),
        rig.answer(rig.task(3, 1)),
        rig.answer(rig.task(2, 15, OTHER), OTHER),
    )
    assert [verdict.right for verdict in verdicts] == [True] * 3
    assert [(v.task_height, v.task_index) for v in verdicts] == [(3, 0), (3, 1), (2, 15)]
    with open_device("reference") as device:
        assert all(verdict.right for verdict in rig.verdicts(device=device))


@pytest.mark.parametrize("bit", [0, 100, 255])
def test_a_result_altered_by_a_bit(rig, bit):
    task = rig.task(3)
    right = rig.answer(task).compute_result().result_hash
    verdicts = rig.put(rig.answer(task, result_hash=flip(right, bit)), rig.answer(rig.task(2)))
    assert [verdict.right for verdict in verdicts] == [False, True]
    with open_device("reference") as device:
        assert [verdict.right for verdict in rig.verdicts(device=device)] == [False, True]


@pytest.mark.parametrize("bit", [0, 7, 1000])
def test_a_proof_altered_by_a_bit(rig, bit):
    task = rig.task(3)
    proof = rig.answer(task).compute_result().proof
    (verdict,) = rig.put(rig.answer(task, proof=flip(proof, bit)))
    assert not verdict.right
    assert verdict.reason


@pytest.mark.parametrize("proof", ["", "zz", "01", "AB"])
def test_a_proof_that_is_none(rig, proof):
    (verdict,) = rig.put(rig.answer(rig.task(3), proof=proof))
    assert not verdict.right


def test_a_result_hash_that_is_none(rig):
    (verdict,) = rig.put(rig.answer(rig.task(3), result_hash="nonsense"))
    assert not verdict.right


def test_the_same_task_twice_in_one_block(rig):
    verdicts = rig.put(rig.answer(rig.task(3)), rig.answer(rig.task(3)))
    assert [verdict.right for verdict in verdicts] == [True, False]
    assert "already" in verdicts[1].reason


def test_the_same_task_in_an_earlier_block(rig):
    assert rig.put(rig.answer(rig.task(3)))[0].right
    rig.chain.produce()
    (verdict,) = rig.put(rig.answer(rig.task(3)))
    assert not verdict.right
    assert verdict.reason == "block 4 holds a result for this task"
    assert rig.verdicts(4)[0].right  # the first one stays right


def test_another_workers_task_is_no_duplicate(rig):
    assert rig.put(rig.answer(rig.task(3)))[0].right
    assert rig.put(rig.answer(rig.task(3, key=OTHER), OTHER))[0].right


def test_a_result_in_another_workers_name(rig):
    (verdict,) = rig.put(rig.answer(rig.task(3), OTHER, worker_address=KEY.address))
    assert not verdict.right
    assert "sender" in verdict.reason


def test_another_workers_task_under_ones_own_name(rig):
    (verdict,) = rig.put(rig.answer(rig.task(3), OTHER))
    assert not verdict.right
    assert "none of the 100 blocks" in verdict.reason


def test_a_task_counts_for_a_hundred_blocks_and_not_for_one_more(rig):
    for _ in range(100):
        rig.chain.produce()
    oldest = rig.chain.height + 1 - 100
    verdicts = rig.put(rig.answer(rig.task(oldest)), rig.answer(rig.task(oldest - 1)))
    assert [verdict.right for verdict in verdicts] == [True, False]
    assert "none of the 100 blocks" in verdicts[1].reason


def test_a_task_of_a_block_that_was_rolled_back(rig):
    task = rig.task(3)
    rig.chain.roll_back(1)
    rig.chain.produce()
    (verdict,) = rig.put(rig.answer(task))
    assert not verdict.right


def test_a_task_of_its_own_block_or_of_another_size(rig):
    bigger = BlockTask.derive(rig.chain.block(3).hash(), KEY.address, size=SIZE + 1)
    (verdict,) = rig.put(rig.answer(bigger))
    assert not verdict.right


def test_a_block_without_results_and_the_first_blocks(rig):
    assert rig.verdicts(0) == rig.verdicts(1) == []


def test_the_size_is_that_of_each_proof_and_is_named(rig):
    small, large = (
        BlockTask.derive(rig.chain.block(3).hash(), KEY.address, index=index, size=size)
        for index, size in ((0, 16), (1, 64))
    )
    rig.put(rig.answer(small), rig.answer(large), rig.answer(rig.task(3, 2), proof=""))
    verdicts = rig.verdicts(size=None)
    assert [(v.size, v.right) for v in verdicts] == [(16, True), (64, True), (1024, False)]
    assert [v.right for v in rig.verdicts(size=64)] == [False, True, False]


@pytest.mark.parametrize("size", [0, 1, 15, 16_385, 65_536, 65_537, 2**32 - 1])
def test_a_size_that_no_proof_may_ask_for_costs_nothing(rig, size):
    proof = struct.pack("<BIII", 1, size, 1, 16).hex() + "00" * 3200
    rig.put(rig.answer(rig.task(3), proof=proof))
    (verdict,) = rig.verdicts(size=None)
    assert not verdict.right
    assert f"size {size}" in verdict.reason
    assert verdict.size is None


@pytest.mark.parametrize("proof", ["zz", "01", "01" * 12, "AB" * 13, "\x1b" * 26])
def test_a_proof_without_a_header_has_no_size(rig, proof):
    rig.put(rig.answer(rig.task(3), proof=proof))
    (verdict,) = rig.verdicts(size=None)
    assert (verdict.right, verdict.size) == (False, None)


def test_a_result_whose_own_nonce_is_lenient_is_judged_and_no_result_is_said(rig):
    for index, nonce in enumerate(["7", 7.0, True, None, "x", [], {"a": 1}]):
        raw = rig.answer(rig.task(3, index)).to_json()
        rig.chain.include(raw | {"payload": raw["payload"] | {"nonce": nonce}})
    raw = rig.answer(rig.task(2)).to_json()
    del raw["payload"]["nonce"]
    rig.chain.include(raw)
    rig.chain.include(raw | {"payload": None, "from_address": None})
    rig.chain.include(raw | {"tx_type": "UPDATE_VALIDATOR"})
    rig.chain.produce()
    verdicts = rig.verdicts()
    assert [v.reason for v in verdicts[3:7]] == ["it is not a matrix result"] * 4
    assert verdicts[8].reason == "it is not a matrix result"
    # They carry no fitting signature, and no root proves a block with what is no result.
    assert {v.reason for v in (*verdicts[:3], verdicts[7])} == {
        "nothing shows that its sender sent it"
    }


def test_lenient_nonces_in_a_block_whose_roots_fit(rig):
    for index, nonce in enumerate(["7", 7.0, True]):
        raw = rig.answer(rig.task(3, index)).to_json()
        rig.chain.include(raw | {"payload": raw["payload"] | {"nonce": nonce}})
    rig.chain.produce()
    assert [v.right for v in rig.verdicts()] == [True] * 3


def test_a_worker_that_is_no_address(rig):
    raw = rig.answer(rig.task(3)).to_json()
    task_id = derive_task_id(rig.chain.block(3).hash(), "cpc1é", 0)
    payload = raw["payload"] | {"worker_address": "cpc1é", "task_id": task_id}
    rig.chain.include(raw | {"from_address": "cpc1é", "payload": payload})
    rig.chain.produce()
    (verdict,) = rig.verdicts()
    assert not verdict.right
    assert "cpc1" in verdict.reason


def test_a_result_in_a_block_with_a_fault_counts_where_its_sender_signed_it(rig):
    rig.chain.include({"tx_type": "TRANSFER", "payload": {"x": float("inf")}})
    assert [v.right for v in rig.put(rig.answer(rig.task(3)))] == [True]
    unsigned = rig.answer(rig.task(2)).model_copy(update={"signature": ""})
    rig.chain.include(None)
    assert [v.right for v in rig.put(unsigned)] == [False]
    verdict = verify_block(rig.client, rig.chain.height, size=SIZE, least_openings=OPENINGS)
    assert "transaction 0 cannot be hashed" in verdict.fault
    # The unsigned one of before claims nothing; the signed one does.
    verdicts = rig.put(rig.answer(rig.task(2)), rig.answer(rig.task(3)))
    assert [v.reason for v in verdicts] == ["", "block 4 holds a result for this task"]
    verdict = verify_block(rig.client, rig.chain.height, size=SIZE, least_openings=OPENINGS)
    assert [fault[:7] for fault in verdict.past_faults] == ["block 5", "block 4"]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["from_address", "tx_type", "payload", *ComputeResult.model_fields]), ANY_JSON
)
def test_whatever_a_result_holds_is_a_verdict(field, value):
    rig = Rig()
    raw = rig.answer(rig.task(0)).to_json()
    raw |= {field: value} if field in raw else {"payload": raw["payload"] | {field: value}}
    rig.chain.include(raw)
    rig.chain.produce()
    rig.chain.produce()
    for size in (SIZE, None):
        assert all(isinstance(v.reason, str) for v in rig.verdicts(1, size=size))
    assert rig.verdicts() == []
