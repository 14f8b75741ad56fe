"""The sender goes on through blocks that hold what it does not know, and what pretends to be ours."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.monitor.events.sending import BlockUnreadable
from engine.monitor.events.trouble import TroubleBegan, TroubleEnded
from engine.tasks.defaults import TASK_LIFETIME_BLOCKS
from node_client.block import Block
from node_client.transaction import ComputeResult, Transaction
from tests.blocks import ANY_JSON, strange_transactions
from tests.engine.txmgr.test_manager import DEPTH, Rig


@pytest.fixture
def rig(tmp_path):
    made = Rig(tmp_path / "ledger.sqlite")
    made.step(blocks=3)
    yield made
    made.ledger.close()


def test_blocks_that_cannot_be_read_are_counted_told_once_and_passed(rig):
    task_id = rig.answer_tip()
    seen = rig.step()
    for _ in range(2):
        for raw in strange_transactions():
            rig.faults.include(raw)
        seen += rig.step(blocks=1)
    faulty = [event for event in seen if isinstance(event, BlockUnreadable)]
    assert [event.height for event in faulty] == [4, 5]
    (began,) = [event for event in seen if isinstance(event, TroubleBegan)]
    assert (began.kind, began.message, began.stops) == (
        "unreadable_blocks",
        faulty[0].fault,
        False,
    )
    seen = rig.step(blocks=DEPTH)
    assert rig.state(task_id) == "final"
    assert not any(isinstance(event, TroubleEnded) for event in seen)
    seen = rig.step(blocks=TASK_LIFETIME_BLOCKS)
    assert [event.kind for event in seen if isinstance(event, TroubleEnded)] == [
        "unreadable_blocks"
    ]


FIELDS = (*Transaction.model_fields, *(f"payload.{name}" for name in ComputeResult.model_fields))


def test_any_value_in_any_field_of_a_forged_transaction_of_ours_is_passed(rig):
    """Copies of our own transaction with one field changed, beside the true one."""
    task_id = rig.answer_tip()
    rig.step()
    rig.step(blocks=1)
    (ours,) = [tx.raw for tx in rig.chain.block(rig.chain.height).txs]

    @settings(max_examples=150, deadline=None, database=None)
    @given(st.sampled_from(FIELDS), ANY_JSON)
    def passed(field, value):
        name, _, inner = field.partition(".")
        rig.faults.include(ours | {name: ours[name] | {inner: value} if inner else value})
        rig.step(blocks=1)
        assert rig.ledger.scan_position()[0] == rig.chain.height

    passed()
    assert rig.held().count(task_id) >= 1
    assert rig.state(task_id) == "final"
    assert rig.ledger.in_flight() == []


@pytest.mark.parametrize("read_after", [1, 5])
def test_our_result_in_a_block_that_can_be_read_later_is_found_there(rig, read_after):
    task_id = rig.answer_tip()
    rig.step()
    honest, reads = rig.client.block, []

    def block(height, *, expected_hash=None):
        found = honest(height, expected_hash=expected_hash)
        if height != 4 or len(reads) == read_after:
            return found
        reads.append(height)
        return Block.read({"header": found.served["header"]}, unread="it is too large")

    rig.client.block = block
    rig.step(blocks=1)
    assert rig.state(task_id) == "sent"
    rig.step(blocks=2**read_after + DEPTH)
    assert rig.state(task_id) == "final"
    assert rig.held() == [task_id]
