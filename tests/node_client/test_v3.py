"""The v3 network's transfer, against texts made here by the rules, and its RPC, against bad answers."""

import base64
import hashlib
import json

import pytest
from ecdsa import SECP256k1, SigningKey
from ecdsa.util import sigencode_string
from hypothesis import given, settings
from hypothesis import strategies as st

from node_client import NodeClient, Retries
from node_client.errors import (
    AlreadyInPool,
    BadResponse,
    InsufficientBalance,
    InvalidAddress,
    InvalidTransaction,
    NodeNotReady,
    NotFound,
    TakesNoResults,
    UnknownRefusal,
)
from node_client.keys import PrivateKey
from node_client.transport import HttpNode
from node_client.v3.rpc import account_of, block_at, broadcast, status
from node_client.v3.transfer import Transfer
from tests.node_client.comet import CHAIN_ID, HALF_ORDER, CometServer


def transfer(key, **fields):
    usual = {"amount": 10**18, "nonce": 3, "gas_price": 1000, "chain_id": CHAIN_ID}
    to = PrivateKey(bytes(31) + b"\x07").address
    return Transfer(**{"from_address": key.address, "to_address": to} | usual | fields)


def by_hand(secret, public_key, sender, to, amount, nonce, price, chain_id=CHAIN_ID):
    """The bytes of a transfer, written as text from V3.md: sorted keys, no spaces."""
    head = (
        f'{{"amount":"{amount}","chain_id":"{chain_id}","from":"{sender}","gas_limit":21000,'
        f'"gas_price":"{price}","nonce":{nonce},"payload":{{}},"pub_key":"{public_key}",'
    )
    tail = f'"to":"{to}","type":"TRANSFER","version":3}}'
    digest = hashlib.sha256(b"ComputeChain/tx/v3\0" + (head + tail).encode()).digest()
    key = SigningKey.from_string(secret, curve=SECP256k1)
    raw = key.sign_digest_deterministic(digest, hashfunc=hashlib.sha256, sigencode=sigencode_string)
    r, s = int.from_bytes(raw[:32]), int.from_bytes(raw[32:])
    s = min(s, SECP256k1.order - s)
    return f'{head}"signature":"{r:064x}{s:064x}",{tail}'.encode()


@pytest.mark.parametrize(
    ("amount", "nonce", "price"),
    [(1, 0, 1000), (10**18, 3, 1000), (2**255, 2**63 - 1, 2**64 - 1), (123456789, 64, 999_999)],
)
def test_the_bytes_are_those_written_by_hand(vectors, amount, nonce, price):
    for entry in vectors("keys"):
        key = PrivateKey.from_hex(entry["private_key"])
        made = transfer(key, amount=amount, nonce=nonce, gas_price=price).signed_by(key)
        secret = bytes.fromhex(entry["private_key"])
        expected = by_hand(
            secret, entry["public_key"], key.address, made.to_address, amount, nonce, price
        )
        assert made.raw() == expected
        assert made.hash() == hashlib.sha256(expected).hexdigest()
        assert made.cost == amount + 21_000 * price


@settings(max_examples=60, deadline=None)
@given(
    secret=st.integers(1, SECP256k1.order - 1),
    amount=st.integers(1, 2**255),
    nonce=st.integers(0, 2**63 - 1),
    price=st.integers(1000, 2**64 - 1),
)
def test_every_signature_has_the_low_s_and_the_application_takes_it(secret, amount, nonce, price):
    key = PrivateKey(secret.to_bytes(32))
    made = transfer(key, amount=amount, nonce=nonce, gas_price=price).signed_by(key)
    assert int(made.signature[64:], 16) <= HALF_ORDER
    assert len(made.raw()) <= 4096
    server = CometServer.__new__(CometServer)  # its rules alone, without a socket
    server.chain_id, server.accounts = CHAIN_ID, {key.address: [made.cost, nonce]}
    assert server.check(made.raw())["amount"] == str(amount)


def test_the_high_s_is_refused_before_it_is_sent(key):
    made = transfer(key).signed_by(key)
    high = SECP256k1.order - int(made.signature[64:], 16)
    forged = Transfer(
        **{name: getattr(made, name) for name in Transfer.__slots__}
        | {"signature": made.signature[:64] + f"{high:064x}"}
    )
    with pytest.raises(InvalidTransaction, match="low one"):
        forged.check()


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": 0},
        {"amount": -1},
        {"amount": 2**256},
        {"amount": 2**256 - 21_000_000},
        {"nonce": -1},
        {"nonce": 2**63},
        {"gas_price": 999},
        {"gas_price": 2**64},
        {"chain_id": ""},
        {"chain_id": "x" * 51},
        {"chain_id": 'a"b\n'},
        {"from_address": PrivateKey(bytes(31) + b"\x09").address},
    ],
)
def test_what_the_network_would_refuse_is_not_signed(key, wrong):
    with pytest.raises(InvalidTransaction):
        transfer(key, **wrong).signed_by(key)
    with pytest.raises(InvalidAddress):
        transfer(key, to_address="cpc1nobody").signed_by(key)


@pytest.fixture
def comet(key):
    with CometServer({key.address: 5 * 10**18}) as server:
        yield server


@pytest.fixture
def node(comet):
    node = HttpNode(comet.url, timeout=(1, 5), total=10)
    yield node
    node.close()


def test_a_transfer_arrives(comet, node, key):
    assert account_of(node, key.address).nonce == 0
    made = transfer(key, nonce=0).signed_by(key)
    assert broadcast(node, made) == made.hash()
    with pytest.raises(AlreadyInPool):
        broadcast(node, made)
    comet.next_block()
    assert status(node).height == 1
    block = block_at(node, 1)
    assert block.transaction_hashes() == [made.hash()]
    assert block.to_json()["txs"][0]["tx"]["amount"] == str(10**18)
    assert account_of(node, key.address).balance == 4 * 10**18 - 21_000_000
    assert account_of(node, made.to_address).balance == 10**18
    assert account_of(node, PrivateKey.generate().address).balance == 0


def test_refusals_and_missing_blocks(comet, node, key):
    with pytest.raises(InsufficientBalance):
        broadcast(node, transfer(key, nonce=0, amount=6 * 10**18).signed_by(key))
    with pytest.raises(UnknownRefusal, match="invalid nonce") as refused:
        broadcast(node, transfer(key, nonce=65).signed_by(key))
    assert "next block" in refused.value.advice
    with pytest.raises(UnknownRefusal, match="domain"):
        broadcast(node, transfer(key, nonce=0, chain_id="another").signed_by(key))
    with pytest.raises(NotFound, match="height 9 must be less"):
        block_at(node, 9)


def envelope(result):
    return 200, json.dumps({"jsonrpc": "2.0", "id": -1, "result": result}).encode()


def account_bytes(text):
    value = base64.b64encode(text.encode()).decode()
    return envelope({"response": {"code": 0, "log": "", "value": value}})


@pytest.mark.parametrize(
    "said",
    [
        (200, b"{}"),
        (200, b"[]"),
        (200, b"not json"),
        (200, b'{"jsonrpc": "2.0"}'),
        (200, b"[" * 60_000),
        (200, b"x" * 70_000),
        (404, b"404 page not found"),
        envelope({}),
        envelope({"response": {"code": 1, "log": "unknown\x1b[31m query path"}}),
        envelope({"response": {"code": 0, "value": "***"}}),
        envelope({"response": {"code": 0, "value": None}}),
        account_bytes('{"balance": "1", "nonce": 0}'),
        account_bytes('{"balance": 1.0, "nonce": 0}'),
        account_bytes('{"balance": true, "nonce": 0}'),
        account_bytes('{"balance": -1, "nonce": 0}'),
        account_bytes('{"balance": 1, "nonce": 9223372036854775808}'),
        account_bytes('{"balance": NaN, "nonce": 0}'),
        account_bytes('{"balance": ' + "9" * 5000 + ', "nonce": 0}'),
    ],
)
def test_a_bad_answer_is_one_sentence(comet, node, key, said):
    comet.says["/abci_query"] = said
    with pytest.raises(BadResponse) as failed:
        account_of(node, key.address)
    told = str(failed.value)
    assert len(told) < 400
    assert told.isprintable()


def test_an_answer_for_another_transaction_or_block_is_not_taken(comet, node, key):
    comet.next_block()
    comet.says["/block"] = comet.answer("/block?height=1")
    with pytest.raises(BadResponse, match="block 1, not 2"):
        block_at(node, 2)
    comet.says["/broadcast_tx_sync"] = envelope({"code": 0, "log": "", "hash": "AB" * 32})
    with pytest.raises(BadResponse, match="another transaction"):
        broadcast(node, transfer(key, nonce=0).signed_by(key))
    comet.says["/status"] = (503, b"")
    with pytest.raises(NodeNotReady):
        status(node)


def test_foreign_bytes_in_a_block_are_shown_and_not_judged(comet, node):
    comet.blocks.append([b"\xff\x00", b'{"type":"STAKE"}'])
    found = [one["tx"] for one in block_at(node, 1).to_json()["txs"]]
    assert found == [{"raw": "ff00"}, {"type": "STAKE"}]


def test_a_client_of_the_other_network_names_it(comet):
    client = NodeClient([comet.url], retries=Retries(rounds=1))
    for ask in (client.status, client.latest_block):
        with pytest.raises(TakesNoResults, match=f"{CHAIN_ID}: this network takes no results yet"):
            ask()
    client.close()
