"""Nodes that disagree: behind, on another chain, refusing what others take. Real devnets over HTTP."""

import contextlib

import pytest

from node_client.ambiguity import sign_safely
from node_client.devnet import DevnetServer
from node_client.errors import AlreadyInPool, InvalidSignature, NodeUnreachable, WrongChain
from node_client.failover import NodeSet
from node_client.keys import PrivateKey
from node_client.networks import UNITS_PER_CPC
from node_client.rpc import NodeClient, Retries
from node_client.transaction import BASE_GAS, Transaction, TxType

KEY = PrivateKey(bytes(31) + b"\x2c")
ONCE = Retries(rounds=1)


@pytest.fixture
def chain():
    """A devnet on which time stands still."""
    with DevnetServer(genesis_time=2e9, balances={KEY.address: UNITS_PER_CPC}) as server:
        yield server


@pytest.fixture
def twin(chain):
    """Another node of the same chain, with a mempool of its own, three blocks behind."""
    with _node_of(chain) as server:
        for _ in range(3):
            chain.chain.produce()
        yield server


@contextlib.contextmanager
def _node_of(chain):
    """The same genesis, and the blocks so far."""
    server = DevnetServer(genesis_time=2e9, balances={KEY.address: UNITS_PER_CPC})
    server.chain._links = list(chain.chain._links)
    with server:
        yield server


def transfer(nonce=0):
    draft = Transaction(
        tx_type=TxType.TRANSFER,
        from_address=KEY.address,
        to_address=KEY.address,
        amount=1,
        fee=BASE_GAS[TxType.TRANSFER] * 1000,
        nonce=nonce,
        gas_price=1000,
        gas_limit=BASE_GAS[TxType.TRANSFER],
    )
    return sign_safely(draft, KEY, first_unspent=0, min_gas_price=1000)


def pinned(chain, *urls, **settings):
    return NodeClient(urls, genesis=chain.chain.block(0).hash(), retries=ONCE, **settings)


def test_a_node_of_another_chain_is_asked_for_nothing(chain):
    with DevnetServer(genesis_time=1.9e9) as other:
        other.chain.produce()
        assert pinned(chain, other.url, chain.url).status().height == 0
        with pytest.raises(WrongChain, match="serves another chain"):
            pinned(chain, other.url).status()
        with pytest.raises(WrongChain):
            pinned(chain, other.url).send(transfer())
        assert other.chain.pending_nonce(KEY.address) == 0


def test_a_node_that_began_anew_is_noticed_where_it_was_well_before(chain):
    client = pinned(chain, chain.url)
    chain.chain.produce()
    assert client.status().height == 1
    chain.stop()
    with DevnetServer(port=chain.port, genesis_time=1.9e9):
        with contextlib.suppress(NodeUnreachable):
            assert client.status().height == 0
        with pytest.raises(WrongChain):
            client.status()


def test_where_another_node_may_come_back_a_wrong_one_is_not_the_last_word(chain):
    with DevnetServer(genesis_time=1.9e9) as other, pytest.raises(NodeUnreachable):
        pinned(chain, "http://127.0.0.1:9", other.url).status()


def test_a_node_that_stands_still_is_left_for_a_higher_one(chain, twin):
    client = pinned(chain, twin.url, chain.url, stale_after=0.0)
    assert client.status().height == 3
    patient = pinned(chain, twin.url, chain.url, stale_after=60.0)
    assert patient.status().height == 0


def test_a_lonely_or_unreachable_choice_changes_nothing():
    asked = []

    def height(node):
        asked.append(node)
        raise NodeUnreachable("gone")

    clock = iter(range(100))
    both = NodeSet(
        ["a", "b"], vet=lambda _: None, height=height, stale_after=0, clock=clock.__next__
    )
    both.saw("a", 5)
    both.find_higher_node()
    assert (both.current, asked) == ("a", ["a", "b"])
    one = NodeSet(["a"], vet=lambda _: None, height=height, stale_after=0, clock=clock.__next__)
    one.find_higher_node()
    assert len(asked) == 2


def test_what_one_node_refuses_another_may_take(chain, twin):
    tx = transfer()
    client = pinned(chain, twin.url, chain.url)
    client.send(tx)  # now it waits with the twin, and nobody else knows it
    assert client.broadcast(tx) == tx.hash()
    assert chain.chain.pending_nonce(KEY.address) == 1
    with pytest.raises(AlreadyInPool):
        client.broadcast(tx)
    broken = transfer(nonce=1).model_copy(update={"signature": "0" * 128})
    with pytest.raises(InvalidSignature):
        client.broadcast(broken)
    twin.stop()
    with pytest.raises(AlreadyInPool):
        client.broadcast(tx)
    assert client.status().height == 3
