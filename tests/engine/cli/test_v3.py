"""Commands against a CometBFT-shaped node, by the rules of the v3 network."""

import json
import threading

import pytest

from tests.node_client.comet import CHAIN_ID, CometServer
from tests.variants import quick_and_slow


@pytest.fixture
def comet(home, keys, monkeypatch):
    with CometServer({keys["faucet"].address: 50 * 10**18}) as server:
        monkeypatch.setenv("CPC_NODE", server.url)
        server.next_block()
        yield server


def test_status_says_where_the_network_stands(cli, comet):
    shown = cli("query status")
    assert shown.code == 0
    assert CHAIN_ID in shown.out
    assert "takes no results yet" in shown.out
    answer = cli("query status --json").json()
    assert answer["height"] == 1
    assert answer["takes_results"] is False
    assert comet.asked.count("/status") == 4  # which network, and where it stands, twice


@pytest.mark.parametrize("command", ["mine", "doctor"])
def test_mine_and_doctor_name_the_network(cli, comet, command):
    done = cli(f"{command} --device cpu --from worker")
    assert done.code == 3
    told = done.out + done.err
    assert "this network takes no results yet" in told
    assert "January 2026" in told
    assert "Field required" not in told


def test_a_transfer_from_the_command_to_a_block(cli, comet, keys):
    worker = keys["worker"].address
    ending = threading.Event()

    def blocks():
        while not ending.wait(0.1):
            comet.next_block()

    maker = threading.Thread(target=blocks)
    maker.start()
    try:
        sent = cli(f"tx send {worker} 1.5 --from faucet --wait 300 --json")
    finally:
        ending.set()
        maker.join()
    assert sent.code == 0, sent
    answer = sent.json()
    assert answer["fee"] == str(21_000 * 1000)
    block = cli(f"query block {answer['height']}").json()
    (held,) = block["txs"]
    assert held["hash"] == answer["tx_hash"]
    assert held["tx"]["chain_id"] == CHAIN_ID
    assert cli("query balance worker").out.startswith("1.5 CPC")
    assert cli("query balance faucet --json").json()["nonce"] == 1


@pytest.mark.parametrize(
    ("path", "answer"), [("/block", (500, b"{")), ("/block", (404, b"")), ("/status", (503, b""))]
)
def test_a_node_that_fails_after_it_took_a_transfer_does_not_hide_that(
    cli, comet, keys, path, answer
):
    line = f"tx send {keys['worker'].address} 1 --from faucet --wait 0.5"
    asked = comet.answer

    def then_fail(url):
        if comet.waiting:
            comet.says[path] = answer
            comet.next_block()
        return asked(url)

    comet.answer = then_fail
    sent = cli(line)
    assert sent.code == 0, sent.err
    assert "Transaction: " in sent.out
    assert "It is in no block yet" in sent.out


def test_a_transfer_whose_answer_is_lost_can_be_sent_again_without_paying_twice(cli, comet, keys):
    line = f"tx send {keys['worker'].address} 1 --from faucet"
    comet.says["/broadcast_tx_sync"] = (200, b"{")
    lost = cli(line)
    assert lost.code == 3
    assert "may have arrived" in lost.err
    assert "--nonce 0" in lost.err


def test_what_is_refused_is_one_sentence_with_its_code(cli, comet, keys):
    worker = keys["worker"].address
    poor = cli(f"tx send {keys['faucet'].address} 1 --from worker")
    assert poor.code == 3
    assert "needs 1.000000000021" in poor.err
    assert cli(f"tx send {worker} 0 --from faucet").code == 2
    assert cli(f"tx send {worker} 1 --from faucet --gas-price 999").code == 2
    assert cli("tx send nobody 1 --from faucet").code == 2
    missing = cli("query block 99")
    assert missing.code == 1
    assert "less than or equal" in missing.err
    assert not comet.waiting


def test_an_unknown_chain_is_signed_for_only_where_it_is_named(cli, comet, keys):
    comet.chain_id = "cpc-comet-mainnet-1"
    line = f"tx send {keys['worker'].address} 1 --from faucet"
    refused = cli(line)
    assert refused.code == 2
    assert "--chain-id" in refused.err
    assert not comet.waiting
    assert cli(f"{line} --chain-id cpc-comet-mainnet-1").code == 0
    assert len(comet.waiting) == 1
    assert (
        "Send the next one when this one is in a block"
        in cli(f"{line} --chain-id cpc-comet-mainnet-1").out
    )
    assert len(comet.waiting) == 1  # the same bytes again, which change nothing
    assert json.loads(comet.waiting[0])["chain_id"] == "cpc-comet-mainnet-1"
    comet.chain_id = CHAIN_ID
    assert cli(f"{line} --chain-id cpc-comet-mainnet-1").code == 2


def test_nodes_that_disagree_about_the_nonce_get_no_signature(cli, comet, keys):
    with CometServer({keys["faucet"].address: 50 * 10**18}) as liar:
        liar.accounts[keys["faucet"].address][1] = 7
        nodes = f"--node {liar.url} --node {comet.url}"
        refused = cli(f"tx send {keys['worker'].address} 1 --from faucet {nodes}")
        assert refused.code == 2
        assert "disagree" in refused.err
        assert not liar.waiting
    assert not comet.waiting


@pytest.mark.parametrize("path", ["/abci_query", "/broadcast_tx_sync", "/block"])
@pytest.mark.parametrize(
    "said", [(200, b"\x00"), (200, b'{"jsonrpc":"2.0","result":7}'), (200, b"1" * 9_000_000)]
)
def test_a_bad_answer_is_one_sentence(cli, comet, keys, path, said):
    comet.says[path] = said
    line = {
        "/abci_query": "query balance worker",
        "/broadcast_tx_sync": f"tx send {keys['worker'].address} 1 --from faucet",
        "/block": "query block 1",
    }[path]
    done = cli(line)
    assert done.code == 3
    assert len(done.err.splitlines()) == 2, done.err


@pytest.mark.parametrize(
    "line",
    quick_and_slow(
        ["query results", "tx stake 100 --from worker", "verify --height 1"],
        [
            "query validators",
            "query validator worker",
            "query delegations worker",
            "query rewards worker",
            "query unbonding worker",
            "tx unjail --from worker",
            "tx submit-result --from worker --task-id 550e8400-e29b-41d4-a716-446655440000"
            f" --result-hash {'ab' * 32}",
        ],
    ),
)
def test_what_needs_the_other_network_says_so(cli, comet, line):
    done = cli(line)
    assert done.code == 3, done
    assert "this network takes no results yet" in done.err
    assert len(done.err.splitlines()) == 2
