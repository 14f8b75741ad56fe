"""The checks before the first block."""

import pytest

from engine.node.preflight import (
    CLOCK_SLACK_SECONDS,
    LATE_BLOCKS,
    Check,
    check_balance,
    check_clock,
    check_disk,
    check_gas_price,
    check_nodes,
    check_transport,
    demand,
    look_at_chain,
)
from engine.runtime.errors import SetupError
from node_client.devnet import Chain, DevnetServer
from node_client.errors import NodeUnreachable
from node_client.keys import PrivateKey
from node_client.networks import NETWORKS
from node_client.rpc import NodeClient, Retries
from tests.engine.chain_client import ChainClient

KEY = PrivateKey(bytes(31) + b"\x2c")
NOW = 1_700_000_000
FEE = 80_000 * 1000


class Client(ChainClient):
    def latest_block(self):
        status = self.status()
        return status, self.block(status.height)


def look(balance=0, network="devnet"):
    chain = Chain({KEY.address: balance}, clock=lambda: float(NOW), network=network)
    client = Client(chain)
    return client, look_at_chain(client)


def test_the_chain_is_known_by_its_network_id_and_first_block():
    client, chain = look()
    assert (chain.network.name, chain.chain_id) == ("devnet", "cpc-devnet-1")
    assert chain.genesis == client.chain.block(0).hash()


def test_an_unknown_network_is_refused():
    client, _ = look()
    client.chain.network = "moonnet"
    with pytest.raises(SetupError, match="moonnet"):
        look_at_chain(client)


def test_nodes_of_two_chains_are_refused_whichever_is_named_first():
    with DevnetServer(genesis_time=2e9) as one, DevnetServer(genesis_time=1.9e9) as other:
        for urls in ([one.url, other.url], [other.url, one.url]):
            with pytest.raises(SetupError, match="different chains") as caught:
                look_at_chain(NodeClient(urls))
            for server in (one, other):
                assert f"{server.url}: {server.chain.block(0).hash():.16}" in str(caught.value)


def test_a_node_that_does_not_answer_is_named_and_the_others_are_used():
    gone = "http://127.0.0.1:9"
    with DevnetServer(genesis_time=2e9) as devnet, devnet.follower() as second:
        chain = look_at_chain(NodeClient([gone, devnet.url, second.url]))
        check = check_nodes(chain)
        assert (chain.silent, check.state) == ((gone,), "warn")
        assert gone in check.found
        assert check_nodes(look_at_chain(NodeClient([devnet.url, second.url]))).state == "ok"
    with pytest.raises(NodeUnreachable):
        look_at_chain(NodeClient([gone, "http://127.0.0.1:10"], retries=Retries(rounds=1)))


def test_plain_http_to_another_machine_is_warned_about():
    assert check_transport(NodeClient(["http://127.0.0.1:8000", "https://x.org"])).state == "ok"
    check = check_transport(NodeClient(["https://x.org", "http://me:hunter2@10.0.0.7:8000"]))
    assert check.state == "warn"
    assert "http://***@10.0.0.7:8000" in check.found
    assert "x.org" not in check.found


LATE = CLOCK_SLACK_SECONDS + LATE_BLOCKS * NETWORKS["devnet"].block_time


@pytest.mark.parametrize(
    ("after", "state"),
    [
        (-CLOCK_SLACK_SECONDS - 1, "fail"),
        (-CLOCK_SLACK_SECONDS, "ok"),
        (0, "ok"),
        (LATE, "ok"),
        (LATE + 1, "warn"),
    ],
)
def test_the_clock_is_compared_with_the_newest_block(after, state):
    _, chain = look()
    check = check_clock(chain, now=NOW + after)
    assert check.state == state
    assert bool(check.fix) == (state != "ok")


def test_a_clock_that_is_behind_ends_with_how_to_set_it():
    _, chain = look()
    with pytest.raises(SetupError, match="3600 s behind") as caught:
        demand(check_clock(chain, now=NOW - 3600))
    assert "timedatectl" in caught.value.advice


@pytest.mark.parametrize(
    ("balance", "state"), [(FEE - 1, "fail"), (FEE, "warn"), (99 * FEE, "warn"), (100 * FEE, "ok")]
)
def test_the_balance_is_counted_in_results(balance, state):
    client, _ = look(balance)
    check = check_balance(client, KEY.address, NETWORKS["devnet"], 1000)
    assert check.state == state
    results = balance // FEE
    noun = "result" if results == 1 else "results"
    assert check.found.endswith(f"enough for {results} {noun}")


def test_a_price_under_the_networks_least_fails():
    assert check_gas_price(NETWORKS["testnet"], 4_999).state == "fail"
    assert check_gas_price(NETWORKS["testnet"], 5_000).state == "ok"


def test_a_directory_that_is_not_there_yet_is_on_the_disk_of_its_parent(tmp_path):
    assert check_disk(tmp_path / "a" / "b").state == "ok"
    (tmp_path / "file").write_text("")
    assert check_disk(tmp_path / "file" / "below").state in ("ok", "fail")


def test_demand_gives_back_what_did_not_fail():
    check = Check("x", "warn", "found")
    assert demand(check) is check


def test_json_has_the_fix_also_under_its_former_name():
    check = Check("disk", "fail", "full", "Free some space.")
    assert check.to_json() == {
        "name": "disk",
        "state": "fail",
        "found": "full",
        "fix": "Free some space.",
        "mend": "Free some space.",
    }
