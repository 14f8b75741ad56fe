"""What each kind of transaction does to the accounts."""

import pytest

from node_client.devnet.state import AccountState, ChainState, Undo

CPC = 10**18


def test_a_transfer_takes_base_gas_times_price_whatever_the_fee(keys, make) -> None:
    alice, bob = keys[:2]
    state = ChainState({alice.address: CPC})
    tx = make(alice, 0, "TRANSFER", to_address=bob.address, amount=5, fee=10**15, gas_limit=10**6)
    assert state.apply(tx, Undo()) is None
    assert state.account(alice.address) == AccountState(CPC - 5 - 21_000_000, 1)
    assert state.account(bob.address) == AccountState(5)
    assert state.burned == 21_000_000


def test_a_transfer_to_oneself_costs_the_fee_only(keys, make) -> None:
    alice = keys[0]
    state = ChainState({alice.address: CPC})
    tx = make(alice, 0, "TRANSFER", to_address=alice.address, amount=7)
    assert state.apply(tx, Undo()) is None
    assert state.account(alice.address) == AccountState(CPC - 21_000_000, 1)


@pytest.mark.parametrize("text", ["garbage", "cpc1", "cpcvalcons1x", "Ω"])
def test_a_transfer_to_any_text_is_carried_out(keys, make, text: str) -> None:
    """Seen: the node has no idea of what an address is."""
    state = ChainState({keys[0].address: CPC})
    assert state.apply(make(keys[0], 0, "TRANSFER", amount=5, to_address=text), Undo()) is None
    assert state.account(text) == AccountState(5)


def test_a_result_with_amount_and_recipient_loses_the_amount(keys, make) -> None:
    alice, bob = keys[:2]
    state = ChainState({alice.address: CPC})
    assert state.apply(make(alice, 0, amount=7, to_address=bob.address), Undo()) is None
    assert state.account(alice.address) == AccountState(CPC - 7 - 80_000_000, 1)
    assert state.account(bob.address) == AccountState()
    assert state.total() + state.burned == CPC


def test_what_cannot_be_applied_changes_nothing(keys, make) -> None:
    alice, bob = keys[:2]
    state = ChainState({alice.address: CPC})
    root = state.root()
    payload = make(bob, 0).payload
    for tx in (
        make(alice, 1),
        make(bob, 0),
        make(alice, 0, payload={"task_id": "x"}),
        make(alice, 0, payload=payload),
        make(alice, 0, payload={**make(alice, 0).payload, "signature": None}),
        make(alice, 0, "TRANSFER", amount=1),
        make(alice, 0, "TRANSFER", amount=1, to_address=""),
        make(alice, 0, "TRANSFER", amount=CPC, to_address=bob.address),
    ):
        undo = Undo()
        assert state.apply(tx, undo) is not None
        assert undo == Undo()
        assert state.root() == root


def test_restore_takes_everything_back(keys, make) -> None:
    alice, bob = keys[:2]
    state = ChainState({alice.address: CPC})
    root = state.root()
    undo = Undo()
    payload = {"pub_key": alice.public_key}
    for tx in (
        make(alice, 0, "TRANSFER", to_address=bob.address, amount=5),
        make(alice, 1, "STAKE", amount=5, payload=payload),
        make(alice, 2, "UNSTAKE", amount=3, payload=payload),
    ):
        assert state.apply(tx, undo) is None
    assert state.root() != root
    state.restore(undo)
    assert state.root() == root
    assert state.burned == 0
    assert state.account(bob.address) == AccountState()
    assert state.validators() == []


def test_the_root_depends_on_the_accounts_alone() -> None:
    assert ChainState({"a": 1, "b": 2}).root() == ChainState({"b": 2, "a": 1, "c": 0}).root()
    assert ChainState({"a": 1}).root() != ChainState({"a": AccountState(1, 1)}).root()
