"""Admission and waiting, where rpc.json does not reach."""

import pytest

from node_client.errors import InvalidTransaction


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


def test_a_malformed_key_is_refused(chain, keys, make) -> None:
    tx = make(keys[0], 0).model_copy(update={"pub_key": "zz"})
    assert (chain.send(tx) or "").startswith("invalid_key_format: ")


def test_a_transfer_of_nothing_is_refused(chain, keys, make) -> None:
    tx = make(keys[0], 0, "TRANSFER", to_address=keys[1].address)
    assert chain.send(tx) == "transfer_amount_zero"


@pytest.mark.parametrize("value", ["\ud800", float("nan"), float("inf")])
def test_a_payload_that_no_block_could_show_is_a_fault_inside(chain, keys, make, value) -> None:
    tx = make(keys[0], 0, payload={**make(keys[0], 0).payload, "more": value})
    with pytest.raises(InvalidTransaction):
        chain.send(tx)
    assert chain.pending_nonce(keys[0].address) == 0


def test_the_balance_must_cover_the_fee_that_is_offered(chain, keys, make) -> None:
    assert chain.send(make(keys[0], 0, fee=10**18 + 1)) == "insufficient_balance"
    assert chain.send(make(keys[0], 0, fee=10**18)) is None
    chain.produce()
    assert chain.account(keys[0].address).balance == 10**18 - 80_000_000


def test_another_with_a_queued_nonce_is_too_low(chain, keys, make) -> None:
    assert chain.send(make(keys[0], 3)) is None
    assert chain.send(make(keys[0], 3)) == "already_in_pool"
    assert chain.send(make(keys[0], 3, fee=80_000_001)) == "nonce_too_low"


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
    assert chain.send(make(keys[0], 1)) is None
    clock.now += 3600
    assert chain.send(make(keys[0], 2)) is None
    chain.produce()
    assert chain.send(make(keys[0], 1)) == "already_in_pool"
    clock.now += 1
    chain.produce()
    assert chain.send(make(keys[0], 0)) is None
    assert chain.pending_nonce(keys[0].address) == 1, "the one that expired left a gap"
    chain.produce()
    assert chain.account(keys[0].address).nonce == 1


def test_what_stands_behind_a_dropped_one_waits(chain, keys, make) -> None:
    assert chain.send(make(keys[0], 0)) is None
    assert chain.send(make(keys[0], 1, payload={"task_id": "x"})) is None
    assert chain.send(make(keys[0], 2)) is None
    assert [tx.nonce for tx in chain.produce().txs] == [0]
    assert chain.status()["mempool_size"] == 0
    assert chain.pending_nonce(keys[0].address) == 1
    assert chain.send(make(keys[0], 1)) is None
    assert [tx.nonce for tx in chain.produce().txs] == [1]
    assert [tx.nonce for tx in chain.produce().txs] == [2]
