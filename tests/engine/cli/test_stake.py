"""Staking from the command line, against the devnet."""

import pytest

from node_client import NodeClient
from node_client.address import VALIDATOR_PREFIX, address_from_public_key
from node_client.devnet import DevnetServer
from node_client.keystore import Keystore
from node_client.transaction import Transaction
from tests.processes import wait_until


def mined(cli, line):
    """Send it, wait for its block, and return the transaction in it."""
    sent = cli(f"{line} --wait 300 --json")
    assert sent.code == 0, sent
    answer = sent.json()
    block = cli(f"query block {answer['height']} --json").json()
    (found,) = (tx for tx in block["txs"] if tx["nonce"] == answer["nonce"])
    return found


def test_stake_is_in_a_block_with_the_payload_of_cpc_cli(cli, devnet, keys):
    tx = mined(cli, "tx stake 150 --from worker")
    assert tx["tx_type"] == "STAKE"
    assert tx["amount"] == 150 * 10**18
    assert tx["to_address"] is None
    assert tx["payload"] == {"pub_key": keys["worker"].public_key}
    assert tx["gas_limit"] == 40_000


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("tx stake 0 --from worker", "not an amount"),
        ("tx stake x --from worker", "not an amount"),
        ("tx stake 1 --from nobody", "nobody"),
        ("tx delegate cpc1nothing 100 --from worker", "cpcvalcons1"),
        ("tx update-validator --from worker", "without anything to change"),
        ("tx update-validator --from worker --name 'a{b'", "without {"),
        ("tx update-validator --from worker --commission 2", "0 to 1"),
        ("tx update-validator --from worker --commission nan", "0 to 1"),
        (f"tx update-validator --from worker --name {'x' * 65}", "64 characters: 65"),
        ("query validator cpcvalcons1nothing", "cpcvalcons1"),
        ("query validator nobody", "nobody"),
        ("query delegations cpc1nothing", "not an address"),
        ("query rewards nobody", "nobody"),
        ("query unbonding cpc1nothing", "not an address"),
    ],
)
def test_bad_input_is_a_sentence_and_exit_code_2(cli, keys, line, says):
    done = cli(line)
    assert done.code == 2, done
    assert says in done.err


@pytest.mark.parametrize(
    "command",
    [
        *(f"tx {name}" for name in ("stake", "unstake", "delegate", "undelegate", "unjail")),
        "tx update-validator",
        *(f"query {name}" for name in ("validators", "validator", "delegations")),
        *(f"query {name}" for name in ("rewards", "unbonding")),
    ],
)
def test_every_command_has_help(cli, home, command):
    shown = cli(f"{command} --help")
    assert shown.code == 0
    assert "--json" in shown.out


@pytest.fixture
def rich(home, keys, monkeypatch):
    """A devnet on which both keys have enough to be released from jail."""
    balances = {info.address: 5000 * 10**18 for info in keys.values()}
    with DevnetServer(block_time=0.25, balances=balances) as server:
        monkeypatch.setenv("CPC_NODE", server.url)
        yield server


def test_a_validators_life(cli, rich, keys):
    """Stake, describe, be jailed, lose nothing by accident, be released, take the stake back."""
    mined(cli, "tx stake 150 --from worker")
    me = address_from_public_key(keys["worker"].public_key, VALIDATOR_PREFIX)
    shown = cli("query validator worker --json").json()
    assert shown["address"] == me
    assert shown["power"] == str(150 * 10**18)
    assert shown["reward_address"] == keys["worker"].address
    texts = "--name 'My Pool' --website https://pool.example --commission 0.05"
    tx = mined(cli, f"tx update-validator --from worker {texts}")
    assert tx["payload"].keys() == {"pub_key", "name", "website", "commission_rate"}
    assert cli(f"query validator {me} --json").json()["name"] == "My Pool"
    head, *lines = cli("query validators").out.splitlines()
    assert head.split() == ["validator", "stake,", "CPC", "state", "commission", "name"]
    (line,) = (one for one in lines if me in one)
    assert line.split()[1] == "150"
    assert line.endswith("5 %  My Pool")
    assert cli("tx unjail --from worker").code == 2
    rich.faults.jail(me)
    jailed = cli("tx unstake 50 --from worker")
    assert jailed.code == 2
    assert "--accept-penalty" in jailed.err
    assert "jailed until block" in cli("query validators").out
    before = int(cli("query balance worker --json").json()["balance"])
    mined(cli, "tx unjail --from worker")
    assert before - int(cli("query balance worker --json").json()["balance"]) > 1000 * 10**18
    assert cli("query validator worker --json").json()["jailed_until_height"] == 0
    mined(cli, "tx unstake 50 --from worker")
    assert cli("query validator worker --json").json()["power"] == str(100 * 10**18)
    assert cli("tx unstake 101 --from worker").code == 2


def test_a_jailed_validators_stake_is_taken_back_at_a_loss_only_where_that_is_said(cli, rich, keys):
    mined(cli, "tx stake 100 --from worker")
    me = address_from_public_key(keys["worker"].public_key, VALIDATOR_PREFIX)
    rich.faults.jail(me)
    before = int(cli("query balance worker --json").json()["balance"])
    tx = mined(cli, "tx unstake 100 --from worker --accept-penalty")
    gained = int(cli("query balance worker --json").json()["balance"]) - before
    assert gained == 90 * 10**18 - 40_000 * tx["gas_price"]


def test_a_delegators_life(cli, rich, keys):
    listed = cli("query validators --json").json()["validators"]
    to = listed[-1]["address"]
    assert cli(f"tx delegate {to} 99 --from worker").code == 2
    assert cli("tx delegate worker 100 --from worker").code == 2  # not a validator
    tx = mined(cli, f"tx delegate {to} 250 --from worker")
    assert tx["payload"] == {"validator": to}
    held = cli("query delegations worker --json").json()
    assert held["total_delegated"] == str(250 * 10**18)
    assert [one["validator"] for one in held["delegations"]] == [to]
    assert "250 CPC delegated" in cli("query delegations worker").out
    assert cli(f"tx undelegate {to} 251 --from worker").code == 2
    mined(cli, f"tx undelegate {to} 50 --from worker")
    waiting = cli("query unbonding worker --json").json()
    assert [one["amount"] for one in waiting["unbonding_delegations"]] == [str(50 * 10**18)]
    assert "50 CPC on the way back" in cli("query unbonding worker").out
    assert cli("query rewards worker --json").json()["total_rewards"] == "0"
    assert "0 CPC earned" in cli("query rewards worker").out


def test_what_is_not_there_or_not_ones_own_is_not_changed(cli, rich, keys):
    missing = cli("tx update-validator --from worker --name X")
    assert missing.code == 2
    assert "no validator" in missing.err
    assert cli("query validator worker").code == 1
    faucet = Keystore().load("faucet")
    payment = Transaction(  # anybody may stake for another's key, and owns the validator then
        tx_type="STAKE",
        from_address=faucet.address,
        amount=10**18,
        fee=40_000_000,
        nonce=0,
        payload={"pub_key": keys["worker"].public_key},
        gas_price=1000,
        gas_limit=40_000,
    ).signed_by(faucet)
    NodeClient([rich.url]).send(payment)
    wait_until(lambda: cli("query validator worker").code == 0)
    for line in ("tx update-validator --from worker --name X", "tx unjail --from worker"):
        refused = cli(line)
        assert refused.code == 2
        assert "belongs to" in refused.err


def test_too_much_power_is_warned_about(cli, rich, keys):
    """Six validators of 10,000 CPC each: 3,000 more for one of them are 21 % of all."""
    to = cli("query validators --json").json()["validators"][0]["address"]
    asked = cli(f"tx delegate {to} 3000 --from worker")
    assert asked.code == 0
    assert "21 % of all voting power" in asked.err
    assert "20 %" in asked.err
