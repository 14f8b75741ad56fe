"""`tx send` of an amount whose digits can be read in two ways: a transaction for each digit."""

import pytest

from node_client.ambiguity import one_digit_parts
from node_client.networks import parse_cpc
from node_client.transaction import Transaction
from tests.liar import LyingNode

ENDS_IN_A_DIGIT = "cpc1a0qwuze2h85zw7nqpsj3ga0z9geyrgwpugqrh5"
HAS = 1000 * 10**18


@pytest.fixture
def gained(devnet, keys):
    return lambda: devnet.chain.account(keys["worker"].address).balance - HAS


@pytest.fixture
def liar(devnet, monkeypatch):
    """The only node that the command knows, in front of the devnet."""
    with LyingNode(devnet.url) as node:
        monkeypatch.setenv("CPC_NODE", node.url)
        yield node


@pytest.mark.parametrize("amount", ["1.5", "0.25", "99.000001", "250"])
def test_all_parts_arrive_and_their_sum_is_what_was_asked(cli, keys, gained, amount):
    sent = cli(f"tx send {keys['worker'].address} {amount} --from faucet --wait 300")
    assert sent.code == 0, sent
    assert gained() == parse_cpc(amount)
    parts = len(one_digit_parts(gained()))
    assert f"{amount} CPC is sent as {parts} transactions" in sent.err
    assert f"Sent {amount} CPC to" in sent.out
    assert "Blocks: " in sent.out
    assert sent.out.count("(nonce ") == parts


def test_what_the_parts_cost_is_said_before_and_is_true(cli, devnet, keys, gained):
    sent = cli(f"tx send {keys['worker'].address} 1.5 --from faucet --wait 300")
    assert "1 + 0.5. Their fees are 0.000000000042 CPC together" in sent.err
    cost = HAS - devnet.chain.account(keys["faucet"].address).balance
    assert cost == gained() + 42_000_000


def test_json_lists_each_transaction_and_its_block(cli, devnet, keys):
    worker = keys["worker"].address
    sent = cli(f"tx send {worker} 1.25 --from faucet --wait 300 --json").json()
    assert sent["unsent"] == "0"
    assert [one["nonce"] for one in sent["transactions"]] == [0, 1, 2]
    assert [int(one["amount"]) for one in sent["transactions"]] == [10**18, 2 * 10**17, 5 * 10**16]
    for one in sent["transactions"]:
        hashes = [tx.hash() for tx in devnet.chain.block(one["height"]).txs]
        assert one["tx_hash"] in hashes
    single = cli(f"tx send {worker} 5 --from faucet --wait 300 --json").json()
    (only,) = single.pop("transactions")
    assert only == single | {"amount": str(5 * 10**18)}
    assert set(single) == {"tx_hash", "nonce", "fee", "height"}


def refuse_after(liar, parts):
    def look():
        if len(liar.sent) > parts:
            liar.refusal = "mempool is full"

    liar.on_send = look


def the_rest(outcome):
    """The command that the error names."""
    return outcome.err.partition("is in blocks: cpc-engine ")[2].splitlines()[0]


def test_a_refusal_in_the_middle_says_what_was_sent_and_how_the_rest_is(
    cli, devnet, keys, gained, liar
):
    refuse_after(liar, 1)
    stopped = cli(f"tx send {keys['worker'].address} 1.25 --from faucet --json")
    assert stopped.code == 3
    assert len(liar.sent) == 2  # the third is not tried
    first = Transaction.model_validate(liar.sent[0])
    assert f"Sent: 1 CPC, nonce 0, {first.hash()}" in stopped.err
    assert "Not sent: 0.25 CPC" in stopped.err
    said = stopped.json()
    assert [one["tx_hash"] for one in said["transactions"]] == [first.hash()]
    assert said["unsent"] == str(25 * 10**16)
    liar.on_send, liar.refusal = lambda: None, ""
    command = the_rest(stopped)
    assert command.endswith(f"0.25 --from faucet --node {liar.url} --nonce 1")
    assert cli(f"{command} --wait 300").code == 0
    assert gained() == parse_cpc("1.25")


def test_a_part_that_was_refused_and_kept_is_not_paid_twice_by_that_command(
    cli, devnet, keys, gained, liar
):
    refuse_after(liar, 1)
    stopped = cli(f"tx send {keys['worker'].address} 1.25 --from faucet")
    assert devnet.chain.send(Transaction.model_validate(liar.sent[1])) is None
    liar.on_send, liar.refusal = lambda: None, ""
    cli(f"{the_rest(stopped)} --wait 5")
    assert gained() <= parse_cpc("1.25")


def test_an_answer_that_is_lost_leaves_it_open_and_is_not_paid_twice(cli, devnet, keys, gained):
    devnet.faults.lie("half_body", times=1, path="/tx/send")
    stopped = cli(f"tx send {keys['worker'].address} 1.5 --from faucet")
    assert stopped.code == 3
    assert "Not known to have arrived: 1 CPC, nonce 0" in stopped.err
    assert "Not sent: 0.5 CPC" in stopped.err
    assert the_rest(stopped).endswith(f"1.5 --from faucet --node {devnet.url} --nonce 0")
    again = cli(f"{the_rest(stopped)} --wait 300")
    # It is in the mempool still, or in a block, where its nonce is spent.
    assert gained() == parse_cpc("1.5" if again.code == 0 else "1")


def test_a_single_transaction_whose_answer_is_lost_is_not_paid_twice_either(
    cli, devnet, keys, gained
):
    devnet.faults.lie("half_body", times=1, path="/tx/send")
    stopped = cli(f"tx send {keys['worker'].address} 5 --from faucet")
    assert stopped.code == 3
    assert "Not known to have arrived: 5 CPC, nonce 0" in stopped.err
    assert "Not sent" not in stopped.err
    cli(f"{the_rest(stopped)} --wait 300")
    assert gained() == parse_cpc("5")


def test_more_parts_than_one_command_sends_are_refused_with_a_round_amount(cli, devnet, keys):
    line = "tx send {} {} --from faucet --wait 300"
    refused = cli(line.format(keys["worker"].address, "1.111111111111111111"))
    assert refused.code == 2
    assert "19 transactions" in refused.err
    assert "1.11111111111111111 CPC" in refused.err
    assert devnet.chain.pending_nonce(keys["faucet"].address) == 0


def test_parts_are_no_help_to_an_address_that_ends_in_a_digit(cli, devnet, keys):
    for accepted in ("", " --accept-burn 51"):  # the one's and the other's together are more
        refused = cli(f"tx send {ENDS_IN_A_DIGIT} 1.5 --from faucet{accepted}")
        assert refused.code == 2, refused
        assert "burn 51.5 CPC" in refused.err
    assert devnet.chain.pending_nonce(keys["faucet"].address) == 0
