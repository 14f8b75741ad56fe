"""Staking from the command line, against the devnet."""

import pytest


def mined(cli, line):
    """Send it, wait for its block, and return the transaction in it."""
    sent = cli(f"{line} --wait 90 --json")
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
        (f"tx update-validator --from worker --name {'x' * 65}", "65 characters"),
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
