"""Admission and waiting: the words and rules of NODE.md, where rpc.json does not reach."""

import pytest

from node_client.devnet import Chain
from node_client.devnet.mempool import MAX_READY_OF_SENDER, Mempool
from node_client.devnet.state import AccountState
from node_client.errors import InvalidTransaction
from tests.blocks import transactions


def test_each_check_comes_before_the_next(chain, keys, make) -> None:
    """One transaction with every fault; they are mended one after the other."""
    poor = keys[5]
    faulty = {
        "gas_price": 999,
        "gas_limit": 79_999,
        "fee": 79_999_999,
    }
    tx = make(poor, 0, **faulty).model_copy(update={"signature": "", "pub_key": ""})
    assert chain.send(tx) == "gas_price 999 < min 1000"
    tx = tx.model_copy(update={"gas_price": 1000})
    assert chain.send(tx) == "gas_limit 79999 < base_gas 80000"
    tx = tx.model_copy(update={"gas_limit": 80_000})
    assert chain.send(tx) == "fee 79999999 < needed_fee 80000000"
    tx = tx.model_copy(update={"fee": 80_000_000})
    assert chain.send(tx) == "missing_sig_or_key"
    tx = tx.model_copy(update={"pub_key": keys[0].public_key})
    assert chain.send(tx) == "missing_sig_or_key"
    tx = tx.model_copy(update={"signature": "00" * 64})
    assert chain.send(tx) == "pub_key_mismatch"
    tx = tx.model_copy(update={"pub_key": poor.public_key})
    assert chain.send(tx) == "invalid_signature"
    assert chain.send(make(poor, 0)) == "insufficient_balance"
    assert chain.send(make(keys[0], 0, "TRANSFER", to_address=poor.address, amount=10**17)) is None
    chain.produce()
    assert chain.send(make(poor, 0)) is None


def test_what_is_no_hex_is_refused_with_the_librarys_words(chain, keys, make) -> None:
    tx = make(keys[0], 0)
    malformed = tx.model_copy(update={"pub_key": "zz"})
    assert (chain.send(malformed) or "").startswith("invalid_key_format: ")
    malformed = tx.model_copy(update={"signature": "zz"})
    assert (chain.send(malformed) or "").startswith("crypto_error: ")
    assert chain.send(tx.model_copy(update={"signature": "00"})) == "invalid_signature"
    assert chain.send(tx.model_copy(update={"pub_key": "00"})) == "pub_key_mismatch"


def test_a_transfer_of_nothing_is_refused(chain, keys, make) -> None:
    tx = make(keys[0], 0, "TRANSFER", to_address=keys[1].address)
    assert chain.send(tx) == "transfer_amount_zero"


def test_a_payload_that_no_block_could_show_is_a_fault_inside(chain, keys, make) -> None:
    tx = make(keys[0], 0, payload={**make(keys[0], 0).payload, "more": "\ud800"})
    with pytest.raises(InvalidTransaction):
        chain.send(tx)
    assert chain.pending_nonce(keys[0].address) == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_json_does_not_have_is_taken_and_served_as_null(
    chain, keys, make, value: float
) -> None:
    """Seen: the block's tx_root no longer fits what is served."""
    payload = {**make(keys[0], 0).payload, "more": [value, 1.5]}
    assert chain.send(make(keys[0], 0, payload=payload)) is None
    block = chain.produce()
    assert block.txs[0].raw["payload"]["more"] == [None, 1.5]
    assert "tx_root" in block.fault
    assert chain.account(keys[0].address).nonce == 1


@pytest.mark.parametrize("nonce", ["7", 7.0, True, None])
def test_a_results_own_nonce_is_read_leniently(chain, keys, make, nonce: object) -> None:
    payload = {**make(keys[0], 0).payload, "nonce": nonce, "extra": {"deep": [1]}}
    if nonce is None:
        del payload["nonce"]
    assert chain.send(make(keys[0], 0, payload=payload)) is None
    block = chain.produce()
    assert block.txs[0].raw["payload"] == payload
    assert not block.fault


@pytest.mark.parametrize("nonce", [7.5, "x", [], {}])
def test_a_results_own_nonce_is_a_whole_number_all_the_same(chain, keys, make, nonce) -> None:
    payload = {**make(keys[0], 0).payload, "nonce": nonce}
    assert chain.send(make(keys[0], 0, payload=payload)) is None
    assert chain.produce().txs == ()


def test_the_balance_must_cover_the_fee_that_is_offered(chain, keys, make) -> None:
    assert chain.send(make(keys[0], 0, fee=10**18 + 1)) == "insufficient_balance"
    assert chain.send(make(keys[0], 0, fee=10**18)) is None
    chain.produce()
    assert chain.account(keys[0].address).balance == 10**18 - 80_000_000


def test_a_queued_nonce_takes_anything_twice(chain, keys, make) -> None:
    """Seen: the same bytes and another transaction are received all the same."""
    first, other = make(keys[0], 3), make(keys[0], 3, fee=80_000_001)
    for tx in (first, first, other):
        assert chain.send(tx) is None
    assert chain.status()["mempool_size"] == 0
    assert chain.pending_nonce(keys[0].address) == 0


def test_duplicates_in_the_queue_block_each_other_until_the_hour_is_over(
    chain, clock, keys, make
) -> None:
    address = keys[0].address
    for nonce in (2, 2, 3):
        assert chain.send(make(keys[0], nonce)) is None
    for nonce in (0, 1):
        assert chain.send(make(keys[0], nonce)) is None
    assert [tx.nonce for tx in chain.produce().txs] == [0, 1]
    assert [tx.nonce for tx in chain.produce().txs] == [2]
    assert chain.produce().txs == (), "the second one stands before 3, and is spent"
    assert chain.pending_nonce(address) == 4, "the node counts it all the same"
    clock.now += 3600
    assert chain.produce().txs == ()
    clock.now += 1
    assert chain.produce().txs == ()
    assert chain.send(make(keys[0], 3)) is None
    assert [tx.nonce for tx in chain.produce().txs] == [3]


def test_a_spent_nonce_at_the_queues_head_blocks_what_is_behind(chain, keys, make) -> None:
    for nonce in (1, 2):
        assert chain.send(make(keys[0], nonce)) is None
    assert chain.send(make(keys[0], 0)) is None
    dear = make(keys[0], 1, fee=80_000_001)
    assert chain.send(dear) is None, "it follows on 0 at once, and does not see the queue"
    assert [tx.nonce for tx in chain.produce().txs] == [0, 1]
    assert chain.produce().txs == ()
    assert chain.account(keys[0].address).nonce == 2
    assert chain.send(make(keys[0], 2, fee=80_000_001)) is None
    assert [tx.nonce for tx in chain.produce().txs] == [2]


def test_what_was_queued_and_can_no_longer_be_paid_is_forgotten(chain, keys, make) -> None:
    pay = {"to_address": keys[1].address, "amount": 6 * 10**17}
    assert chain.send(make(keys[0], 1, "TRANSFER", **pay)) is None
    assert chain.send(make(keys[0], 2)) is None
    assert chain.send(make(keys[0], 0, "TRANSFER", **pay)) is None
    assert len(chain.produce().txs) == 1
    assert chain.produce().txs == ()
    assert chain.pending_nonce(keys[0].address) == 1


def test_a_sender_has_a_thousand_at_most(keys, make) -> None:
    assert MAX_READY_OF_SENDER == 1_000
    pool = Mempool(1_000, most_of_sender=3)
    account = AccountState(10**18)
    for nonce in range(3):
        assert pool.admit(make(keys[0], nonce), account, 0.0) is None
    assert pool.admit(make(keys[0], 3), account, 0.0) == "sender_limit_exceeded"
    unsigned = make(keys[0], 9).model_copy(update={"signature": ""})
    assert pool.admit(unsigned, account, 0.0) == "sender_limit_exceeded"
    assert pool.admit(make(keys[1], 0), account, 0.0) is None
    pool.forget(make(keys[0], 0).hash())
    assert pool.admit(make(keys[0], 0, fee=80_000_001), account, 0.0) is None


def test_a_full_mempool_takes_nothing(keys, clock, make) -> None:
    chain = Chain({key.address: 10**18 for key in keys[:2]}, clock=clock, mempool_size=2)
    for nonce in range(2):
        assert chain.send(make(keys[0], nonce)) is None
    assert chain.send(make(keys[1], 0)) == "mempool_full"
    assert chain.send(make(keys[0], 1)) == "already_in_pool"
    chain.produce()
    assert chain.send(make(keys[1], 0)) is None


def test_the_highest_price_comes_first_and_an_account_in_nonce_order(keys, clock, make) -> None:
    chain = Chain({key.address: 10**18 for key in keys[:3]}, clock=clock, max_transactions=4)
    for key, nonce, price in ((0, 0, 2000), (0, 1, 9000), (1, 0, 5000), (2, 0, 3000), (2, 1, 1000)):
        tx = make(keys[key], nonce, gas_price=price, fee=80_000 * price)
        assert chain.send(tx) is None
    prices = [tx.gas_price for tx in transactions(chain.produce())]
    assert prices == [5000, 3000, 2000, 9000]
    assert [tx.gas_price for tx in transactions(chain.produce())] == [1000]


def test_at_most_64_wait_behind_a_gap(chain, keys, make) -> None:
    for nonce in range(1, 65):
        assert chain.send(make(keys[0], nonce)) is None
    assert chain.send(make(keys[0], 65)) == "queued_limit_exceeded"
    assert chain.send(make(keys[1], 65)) is None
    assert chain.status()["mempool_size"] == 0
    assert chain.pending_nonce(keys[0].address) == 0
    assert chain.send(make(keys[0], 0)) is None
    assert chain.pending_nonce(keys[0].address) == 65
    assert len(chain.produce().txs) == 1
    assert chain.status()["mempool_size"] == 64
    assert [tx.nonce for tx in chain.produce().txs] == list(range(1, 65))


def test_many_may_wait_without_a_gap(chain, keys, make) -> None:
    for nonce in range(70):
        assert chain.send(make(keys[0], nonce)) is None
    assert len(chain.produce().txs) == 70


def test_transactions_expire_after_an_hour(chain, clock, keys, make) -> None:
    first = make(keys[0], 1)
    assert chain.send(first) is None
    clock.now += 3600
    assert chain.send(make(keys[0], 2)) is None
    chain.produce()
    assert chain.pending_nonce(keys[0].address) == 0
    clock.now += 1
    chain.produce()
    assert chain.send(make(keys[0], 0)) is None
    assert chain.pending_nonce(keys[0].address) == 1, "the one that expired left a gap"
    chain.produce()
    assert chain.account(keys[0].address).nonce == 1


def test_sending_again_what_is_queued_starts_its_hour_anew(chain, clock, keys, make) -> None:
    tx = make(keys[0], 1)
    assert chain.send(tx) is None
    clock.now += 3000
    assert chain.send(tx) is None
    clock.now += 3000
    chain.produce()
    assert chain.forget(tx.hash()) == 2


def test_what_stands_behind_a_dropped_one_stays_ready(chain, keys, make) -> None:
    assert chain.send(make(keys[0], 0)) is None
    assert chain.send(make(keys[0], 1, payload={"task_id": "x"})) is None
    assert chain.send(make(keys[0], 2)) is None
    assert [tx.nonce for tx in chain.produce().txs] == [0]
    assert chain.status()["mempool_size"] == 1
    assert chain.pending_nonce(keys[0].address) == 1
    assert chain.send(make(keys[0], 1)) is None
    assert [tx.nonce for tx in chain.produce().txs] == [1, 2]
