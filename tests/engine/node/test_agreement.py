"""Nodes that say different things: told once, by number, and over when they agree again."""

import threading

import pytest

from engine.doctor.account import check_chain
from engine.monitor.troubles import Troubles
from engine.node.agreement import Agreement
from node_client.devnet import DevnetServer
from node_client.evidence import Evidence
from node_client.rpc import NodeClient
from tests.processes import wait_until

GENESIS_TIME = 1.7e9


@pytest.fixture
def devnet():
    """Blocks by hand, twelve of them."""
    with DevnetServer(genesis_time=GENESIS_TIME, clock=lambda: GENESIS_TIME) as server:
        for _ in range(12):
            server.chain.produce()
        yield server


def compare(client, address, events, block_time=0.01):
    return Agreement(client, address, block_time, Troubles(events.append), events.append)


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        (lambda faults: faults.forge(depth=4), "node 1 of 2 serves other blocks"),
        (lambda faults: faults.lie("tip", value=2**62), "node 1 of 2 serves other blocks"),
        (lambda faults: faults.lie("balance", value=0), "says another balance"),
        (lambda faults: faults.lie("nonce", value=7), "says another balance or nonce than node"),
    ],
)
def test_disagreement_is_told_once_and_when_it_is_over(devnet, lie, words):
    events = []
    with devnet.follower() as liar:
        client = NodeClient([liar.url, devnet.url], evidence=Evidence())
        agreement = compare(client, devnet.faucet.address, events)
        agreement.look()
        assert events == []
        lie(liar.faults)
        for _ in range(3):
            agreement.look()
        (began,) = events
        assert (began.event, began.kind, began.stops) == ("trouble", "nodes_disagree", False)
        assert words in began.message
        assert "http" not in began.message + began.advice
        assert devnet.faucet.address not in began.message
        liar.faults.clear()
        agreement.look()
        assert [event.event for event in events] == ["trouble", "trouble_over"]


def test_a_block_that_one_node_has_later_is_no_disagreement(devnet):
    events = []
    with devnet.follower() as second:
        client = NodeClient([second.url, devnet.url], evidence=Evidence())
        agreement = compare(client, devnet.faucet.address, events)
        second.faults.lie("behind", value=1)
        agreement.look()
        assert events == []


def test_one_node_or_none_that_answers_is_no_disagreement(devnet):
    events = []
    gone = "http://127.0.0.1:9"
    for urls in ([devnet.url], [gone, devnet.url], [gone, "http://127.0.0.1:10"]):
        client = NodeClient(urls, evidence=Evidence())
        compare(client, devnet.faucet.address, events).look()
    assert events == []


def test_the_thread_compares_until_it_is_stopped(devnet):
    events = []
    with devnet.follower() as liar:
        liar.faults.lie("balance", value=0)
        client = NodeClient([liar.url, devnet.url], evidence=Evidence())
        agreement = compare(client, devnet.faucet.address, events)
        agreement.start()
        wait_until(lambda: events, "the disagreement to be told")
        agreement.stopping.set()
        agreement.join(timeout=30)
        assert agreement not in threading.enumerate()


def test_doctor_compares_the_nodes(devnet):
    def agreement(*urls):
        checks = check_chain(urls, devnet.faucet.address, None)
        return next((check for check in checks if check.name == "agreement"), None)

    with devnet.follower() as liar, DevnetServer(genesis_time=1.6e9) as other:
        assert agreement(devnet.url) is None
        assert agreement(liar.url, devnet.url).state == "ok"
        assert agreement(other.url, devnet.url).state == "fail"
        liar.faults.forge(depth=3)
        found = agreement(liar.url, devnet.url)
        assert (found.state, found.found) == (
            "warn",
            "node 1 of 2 serves other blocks than the node that is followed",
        )
