"""What a node says of validators and stakes: shapes of its public code, and everything beside them."""

from typing import Any

import pytest

from node_client import NodeClient, Retries
from node_client.errors import BadResponse, InvalidAddress, NotFound
from node_client.stakes import (
    Validator,
    Validators,
    get_delegations,
    get_rewards,
    get_unbonding,
    get_validator,
    get_validators,
)
from tests.node_client.conftest import http

VALIDATOR = {
    "pq_pub_key": "02" + "ab" * 32,
    "power": 1500 * 10**18,
    "is_active": True,
    "reward_address": "cpc1ce0nn835fsmg45evmeefnpfufkv8shh6z9adsj",
    "name": "MyPool",
    "website": None,
    "description": None,
    "blocks_proposed": 7,
    "blocks_expected": 8,
    "missed_blocks": 0,
    "last_block_height": 40,
    "uptime_score": 0.875,
    "performance_score": 0.9,
    "total_penalties": 0,
    "jailed_until_height": 0,
    "jail_count": 0,
    "joined_height": 1,
    "last_seen_height": 41,
    "unstaking_queue": [],
    "commission_rate": 0.1,
    "self_stake": 0,
    "total_delegated": 0,
    "delegations": [],
}
"""An entry of GET /validators, field by field as the node's public code has it."""


@pytest.fixture
def client(villain):
    client = NodeClient([villain.url], retries=Retries(rounds=1))
    yield client
    client.close()


@pytest.fixture
def entry(keys) -> dict[str, Any]:
    return {"address": keys[1].validator_address} | VALIDATOR


def test_the_answers_of_the_public_code_are_read(villain, client, key, entry):
    me, validator = key.address, entry["address"]
    villain.answer = http({"epoch": 3, "validators": [entry]})
    (found,) = client.ask(get_validators).validators
    assert (found.name, found.power, found.commission_rate) == ("MyPool", 1500 * 10**18, 0.1)
    villain.answer = http(entry)
    assert client.ask(lambda node: get_validator(node, validator)) == found
    held = {
        "validator": validator,
        "amount": 10**20,
        "created_height": 5,
        "validator_name": "Unknown",
        "validator_commission": 0.1,
    }
    villain.answer = http({"delegator": me, "delegations": [held], "total_delegated": 10**20})
    assert client.ask(lambda node: get_delegations(node, me)).delegations[0].amount == 10**20
    earned = [{"epoch": 1, "amount": 5}, {"epoch": 2, "amount": 7}]
    villain.answer = http(
        {"delegator": me, "total_rewards": 12, "rewards_by_epoch": earned, "current_epoch": 3}
    )
    assert client.ask(lambda node: get_rewards(node, me)).total_rewards == 12
    waiting = {
        "validator": validator,
        "amount": 9,
        "completion_height": 140,
        "blocks_remaining": 99,
    }
    villain.answer = http(
        {
            "delegator": me,
            "total_unbonding": 9,
            "unbonding_count": 1,
            "unbonding_delegations": [waiting],
            "current_height": 41,
        }
    )
    assert client.ask(lambda node: get_unbonding(node, me)).unbonding_delegations[0].amount == 9


@pytest.mark.parametrize(
    ("fields", "seen"),
    [
        ({"name": ["a", "b"]}, {"name": None}),
        ({"name": "\x1b[2J\u202ePool\n"}, {"name": "[2J Pool"}),
        ({"name": ""}, {"name": None}),
        ({"description": "x" * 100_000}, {"description": "x" * 253 + "..."}),
        ({"commission_rate": None}, {"commission_rate": None}),
        ({"commission_rate": "0.1"}, {"commission_rate": None}),
        ({"commission_rate": True}, {"commission_rate": None}),
        ({"commission_rate": 1}, {"commission_rate": 1.0}),
        ({"uptime_score": "high"}, {"uptime_score": None}),
        ({"more": {"deep": []}}, {}),
    ],
)
def test_what_a_stranger_chose_hides_no_validator(entry, fields, seen):
    said = {"epoch": 1, "validators": [entry, entry | fields]}
    _first, second = Validators.model_validate(said).validators
    assert second.model_dump() == Validator.model_validate(entry).model_dump() | seen


@pytest.mark.parametrize(
    "fields",
    [
        {"power": -1},
        {"power": "5"},
        {"power": 5.0},
        {"power": True},
        {"power": 10**40},
        {"is_active": 1},
        {"jailed_until_height": 2**63},
        {"address": "cpc valcons"},
        {"address": "\x1b"},
        {"address": None},
        {"reward_address": "\x1b[31m"},
    ],
)
def test_a_wrong_answer_is_one_sentence(villain, client, entry, fields):
    villain.answer = http({"epoch": 1, "validators": [entry | fields]})
    with pytest.raises(BadResponse) as failed:
        client.ask(get_validators)
    assert str(failed.value).isprintable()
    assert len(str(failed.value)) < 400


def test_an_answer_for_another_account_and_bodies_without_end(villain, client, key, keys, entry):
    villain.answer = http({"delegator": keys[1].address, "delegations": [], "total_delegated": 0})
    with pytest.raises(BadResponse, match="not for"):
        client.ask(lambda node: get_delegations(node, key.address))
    villain.answer = http(entry)
    with pytest.raises(BadResponse, match="not for"):
        client.ask(lambda node: get_validator(node, keys[0].validator_address))
    villain.answer = http('{"epoch": 1, "validators": [' + " " * 5 * 2**20)
    with pytest.raises(BadResponse, match="too long"):
        client.ask(get_validators)
    villain.answer = http({"detail": "Validator not found"}, "404 Not Found")
    with pytest.raises(NotFound):
        client.ask(lambda node: get_validator(node, entry["address"]))
    with pytest.raises(InvalidAddress, match="cpcvalcons1"):
        client.ask(lambda node: get_validator(node, key.address))
