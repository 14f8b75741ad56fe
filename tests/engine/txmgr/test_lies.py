"""The attacks of one lying node, and two engines that share a key, against the sender."""

import threading
from functools import partial

import pytest

from engine.monitor.events.sending import ResultGivenUp
from engine.monitor.events.trouble import TroubleBegan
from engine.tasks.defaults import TASK_LIFETIME_BLOCKS
from engine.txmgr.delivery import SEND_AGAIN_BLOCKS
from engine.txmgr.pricing import PRICE_BLOCKS, STEP_BLOCKS
from node_client.ambiguity import colliding_transactions
from node_client.networks import UNITS_PER_CPC
from node_client.transaction import BASE_GAS, Transaction, TxType
from tests.engine.txmgr.lying_client import LyingClient
from tests.engine.txmgr.test_manager import DEPTH, FEE, KEY, Rig, prices
from tests.processes import PATIENCE_SECONDS

READS_AT_NONCE_0 = 99_999_999_0_10_000_000
"""With it a result's text at 1,000 units a gas is also one at nonce 0, for 10^8 times as much."""


@pytest.fixture
def rig(tmp_path):
    made = Rig(tmp_path / "ledger.sqlite", max_gas_price=5000, client=LyingClient)
    made.step(blocks=3)
    yield made
    made.ledger.close()


@pytest.fixture
def two_nodes(tmp_path):
    client = partial(LyingClient, honest_nodes=1)
    made = Rig(tmp_path / "two.sqlite", max_gas_price=5000, client=client)
    made.step(blocks=3)
    yield made
    made.ledger.close()


def bounded(rig):
    """One step in a thread that must end."""
    thread = threading.Thread(target=rig.sender.round, daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive(), "the sender hangs"


def signed(rig):
    return rig.ledger._read("SELECT tx_hash, task_id, nonce FROM transactions")


def test_a_huge_nonce_makes_it_sign_nothing_that_reads_otherwise_at_a_free_one(rig):
    rig.client.confirmed = rig.client.pending = READS_AT_NONCE_0
    task_id = rig.answer_tip()
    for _ in range(4):
        rig.chain.produce()
        bounded(rig)
    for tx in rig.client.passes_on:
        readings = colliding_transactions(tx, first_unspent=0, min_gas_price=1000)
        assert max((one.gas_price for one in readings), default=0) <= 1000
    assert rig.client.passes_on == []
    assert rig.troubles.lasts("nonce_unproven")
    rig.client.tell_the_truth()
    rig.step(blocks=2 + DEPTH)
    assert not rig.troubles.lasts("nonce_unproven")
    assert rig.state(task_id) == "final"


def test_with_a_second_node_a_claimed_nonce_changes_nothing(two_nodes):
    rig = two_nodes
    for claim in (READS_AT_NONCE_0, 17):
        rig.client.confirmed = rig.client.pending = claim
        task_id = rig.answer_tip()
        rig.step()
        rig.step(blocks=1 + DEPTH)
        assert rig.state(task_id) == "final"
    assert [row["nonce"] for row in signed(rig)] == [0, 1]


@pytest.mark.parametrize("which", ["confirmed", "pending"])
def test_the_largest_nonce_does_not_hang_it(rig, which):
    rig.answer_tip()
    setattr(rig.client, which, 2**63 - 1)
    bounded(rig)


def look_alike(rig, task_id, nonce):
    """From us, as it says, and nobody signed it."""
    return Transaction(
        tx_type=TxType.SUBMIT_RESULT,
        from_address=KEY.address,
        amount=0,
        fee=FEE,
        nonce=nonce,
        payload={
            "task_id": task_id,
            "worker_address": KEY.address,
            "result_hash": "0" * 64,
            "proof": "01",
            "nonce": 0,
            "signature": "",
        },
        gas_price=1000,
        gas_limit=BASE_GAS[TxType.SUBMIT_RESULT],
        pub_key=KEY.public_key,
    )


@pytest.mark.parametrize("signature", ["", "00" * 64])
def test_a_look_alike_that_nobody_signed_makes_no_result_signed_twice(rig, signature):
    task_id = rig.answer_tip()
    rig.step()
    rig.client.swallows = True
    forged = look_alike(rig, "11111111-1111-1111-1111-111111111111", 0)
    forged = forged.model_copy(update={"signature": signature})
    rig.client.forge(4, 4 + DEPTH + 2, {4: [forged]})
    for _ in range(4):
        bounded(rig)
    assert {row["nonce"] for row in signed(rig)} == {0}
    rig.client.tell_the_truth()
    rig.step(blocks=DEPTH + 8)
    assert rig.held() == [task_id]


def test_our_own_text_under_other_numbers_proves_no_nonce(rig):
    """The signature fits it; a price and a limit that the chain would not take give it away."""
    for _ in range(2):
        rig.answer_tip()
        rig.step()
        rig.step(blocks=1 + DEPTH)
    rig.answer_tip()
    rig.step()
    (live,) = rig.ledger.in_flight()
    assert (live.tx.nonce, live.tx.fee) == (2, 80_000_000)  # 0 80000000 2 1000 80000
    other = live.tx.model_copy(update={"nonce": 2_1000, "gas_price": 8000, "gas_limit": 0})
    assert other.hash() == live.tx.hash()
    assert other.signature_fits()
    height = rig.chain.height
    rig.client.forge(height + 1, height + 2, {height + 1: [other]})
    rig.step()
    assert rig.ledger.proven() == 2


def test_a_made_up_height_on_a_new_ledger_is_left_when_a_node_tells_the_true_one(tmp_path):
    rig = Rig(tmp_path / "ledger.sqlite", client=LyingClient)
    for _ in range(3):
        rig.chain.produce()
    rig.client.forge(10**12, 10**12)
    bounded(rig)
    assert rig.ledger.scan_position()[0] == 10**12
    rig.client.tell_the_truth()
    task_id = rig.answer_tip()
    rig.step()
    rig.step(blocks=2 + DEPTH)
    assert rig.state(task_id) == "final"
    rig.ledger.close()


def test_a_made_up_height_makes_no_task_expire(tmp_path):
    rig = Rig(tmp_path / "ledger.sqlite", client=LyingClient)
    rig.chain.produce()
    task_id = rig.answer_tip()
    rig.client.forge(10**12, 10**12)
    bounded(rig)
    assert rig.state(task_id) != "given_up"
    rig.client.tell_the_truth()
    rig.step(blocks=2 + DEPTH)
    assert rig.held() == [task_id]
    rig.ledger.close()


PRICE_LIES = ["gas_price {price} < min 4000", "gas_price {price} < min " + str(10**30)]


@pytest.mark.parametrize("lie", PRICE_LIES)
def test_a_claimed_price_is_not_paid_where_another_node_takes_the_result(two_nodes, lie):
    rig = two_nodes
    rig.client.refuses = lie
    tasks = [rig.answer_tip(index) for index in range(3)]
    rig.step()
    rig.step(blocks=1 + DEPTH)
    assert {rig.state(task_id) for task_id in tasks} == {"final"}
    assert set(prices(rig)) == {1000}


def test_a_claimed_price_beyond_the_cap_gives_no_result_up(rig):
    rig.client.refuses = PRICE_LIES[1]
    tasks = [rig.answer_tip(index) for index in range(3)]
    rig.step()
    rig.step(blocks=10)
    assert rig.troubles.lasts("gas_price")
    rig.client.tell_the_truth()
    rig.step(blocks=SEND_AGAIN_BLOCKS + 1 + DEPTH)
    assert {rig.state(task_id) for task_id in tasks} == {"final"}
    assert set(prices(rig)) == {1000}


def test_one_lie_lifts_the_price_by_one_step_in_so_many_blocks_and_is_told(rig):
    """Within the cap, too: where no other node is there, it may be a lie."""
    rig.client.refuses = "gas_price {price} < min 5000"
    rig.answer_tip()
    rig.step()
    seen = []
    for _ in range(3 * STEP_BLOCKS):
        seen.append(max(tx.gas_price for tx in rig.client.passes_on))
        rig.step(blocks=1)
    assert seen[:STEP_BLOCKS] == [2000] * STEP_BLOCKS
    assert sorted(set(seen)) in ([2000, 3000], [2000, 3000, 4000])
    assert rig.troubles.lasts("gas_price")
    rig.client.tell_the_truth()
    rig.step(blocks=PRICE_BLOCKS + STEP_BLOCKS)
    assert rig.troubles.lasts("gas_price")  # until a node takes the operator's own price again
    rig.answer_tip()
    rig.step(blocks=1)
    assert not rig.troubles.lasts("gas_price")


@pytest.mark.parametrize("lie", ["gas_price 7 < min 4000", "gas_price {price} < min 10"])
def test_a_claimed_price_that_contradicts_itself_is_not_paid(rig, lie):
    rig.client.refuses = lie
    rig.answer_tip()
    rig.step()
    rig.step(blocks=4)
    assert {tx.gas_price for tx in rig.client.passes_on} == {1000}


REFUSALS = [
    "gas_limit 80000 < base_gas 90000",
    "fee 80000000 < needed_fee 90000000",
    "invalid_signature",
    "missing_sig_or_key",
    "pub_key_mismatch",
    "nonce_too_low",
    "already_in_pool",
    "insufficient_balance",
    "queued_limit_exceeded",
    "sender_limit_exceeded",
    "mempool_full",
    "some words that nobody knows",
]


@pytest.mark.parametrize("words", REFUSALS)
def test_no_refusal_gives_a_result_up_or_keeps_it_from_another_node(rig, two_nodes, words):
    for made, blocks in ((two_nodes, SEND_AGAIN_BLOCKS + 1 + DEPTH), (rig, 20)):
        made.client.refuses = words
        task_id = made.answer_tip()
        made.step()
        events = made.step(blocks=blocks)
        assert not any(isinstance(event, ResultGivenUp) for event in events)
        if made is two_nodes:
            assert made.state(task_id) == "final"
        made.client.tell_the_truth()
        made.step(blocks=40)
        assert made.held() == [task_id]


def test_a_node_that_swallows_everything_keeps_nothing_from_the_other(two_nodes):
    rig = two_nodes
    rig.client.swallows = True
    task_id = rig.answer_tip()
    rig.step()
    rig.step(blocks=SEND_AGAIN_BLOCKS + 1 + DEPTH)
    assert rig.state(task_id) == "final"


def test_a_made_up_roll_back_is_undone_by_the_true_chain(rig):
    """The result's block is gone, as the liar says; then it is there again."""
    task_id = rig.answer_tip()
    rig.client.forge(2, 6)
    rig.step()
    assert rig.state(task_id) == "given_up"
    rig.client.tell_the_truth()
    rig.step(blocks=5)
    rig.step(blocks=DEPTH)
    assert rig.held() == [task_id]
    assert rig.state(task_id) == "final"


def second_engine(rig, path):
    """Another ledger and sender with the same key, on the same chain."""
    other = Rig(path, client=LyingClient)
    other.chain = other.client.chain = rig.chain
    other.ledger.close()
    other.path = path.with_name("other.sqlite")
    other.ledger = None
    other.start()
    return other


@pytest.mark.parametrize("computed_late", [False, True])
def test_two_engines_with_one_key_send_each_result_once_and_say_so(rig, tmp_path, computed_late):
    other = second_engine(rig, tmp_path / "other.sqlite")
    other.step()
    height = rig.chain.height
    task_id = rig.answer_tip(0, height)
    if not computed_late:
        assert other.answer_tip(0, height) == task_id
    rig.step()
    rig.chain.produce()
    told = [event for made in (rig, other) for event in made.step()]
    if computed_late:
        other.answer_tip(0, height)
    shared = [e for e in told if isinstance(e, TroubleBegan) and e.kind == "key_shared"]
    assert len(shared) == 1
    assert not shared[0].stops
    for _ in range(2 * DEPTH + 2):
        rig.chain.produce()
        rig.step()
        other.step()
    assert rig.held() == [task_id]
    assert rig.state(task_id) == other.state(task_id) == "final"
    for _ in range(TASK_LIFETIME_BLOCKS):
        rig.chain.produce()
        other.step()
    assert not other.troubles.lasts("key_shared")
    other.ledger.close()


def test_the_other_engines_answer_that_is_rolled_back_is_sent_again(rig, tmp_path):
    other = second_engine(rig, tmp_path / "other.sqlite")
    other.step()
    task_id = rig.answer_tip()
    other.answer_tip()
    rig.step()
    rig.chain.produce()
    other.step()
    assert other.state(task_id) == "included"
    rig.chain.roll_back(1, put_back=False)
    rig.faults.forget(None)
    for _ in range(3 + DEPTH):
        rig.chain.produce()
        other.step()
    assert other.state(task_id) == "final"
    assert rig.held() == [task_id]
    other.ledger.close()


def test_no_balance_that_a_node_claims_makes_it_pay_more(rig):
    rig.client.balance_ = 10**60
    rig.answer_tip()
    rig.step()
    assert [tx.fee for tx in rig.client.passes_on] == [FEE]
    assert UNITS_PER_CPC > FEE
