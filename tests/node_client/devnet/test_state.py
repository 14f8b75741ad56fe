"""What each kind of transaction does to the accounts."""

from node_client.devnet.state import AccountState, ChainState

CPC = 10**18


def test_a_transfer_takes_base_gas_times_price_whatever_the_fee(keys, make) -> None:
    alice, bob = keys[:2]
    state = ChainState({alice.address: CPC})
    tx = make(alice, 0, "TRANSFER", to_address=bob.address, amount=5, fee=10**15, gas_limit=10**6)
    assert state.apply(tx, {}) is None
    assert state.account(alice.address) == AccountState(CPC - 5 - 21_000_000, 1)
    assert state.account(bob.address) == AccountState(5)


def test_a_transfer_to_oneself_costs_the_fee_only(keys, make) -> None:
    alice = keys[0]
    state = ChainState({alice.address: CPC})
    assert state.apply(make(alice, 0, "TRANSFER", to_address=alice.address, amount=7), {}) is None
    assert state.account(alice.address) == AccountState(CPC - 21_000_000, 1)


def test_stake_and_unstake_move_money_within_the_account(keys, make) -> None:
    alice = keys[0]
    state = ChainState({alice.address: CPC})
    assert state.apply(make(alice, 0, "STAKE", amount=100), {}) is None
    assert state.account(alice.address) == AccountState(CPC - 100 - 40_000_000, 1, 100)
    assert "stake" in (state.apply(make(alice, 1, "UNSTAKE", amount=101), {}) or "")
    assert state.apply(make(alice, 1, "UNSTAKE", amount=60), {}) is None
    assert state.account(alice.address) == AccountState(CPC - 40 - 80_000_000, 2, 40)


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
        make(alice, 0, payload={**make(alice, 0).payload, "nonce": "0"}),
        make(alice, 0, amount=1),
        make(alice, 0, to_address=bob.address),
        make(alice, 0, "TRANSFER", amount=1),
        make(alice, 0, "TRANSFER", amount=1, to_address="garbage"),
        make(alice, 0, "TRANSFER", amount=CPC, to_address=bob.address),
    ):
        undo: dict[str, AccountState] = {}
        assert state.apply(tx, undo) is not None
        assert not undo
        assert state.root() == root


def test_restore_takes_everything_back(keys, make) -> None:
    alice, bob = keys[:2]
    state = ChainState({alice.address: CPC})
    root = state.root()
    undo: dict[str, AccountState] = {}
    state.apply(make(alice, 0, "TRANSFER", to_address=bob.address, amount=5), undo)
    state.apply(make(alice, 1, "STAKE", amount=5), undo)
    assert state.root() != root
    state.restore(undo)
    assert state.root() == root
    assert state.account(bob.address) == AccountState()


def test_the_root_depends_on_the_accounts_alone() -> None:
    assert ChainState({"a": 1, "b": 2}).root() == ChainState({"b": 2, "a": 1, "c": 0}).root()
    assert ChainState({"a": 1}).root() != ChainState({"a": AccountState(1, 1)}).root()
