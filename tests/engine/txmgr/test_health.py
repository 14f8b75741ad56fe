"""Each trouble of the sender: made for real, told when it lasts, over when it is over."""

from dataclasses import replace

import pytest

from engine.txmgr.watch import PATIENCE_BLOCKS
from node_client.errors import BadResponse
from tests.engine.txmgr.lying_client import LyingClient
from tests.engine.txmgr.test_manager import DEPTH, KEY, Rig


class Clocked(Rig):
    """A rig whose clocks stand still with the chain unless they are moved."""

    passed = 0.0

    def now(self):
        return super().now() + self.passed


@pytest.fixture
def rig(tmp_path):
    made = Clocked(tmp_path / "ledger.sqlite", client=LyingClient)
    made.step(blocks=3)
    yield made
    made.ledger.close()


def wait(rig, blocks=PATIENCE_BLOCKS + DEPTH):
    for _ in range(blocks + 1):
        rig.passed += 5.0
        rig.sender.round()


def fails(asked):
    def before(name):
        if name == asked:
            raise BadResponse("http://devnet answered 500")

    return before


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        ("status", "scan_stuck"),
        ("block", "scan_stuck"),
        ("balance", "balance_unknown"),
        ("balance", "sending_stuck"),
        ("nonce", "sending_stuck"),
        ("send", "sending_stuck"),
    ],
)
def test_what_a_node_does_not_answer_for_long_is_told_until_it_does(rig, asked, kind):
    task_id = rig.answer_tip()
    rig.chain.produce()
    rig.client.before = fails(asked)
    rig.sender.round()
    assert not rig.troubles.lasts(kind)
    wait(rig)
    assert rig.troubles.lasts(kind)
    rig.client.before = lambda _name: None
    rig.step()
    rig.step(blocks=2)
    rig.sender.round()
    assert not rig.troubles.lasts(kind)
    assert rig.held() == [task_id]


def test_a_node_that_stays_behind_is_told_of(rig):
    rig.step(blocks=20)
    rig.client.forge(18, 18)
    rig.client.forged[18] = rig.chain.block(18)
    wait(rig)
    assert rig.troubles.lasts("node_behind")
    rig.client.tell_the_truth()
    rig.sender.round()
    assert not rig.troubles.lasts("node_behind")


def test_a_result_that_every_node_refuses_for_long_is_told_of(rig):
    rig.client.refuses = "mempool_full"
    rig.answer_tip()
    wait(rig)
    assert rig.troubles.lasts("sending_stuck")
    assert rig.troubles.lasts("not_sent")


def faulty(rig, height, keep):
    """The block at `height` as a node serves it that cannot say what is in it."""
    block = rig.chain.block(height)
    txs = block.txs if keep else ()
    return {height: replace(block, txs=txs, fault=block.at_fault("its body cannot be read"))}


@pytest.mark.parametrize("readable", [True, False])
def test_our_result_in_a_block_that_cannot_be_read_is_never_signed_again(rig, readable):
    """What can be read of the block counts; what cannot is not guessed."""
    task_id = rig.answer_tip()
    rig.step()
    rig.chain.produce()
    height = rig.chain.height
    served = faulty(rig, height, keep=readable)
    true_block = rig.client.block
    rig.client.block = lambda at, **more: served.get(at) or true_block(at, **more)
    rig.step()
    assert rig.troubles.lasts("unreadable_blocks")
    rig.step(blocks=20)
    assert rig.state(task_id) == ("final" if readable else "sent")
    later = rig.answer_tip()
    rig.step()
    rig.step(blocks=2 + DEPTH)
    assert rig.state(later) == "final"
    assert rig.held() == [task_id, later]
    rig.step(blocks=100)
    assert rig.held() == [task_id, later]
    assert not rig.troubles.lasts("unreadable_blocks")
    assert rig.chain.account(KEY.address).nonce == 2
