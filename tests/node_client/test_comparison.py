"""Which node is believed where they disagree: a liar first and an honest node second, over HTTP."""

import contextlib
from dataclasses import replace

import pytest

from node_client.devnet import DevnetServer
from node_client.devnet.proposer import Proposer
from node_client.errors import NodeError
from node_client.evidence import DISTRUST_SECONDS, KEPT_BLOCKS, Evidence
from node_client.keys import PrivateKey
from node_client.rpc import NodeClient, Retries
from tests.liar import LyingNode, forged_chain

ONCE = Retries(rounds=1)
GENESIS_TIME = 1.7e9


@pytest.fixture
def devnet():
    """A devnet whose blocks are made by hand; thirty of them."""
    with DevnetServer(genesis_time=GENESIS_TIME, clock=lambda: GENESIS_TIME) as server:
        for _ in range(30):
            server.chain.produce()
        yield server


@pytest.fixture
def liar(devnet):
    with devnet.follower() as node:
        yield node


def client_of(*nodes, **settings):
    usual = {"retries": ONCE, "evidence": Evidence()}
    return NodeClient([node.url for node in nodes], **usual | settings)


def grow(chain, blocks=1):
    for _ in range(blocks):
        chain.produce()


def forge(liar, first, last):
    """Let it serve blocks of a proposer that nobody knows, from height `first` on."""
    depth = liar.chain.height - first + 1
    for _ in range(first, last + 1):
        tip = liar.faults.forge(depth=depth)
    assert tip.height == last
    return tip


def follow(client, turns=3):
    """The tip that a client sees that asks again where a node fails."""
    for _ in range(turns):
        with contextlib.suppress(NodeError):
            return client.latest_block()[1]
    raise AssertionError("no node was believed")


def test_a_block_by_nobody_known_is_not_followed_while_another_node_serves_the_chain(devnet, liar):
    client = client_of(liar, devnet)
    assert client.latest_block()[1].height == 30
    grow(devnet.chain)
    forge(liar, 32, 34)
    assert follow(client) == devnet.chain.block(31)
    grow(devnet.chain, 2)
    assert follow(client) == devnet.chain.block(33)
    liar.faults.clear()
    found = client.compare()
    assert found.differing == ()
    assert list(client.each_status()) == [liar.url, devnet.url]


def test_a_chain_that_was_forged_before_the_start_is_found_out_by_what_the_nodes_share(
    devnet, liar
):
    forge(liar, 12, 40)
    client = client_of(liar, devnet)
    assert follow(client) == devnet.chain.block(30)
    assert client.compare().differing == (liar.url,)
    assert list(client.each_status()) == [devnet.url]


@pytest.mark.parametrize("height", [31, 2**63 - 1])
def test_a_height_that_no_block_is_shown_for_is_not_followed(devnet, liar, height):
    liar.faults.lie("tip", value=height)
    assert follow(client_of(liar, devnet)) == devnet.chain.block(30)
    seen = client_of(liar, devnet)
    liar.faults.clear()
    assert follow(seen) == devnet.chain.block(30)
    liar.faults.lie("tip", value=height)
    assert follow(seen) == devnet.chain.block(30)


def test_a_node_that_is_always_behind_is_passed_over_until_it_is_not(devnet, liar):
    client = client_of(liar, devnet)
    follow(client)
    liar.faults.lie("behind", value=5)
    assert client.compare().differing == ()
    assert follow(client) == devnet.chain.block(30)
    liar.faults.clear()
    client.compare()
    assert list(client.each_status()) == [liar.url, devnet.url]


def test_two_nodes_that_serve_a_new_proposers_block_make_it_known(devnet):
    with LyingNode(devnet.url) as first, LyingNode(devnet.url) as second:
        client = client_of(first, second)
        follow(client)
        blocks = forged_chain(devnet.chain, {31: []}, last=31)
        first.serve(blocks)
        with pytest.raises(NodeError):  # the second does not have it yet, and is as good
            client.block(31)
        second.serve(blocks)
        assert follow(client) == blocks[31]
        assert client.compare().differing == ()


def test_of_three_nodes_the_two_that_agree_are_believed_where_nothing_is_known(devnet, liar):
    forge(liar, 1, 40)
    with devnet.follower() as second:
        client = client_of(liar, devnet, second)
        assert follow(client) == devnet.chain.block(30)


def test_the_block_that_the_ledger_knows_decides_where_nothing_else_is_shared(devnet, liar):
    forge(liar, 1, 40)
    anchor = (20, devnet.chain.block(20).hash())
    assert follow(client_of(liar, devnet, evidence=Evidence(anchor=anchor))).height == 30
    assert follow(client_of(liar, devnet)).height == 40  # nobody can know


def test_a_liar_is_not_followed_while_the_honest_node_starts_again_and_is_after_long(devnet, liar):
    now = [0.0]
    client = client_of(liar, devnet, evidence=Evidence(monotonic=lambda: now[0]))
    follow(client)
    devnet.stop()
    tip = forge(liar, 31, 32)
    for _ in range(3):
        with pytest.raises(NodeError):
            client.latest_block()
    now[0] = DISTRUST_SECONDS + 1
    assert follow(client) == tip
    grow(devnet.chain)
    devnet.start()
    client.compare()
    assert follow(client) == devnet.chain.block(31)


def test_one_node_alone_is_followed_whatever_it_serves(devnet, liar):
    client = client_of(liar)
    forge(liar, 5, 40)
    assert follow(client).height == 40
    assert client.compare() is None


def test_the_largest_balance_that_any_node_says_is_what_may_be_spent(devnet, liar):
    liar.faults.lie("balance", value=0)
    client = client_of(liar, devnet)
    assert client.balance(devnet.faucet.address).balance > 0


class TestEvidence:
    def block(self, key, height, parent="0" * 64, timestamp=1):
        return Proposer(key, "cpc-devnet-1", 1).make_block(
            height, prev_hash=parent, timestamp=timestamp, round_=0, state_root="", txs=[]
        )

    def test_a_known_proposer_vouches_for_the_block_that_it_builds_upon(self):
        old, new = PrivateKey(b"\x01" * 32), PrivateKey(b"\x02" * 32)
        first = self.block(old, 1)
        second = self.block(new, 2, first.hash())
        third = self.block(old, 3, second.hash())
        evidence = Evidence()
        for block in (first, second):
            evidence.add(block)
        evidence.confirm(first.hash())
        assert evidence.fits(first)
        assert not evidence.fits(second)
        evidence.add(third)
        assert evidence.fits(second)

    def test_a_block_of_the_future_does_not_fit(self):
        key = PrivateKey(b"\x01" * 32)
        evidence = Evidence(clock=lambda: 1000.0)
        now, later = self.block(key, 1, timestamp=1000), self.block(key, 2, timestamp=2000)
        for block in (now, later):
            evidence.add(block)
            evidence.confirm(block.hash())
        assert evidence.fits(now)
        assert not evidence.fits(later)

    def test_it_forgets_the_oldest(self):
        evidence = Evidence()
        first = self.block(PrivateKey(b"\x01" * 32), 0)
        evidence.add(first)
        for height in range(1, KEPT_BLOCKS + 1):
            header = first.header.model_copy(update={"height": height})
            evidence.add(replace(first, header=header))
        evidence.confirm(first.hash())
        assert not evidence.knows_proposers

    def test_a_name_in_a_header_whose_signature_was_not_seen_makes_no_known_proposer(self):
        key = PrivateKey(b"\x01" * 32)
        evidence = Evidence()
        first = self.block(key, 1)
        evidence.add(first)
        evidence.confirm(first.hash())
        unread = replace(self.block(key, 2, first.hash()), pq_signature=None)
        evidence.add(unread)
        assert not evidence.fits(unread)
        evidence.add(self.block(key, 3, unread.hash()))
        assert evidence.fits(unread)
