"""Validators and delegations: the rules of the node's published source."""

from dataclasses import replace

import pytest

from node_client.devnet import Chain, Faults
from node_client.devnet.rules import LEAST_DELEGATION, UNBONDING_BLOCKS, UNJAIL_FEE
from node_client.devnet.state import ChainState, Undo
from node_client.devnet.validators import GENESIS_STAKE, Validator, idle_validator_key
from node_client.keys import PrivateKey

CPC = 10**18
RICH = 10**6 * CPC
OWNER = idle_validator_key(0)


@pytest.fixture
def delegator(keys) -> PrivateKey:
    key: PrivateKey = keys[0]
    return key


@pytest.fixture
def state(delegator) -> ChainState:
    """Six validators of the same stake; the owner of the first one and a delegator have coins."""
    validators = [Validator.at_genesis(idle_validator_key(n), is_active=True) for n in range(6)]
    return ChainState({OWNER.address: RICH, delegator.address: RICH}, validators)


@pytest.fixture
def apply(state, make):
    """`apply(key, type, **fields)` carries a transaction out in block 7, and gives why not."""

    def apply(key, kind: str, *, height: int = 7, undo: Undo | None = None, **fields):
        tx = make(key, state.account(key.address).nonce, kind, **fields)
        before, supply = state.root(), state.total() + state.burned
        undo = undo or Undo()
        refused = state.apply(tx, undo, height)
        assert (state.root() == before) is (refused is not None)
        assert state.total() + state.burned == supply
        return refused

    return apply


def owned(state) -> Validator:
    validator = state.validator(OWNER.validator_address)
    assert validator is not None
    return validator


def test_stake_makes_a_validator_and_adds_to_it(state, apply, delegator, keys) -> None:
    other, payload = keys[3], {"pub_key": keys[3].public_key}
    assert apply(delegator, "STAKE", amount=100, payload=payload) is None
    assert state.validator(other.validator_address) == Validator(
        other.validator_address, other.public_key, 100, reward_address=delegator.address
    )
    assert apply(OWNER, "STAKE", amount=11, payload=payload) is None
    assert state.validator(other.validator_address).power == 111
    assert state.validator(other.validator_address).reward_address == delegator.address


@pytest.mark.parametrize("payload", [{}, {"pub_key": ""}, {"pub_key": 7}, {"pub_key": "zz"}])
@pytest.mark.parametrize("kind", ["STAKE", "UNSTAKE", "UPDATE_VALIDATOR", "UNJAIL"])
def test_a_validator_is_named_by_its_key(apply, delegator, kind: str, payload) -> None:
    assert apply(delegator, kind, amount=UNJAIL_FEE, payload=payload) is not None


def test_unstake_gives_back_at_once(state, apply) -> None:
    payload = {"pub_key": OWNER.public_key}
    before = state.account(OWNER.address).balance
    assert "stake" in (apply(OWNER, "UNSTAKE", amount=GENESIS_STAKE + 1, payload=payload) or "")
    assert apply(OWNER, "UNSTAKE", amount=GENESIS_STAKE - 1, payload=payload) is None
    assert owned(state).is_active
    assert apply(OWNER, "UNSTAKE", amount=1, payload=payload) is None
    assert state.account(OWNER.address).balance == before + GENESIS_STAKE - 2 * 40_000_000
    assert (owned(state).power, owned(state).is_active) == (0, False)
    unknown = {"pub_key": "02" * 33}
    assert apply(OWNER, "UNSTAKE", amount=1, payload=unknown) is not None


def test_a_tenth_is_burned_where_a_jailed_validator_unstakes(state, apply) -> None:
    state.set_validator(replace(owned(state), jailed_until_height=99))
    before = state.account(OWNER.address).balance
    payload = {"pub_key": OWNER.public_key}
    assert apply(OWNER, "UNSTAKE", amount=1_000, payload=payload) is None
    assert state.account(OWNER.address).balance == before + 900 - 40_000_000


def test_update_validator_changes_what_it_names(state, apply) -> None:
    payload = {"pub_key": OWNER.public_key, "name": "X", "commission_rate": "0.5"}
    before = state.account(OWNER.address).balance
    assert apply(OWNER, "UPDATE_VALIDATOR", amount=5, payload=payload) is None
    assert owned(state).name == "X"
    assert owned(state).commission_rate == 0.5
    assert owned(state).website is None
    assert state.account(OWNER.address).balance == before - 30_000_000, "no amount is taken"


@pytest.mark.parametrize(
    "change",
    [
        {"name": "x" * 65},
        {"website": "x" * 129},
        {"description": "x" * 257},
        {"name": None},
        {"commission_rate": 1.01},
        {"commission_rate": -0.1},
        {"commission_rate": "much"},
        {"commission_rate": []},
        {"commission_rate": float("nan")},
    ],
)
def test_update_validator_has_limits(apply, change) -> None:
    payload = {"pub_key": OWNER.public_key, **change}
    assert apply(OWNER, "UPDATE_VALIDATOR", payload=payload) is not None


def test_only_the_owner_updates_and_releases(state, apply, delegator) -> None:
    state.set_validator(replace(owned(state), jailed_until_height=99))
    payload = {"pub_key": OWNER.public_key, "name": "Y"}
    assert "owner" in (apply(delegator, "UPDATE_VALIDATOR", payload=payload) or "")
    assert "owner" in (apply(delegator, "UNJAIL", amount=UNJAIL_FEE, payload=payload) or "")


def test_unjail_burns_its_fee(state, apply) -> None:
    payload = {"pub_key": OWNER.public_key}
    assert "not jailed" in (apply(OWNER, "UNJAIL", amount=UNJAIL_FEE, payload=payload) or "")
    state.set_validator(replace(owned(state), jailed_until_height=99, is_active=False))
    assert "fee" in (apply(OWNER, "UNJAIL", amount=UNJAIL_FEE - 1, payload=payload) or "")
    assert apply(OWNER, "UNJAIL", amount=UNJAIL_FEE, payload=payload) is None
    assert (owned(state).jailed_until_height, owned(state).is_active) == (0, True)
    assert state.burned == UNJAIL_FEE + 50_000_000


def test_delegate_and_undelegate(state, apply, delegator) -> None:
    payload = {"validator": OWNER.validator_address}
    assert apply(delegator, "DELEGATE", amount=LEAST_DELEGATION - 1, payload=payload) is not None
    assert apply(delegator, "DELEGATE", amount=LEAST_DELEGATION, payload=payload) is None
    assert apply(delegator, "DELEGATE", amount=LEAST_DELEGATION, payload=payload, height=9) is None
    (delegation,) = owned(state).delegations
    assert (delegation.amount, delegation.created_height) == (2 * LEAST_DELEGATION, 7)
    assert owned(state).power == GENESIS_STAKE + 2 * LEAST_DELEGATION

    too_much = 2 * LEAST_DELEGATION + 1
    assert apply(delegator, "UNDELEGATE", amount=too_much, payload=payload) is not None
    before = state.account(delegator.address).balance
    assert apply(delegator, "UNDELEGATE", amount=2 * LEAST_DELEGATION, payload=payload) is None
    assert owned(state).delegations == ()
    assert owned(state).power == GENESIS_STAKE
    assert state.account(delegator.address).balance == before - 35_000_000, "not yet"
    undo = Undo()
    state.end_unbonding(7 + UNBONDING_BLOCKS - 1, undo)
    assert undo == Undo()
    state.end_unbonding(7 + UNBONDING_BLOCKS, undo)
    account = state.account(delegator.address)
    assert account.balance == before - 35_000_000 + 2 * LEAST_DELEGATION
    assert account.unbonding == ()
    state.restore(undo)
    assert state.account(delegator.address).unbonding


def test_a_delegation_may_not_make_a_validator_too_strong(apply, delegator) -> None:
    """A fifth of all voting power: (10,000 + x) of (60,000 + x) CPC."""
    payload = {"validator": OWNER.validator_address}
    most = GENESIS_STAKE // 4
    assert "part in 5" in (apply(delegator, "DELEGATE", amount=most + 1, payload=payload) or "")
    assert apply(delegator, "DELEGATE", amount=most, payload=payload) is None


def test_an_account_delegates_to_ten_validators_at_most(keys, make) -> None:
    validators = [Validator.at_genesis(idle_validator_key(n), is_active=True) for n in range(11)]
    state = ChainState({keys[0].address: RICH}, validators)
    refused = []
    for nonce, validator in enumerate([*validators, validators[0]]):
        payload = {"validator": validator.address}
        nonce = state.account(keys[0].address).nonce
        tx = make(keys[0], nonce, "DELEGATE", amount=LEAST_DELEGATION, payload=payload)
        refused.append(state.apply(tx, Undo()) is not None)
    assert refused == [False] * 10 + [True, False]


@pytest.mark.parametrize("validator", [None, 7, "", "cpcvalcons1nobody"])
@pytest.mark.parametrize("kind", ["DELEGATE", "UNDELEGATE"])
def test_an_unknown_validator(apply, delegator, kind: str, validator) -> None:
    payload = {"validator": validator}
    assert apply(delegator, kind, amount=LEAST_DELEGATION, payload=payload) is not None


def test_a_chain_lets_one_delegate_and_unjail(keys, clock, make) -> None:
    """Through mempool and blocks, and back again."""
    chain = Chain({keys[0].address: RICH, OWNER.address: RICH}, clock=clock)
    faults = Faults()
    faults.bind(chain)
    faults.jail(OWNER.validator_address, blocks=50)
    jailed = chain.validator(OWNER.validator_address)
    assert (jailed.jailed_until_height, jailed.jail_count, jailed.is_active) == (50, 1, False)
    payload = {"validator": OWNER.validator_address}
    tx = make(keys[0], 0, "DELEGATE", amount=LEAST_DELEGATION, payload=payload)
    assert chain.send(tx) is None
    release = {"pub_key": OWNER.public_key}
    assert chain.send(make(OWNER, 0, "UNJAIL", amount=UNJAIL_FEE, payload=release)) is None
    assert chain.produce().header.gas_used == 35_000 + 50_000
    validator = chain.validator(OWNER.validator_address)
    assert validator.jailed_until_height == 0
    assert validator.delegations[0].created_height == 1
    assert chain.send(make(keys[0], 1, "UNDELEGATE", amount=5, payload=payload)) is None
    chain.produce()
    assert chain.account(keys[0].address).unbonding[0].completion_height == 2 + UNBONDING_BLOCKS
    chain.roll_back(2)
    assert chain.validator(OWNER.validator_address) == jailed
    assert chain.account(keys[0].address).balance == RICH
