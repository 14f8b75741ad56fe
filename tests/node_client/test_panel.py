"""All nodes asked at once: every answer by its node, and none from a node that fails."""

import pytest

from node_client.devnet import DevnetServer
from node_client.errors import InvalidAddress
from node_client.keys import PrivateKey
from node_client.panel import WAITING_QUESTIONS, Panel
from node_client.queries import get_status
from node_client.rpc import NodeClient
from node_client.transport import HttpNode
from tests.processes import wait_until

KEY = PrivateKey(bytes(31) + b"\x2d")


@pytest.fixture
def nodes():
    """Two nodes with one genesis, at heights 0 and 1, the second with another balance."""
    proposer = PrivateKey(bytes(31) + b"\x51")
    servers = [
        DevnetServer(genesis_time=2e9, faucet=proposer, balances={KEY.address: balance})
        for balance in (5, 7)
    ]
    with servers[0], servers[1]:
        servers[1].chain.produce()
        yield servers


def test_each_node_says_its_own(nodes, dead_url):
    first, second = (server.url for server in nodes)
    client = NodeClient([first, dead_url, second, first])
    assert {name: said.height for name, said in client.each_status().items()} == {
        first: 0,
        second: 1,
    }
    assert {name: said.balance for name, said in client.each_balance(KEY.address).items()} == {
        first: 5,
        second: 7,
    }
    assert client.each_nonce(KEY.address) == client.each_nonce(KEY.address, pending=False)
    assert client.each_nonce(KEY.address) == {first: 0, second: 0}
    assert client.each_block_hash(1) == {first: None, second: nodes[1].chain.block(1).hash()}
    with pytest.raises(InvalidAddress):
        client.each_balance("cpc1nobody")


def test_a_node_of_another_chain_has_no_say(nodes):
    pinned = nodes[0].chain.block(0).hash()
    client = NodeClient([server.url for server in nodes], genesis=pinned)
    assert list(client.each_status()) == [nodes[0].url]


def test_a_node_that_hangs_holds_up_nobody_and_is_not_asked_without_end(nodes):
    first, second = nodes
    asked = []

    def query(node):
        asked.append(node.name)
        return get_status(node).height

    both = [HttpNode(server.url, timeout=(3.0, 10.0), total=30.0) for server in nodes]
    panel = Panel(both, lambda _node: None, seconds=0.3)
    first.faults.stall(60)
    for _turn in range(WAITING_QUESTIONS + 2):
        assert panel.ask(query) == {second.url: 1}
    assert asked.count(first.url) == WAITING_QUESTIONS
    first.faults.clear()
    wait_until(lambda: panel.ask(query) == {first.url: 0, second.url: 1}, "both nodes to answer")


def test_a_node_that_fails_late_is_left_out_for_a_while(nodes):
    first, second = nodes
    both = [HttpNode(server.url, timeout=(3.0, 1.2), total=30.0) for server in nodes]
    asked = []

    def query(node):
        asked.append(node.name)
        return get_status(node).height

    panel = Panel(both, lambda _node: None)
    first.faults.stall(60)
    for _turn in range(3):
        assert panel.ask(query) == {second.url: 1}
    assert asked.count(first.url) == 1
    assert panel.ask(query, among=[first.url]) == {}
