"""What a node says of a nonce is a claim; a signature in a linked block, or a second node, is proof."""

from collections.abc import Callable, Iterator

import pytest

from node_client.devnet import DevnetServer
from node_client.errors import BadResponse, UnprovenNonce
from node_client.keys import PrivateKey
from node_client.nonce_proof import (
    NOTHING,
    NonceProof,
    NonceWalk,
    agreed_nonce,
    check_claim,
    own_transactions,
    prove_nonce,
)
from node_client.rpc import NodeClient
from node_client.transaction import Transaction
from tests.liar import LyingNode, forged_chain

type Draft = Callable[..., Transaction]


@pytest.fixture
def devnet(key: PrivateKey) -> Iterator[DevnetServer]:
    """A server that makes blocks only by hand: its clock stands still."""
    with DevnetServer(faucet=key, clock=lambda: 1_700_000_000.0) as server:
        yield server


def spend(devnet: DevnetServer, draft: Draft, key: PrivateKey, count: int) -> None:
    """So many results of the key's, one block each, and three blocks on top."""
    for nonce in range(count):
        assert devnet.chain.send(draft(nonce=nonce, fee=80_000_000).signed_by(key)) is None
        devnet.chain.produce()
    for _turn in range(3):
        devnet.chain.produce()


def test_the_walk_finds_the_last_transaction_in_turns(
    devnet: DevnetServer, draft: Draft, key: PrivateKey
) -> None:
    spend(devnet, draft, key, 3)
    client = NodeClient([devnet.url])
    tip = client.status()
    walk = NonceWalk(key.address, tip.height, tip.last_hash)
    for searched in (1, 2, 3):
        assert walk.step([client.block(walk.next_height)]) is None
        assert walk.searched == searched
    assert walk.step([client.block(walk.next_height)]) == NonceProof(3, "block", 3)


def test_an_account_without_history_has_nothing_spent(devnet: DevnetServer, draft: Draft) -> None:
    devnet.chain.produce()
    address = PrivateKey(b"\x05" * 32).address
    lines: list[str] = []
    assert prove_nonce(NodeClient([devnet.url]), address, 5, tell=lines.append) == NOTHING
    assert lines


def test_an_unsigned_or_misattributed_transaction_proves_nothing(
    devnet: DevnetServer, draft: Draft, key: PrivateKey, keys: list[PrivateKey]
) -> None:
    spend(devnet, draft, key, 1)
    forged = draft(nonce=500, fee=80_000_000)
    stolen = draft(nonce=501, from_address=keys[1].address, fee=80_000_000).signed_by(keys[1])
    stolen = stolen.model_copy(update={"from_address": key.address})
    foreign_key = forged.model_copy(update={"pub_key": keys[1].public_key})
    foreign_key = foreign_key.model_copy(
        update={"signature": keys[1].sign_digest(foreign_key.digest())}
    )
    with LyingNode(devnet.url) as liar:
        liar.serve(forged_chain(devnet.chain, {3: [forged, stolen, foreign_key]}))
        proof = prove_nonce(NodeClient([liar.url]), key.address, 2**63 - 1)
    assert proof == NonceProof(1, "block", 1)
    with pytest.raises(UnprovenNonce, match="9223372036854775807"):
        check_claim(2**63 - 1, proof)
    assert check_claim(65, proof) == 65


def test_blocks_that_do_not_link_are_refused(
    devnet: DevnetServer, draft: Draft, key: PrivateKey
) -> None:
    spend(devnet, draft, key, 1)
    tip = devnet.chain.block(devnet.chain.height)
    other = forged_chain(devnet.chain, {2: []})[2]
    assert tip is not None
    walk = NonceWalk(key.address, tip.height, tip.hash())
    true = devnet.chain.block(3)
    assert true is not None
    walk.step([tip, true])
    with pytest.raises(BadResponse, match="parent"):
        walk.step([other])
    assert walk.proof is None


def test_the_walk_is_bounded(devnet: DevnetServer, draft: Draft, key: PrivateKey) -> None:
    spend(devnet, draft, key, 1)
    with pytest.raises(UnprovenNonce, match="2 blocks"):
        prove_nonce(NodeClient([devnet.url]), key.address, 1, most=2)


def test_two_nodes_that_agree_are_proof_and_one_liar_is_not(
    devnet: DevnetServer, draft: Draft, key: PrivateKey
) -> None:
    spend(devnet, draft, key, 2)
    with LyingNode(devnet.url) as liar, LyingNode(devnet.url) as honest:
        liar.alter("/nonce/", nonce=31)
        client = NodeClient([liar.url, honest.url])
        assert prove_nonce(client, key.address, 2) == NonceProof(2, "nodes")
        assert prove_nonce(client, key.address, 31).first_unspent == 2
    known = NonceProof(7, "ledger")
    assert prove_nonce(NodeClient([devnet.url]), key.address, 7, known=known) is known


def test_what_two_nodes_say_at_least() -> None:
    assert agreed_nonce({}) is None
    assert agreed_nonce({"a": 5}) is None
    assert agreed_nonce({"a": 5, "b": 2**63 - 1}) == 5
    assert agreed_nonce({"a": 5, "b": 900, "c": 4}) == 5


@pytest.mark.parametrize(
    "numbers",
    [
        {"nonce": 2100, "gas_price": 0},
        {"nonce": 21000, "gas_price": 8000, "gas_limit": 0},
    ],
)
def test_a_signature_under_numbers_that_no_chain_takes_proves_nothing(
    devnet: DevnetServer, draft: Draft, key: PrivateKey, numbers: dict[str, int]
) -> None:
    signed = draft(nonce=2, fee=80_000_000).signed_by(key)
    made_up = signed.model_copy(update=numbers)
    assert made_up.signature_fits()
    devnet.chain.produce()
    block = forged_chain(devnet.chain, {1: [made_up]})[1]
    assert list(own_transactions(block, key.address)) == []
    block = forged_chain(devnet.chain, {1: [signed]})[1]
    assert list(own_transactions(block, key.address)) == [signed]
