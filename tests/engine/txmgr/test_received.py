"""What others send to the account is counted once, where their key has signed it."""

import pytest

from engine.monitor.events.sending import PaymentReceived
from node_client.networks import UNITS_PER_CPC
from tests.engine.txmgr.test_manager import KEY, RICH, Rig, coins


@pytest.fixture
def rig(tmp_path):
    made = Rig(tmp_path / "ledger.sqlite")
    made.step(blocks=2)
    yield made
    made.ledger.close()


def payments(events):
    return [event for event in events if isinstance(event, PaymentReceived)]


def test_a_payment_is_told_and_counted_once(rig):
    assert rig.chain.send(coins(UNITS_PER_CPC // 4)) is None
    assert rig.foreign(0) is None  # to itself
    (told,) = payments(rig.step(blocks=2))
    assert (told.sender, told.amount, told.height) == (RICH.address, UNITS_PER_CPC // 4, 3)
    assert told.line() == f"received 0.25 CPC from {RICH.address}, in block 3"
    assert rig.ledger.received(0) == UNITS_PER_CPC // 4
    assert rig.ledger.received(rig.now() + 1e10) == 0
    rig.start()  # as after a crash
    assert payments(rig.step(blocks=1)) == []
    assert rig.ledger.received(0) == UNITS_PER_CPC // 4


def test_a_payment_that_was_rolled_back_is_none(rig):
    assert rig.chain.send(coins(5)) is None
    rig.step(blocks=1)
    assert rig.ledger.received(0) == 5
    rig.chain.roll_back(1, put_back=False)
    rig.step(blocks=2)
    assert rig.ledger.received(0) == 0


def test_a_payment_that_nobody_signed_is_none(rig):
    forged = coins(5).model_copy(update={"amount": 5 * UNITS_PER_CPC}).to_json()
    rig.faults.include(forged)
    rig.faults.include(forged | {"to_address": [KEY.address]})
    assert payments(rig.step(blocks=1)) == []
    assert rig.ledger.received(0) == 0
