"""One contract for every network's wire format, against a node of each."""

from functools import partial

import pytest

from node_client import NodeClient, Retries
from node_client.ambiguity import sign_safely
from node_client.devnet import DevnetServer
from node_client.errors import InsufficientBalance, NotFound, WrongChain
from node_client.keys import PrivateKey
from node_client.transaction import Transaction, TxType
from node_client.v3.transfer import Transfer
from node_client.wire import JANUARY, V3, wire_of
from tests.node_client.comet import CHAIN_ID, CometServer
from tests.processes import wait_until

FUNDS = 5 * 10**18


@pytest.fixture
def january(key):
    with DevnetServer(block_time=0.1, balances={key.address: FUNDS}) as server:
        yield server.url, JANUARY, lambda: None


@pytest.fixture
def v3(key):
    with CometServer({key.address: FUNDS}) as server:
        server.next_block()
        yield server.url, V3, server.next_block


@pytest.fixture(params=["january", "v3"])
def network(request):
    """URL of a node, its wire format, and what makes its next block where that is not by itself."""
    return request.getfixturevalue(request.param)


def transfer(wire, key, to, nonce):
    """A signed transfer of 1 CPC. How a text is made safe to sign is each network's own matter."""
    if wire is V3:
        made = Transfer(CHAIN_ID, key.address, to, 10**18, nonce)
        return made.signed_by(key)
    draft = Transaction(
        tx_type=TxType.TRANSFER,
        from_address=key.address,
        to_address=to,
        amount=10**18,
        nonce=nonce,
        gas_price=1000,
        gas_limit=21_000,
    )
    return sign_safely(draft, key, first_unspent=nonce, min_gas_price=1000)


def test_a_network_is_recognised_read_and_written_to(network, key, keys):
    url, wire, next_block = network
    client = NodeClient([url], retries=Retries(rounds=1))
    assert wire_of(client) is wire
    assert wire.takes_results is (wire is JANUARY)
    assert "esults" in wire.standing()
    assert wire.base_gas["TRANSFER"] == 21_000
    assert ("SUBMIT_RESULT" in wire.base_gas) is wire.takes_results
    assert client.ask(partial(wire.account, address=key.address)).balance == FUNDS
    tx = transfer(wire, key, keys[1].address, 0)
    assert tx.signature_fits()
    first = client.ask(wire.status).height + 1
    assert client.ask(partial(wire.send, tx=tx)) == tx.hash()
    poor = transfer(wire, PrivateKey.generate(), keys[1].address, 0)
    with pytest.raises(InsufficientBalance):
        client.ask(partial(wire.send, tx=poor))
    next_block()
    receiver = partial(wire.account, address=keys[1].address)
    wait_until(lambda: client.ask(receiver).balance == 10**18)
    assert client.ask(partial(wire.account, address=key.address)).nonce == 1
    position = client.ask(wire.status)
    assert position.told["height"] == position.height >= first
    block = client.ask(partial(wire.block, height=first))
    assert len(block["hash"]) == 64
    with pytest.raises(NotFound):
        client.ask(partial(wire.block, height=10**9))
    client.close()


def test_nodes_of_both_networks_are_not_asked_as_if_one_was_meant(january, v3):
    dead = "http://127.0.0.1:9"
    for urls, expected in (([january[0], dead], JANUARY), ([dead, v3[0]], V3)):
        client = NodeClient(urls, retries=Retries(rounds=1))
        assert wire_of(client) is expected
        client.close()
    client = NodeClient([january[0], v3[0]], retries=Retries(rounds=1))
    with pytest.raises(WrongChain, match=v3[0]):
        wire_of(client)
    client.close()


def test_a_node_of_the_other_network_is_passed_over(january, v3):
    client = NodeClient([v3[0], january[0]], retries=Retries(rounds=1))
    assert client.status().network == "devnet"
    assert client.latest_block()[1].header.chain_id == "cpc-devnet-1"
    client.close()
