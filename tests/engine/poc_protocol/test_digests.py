"""What is signed, computed here a second time from the protocol's own words."""

import hashlib

import pytest

from engine.poc_protocol.digests import hello_digest, is_signed_by, payload_digest, result_digest
from node_client.keys import PrivateKey

NONCE = "5a" * 32


def h(data):
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).digest()


def tagged(tag, message):
    return h(h(tag) + h(tag) + message)


@pytest.fixture(scope="module")
def key():
    return PrivateKey((7).to_bytes(32))


RESULT = {
    "job_id": "j",
    "task_id": "t",
    "payload": {"seed": "00", "a": 1},
    "worker_address": "cpc1x",
    "result_hash": "ab" * 32,
    "proof": None,
}


def test_the_digests_are_the_protocols():
    url = "ws://localhost:8080/worker"
    assert hello_digest(NONCE, "chain", url, "cpc1x") == tagged(
        "cpc/hello", bytes.fromhex(NONCE) + h("chain") + h(url) + h("cpc1x")
    )
    assert result_digest(NONCE, **RESULT) == tagged(
        "cpc/job-result",
        bytes.fromhex(NONCE)
        + h("j")
        + h("t")
        + h('{"a":1,"seed":"00"}')
        + h("cpc1x")
        + h("ab" * 32)
        + h(""),
    )
    hashed = RESULT | {"payload": payload_digest(RESULT["payload"])}
    assert result_digest(NONCE, **hashed) == result_digest(NONCE, **RESULT)


@pytest.mark.parametrize("field", sorted(RESULT))
def test_every_field_of_a_result_is_signed(field, key):
    other = RESULT | {field: {"seed": "01"} if field == "payload" else "cd" * 32}
    signature = key.sign_digest(result_digest(NONCE, **RESULT))
    assert is_signed_by(key.public_key, key.address, result_digest(NONCE, **RESULT), signature)
    assert not is_signed_by(key.public_key, key.address, result_digest(NONCE, **other), signature)


def test_a_key_speaks_for_its_own_address_only(key):
    other = PrivateKey((8).to_bytes(32))
    digest = hello_digest(NONCE, "chain", "ws://localhost/", key.address)
    assert not is_signed_by(other.public_key, key.address, digest, other.sign_digest(digest))
    assert not is_signed_by("02" + "ff" * 32, key.address, digest, key.sign_digest(digest))
    assert not is_signed_by("zz", key.address, digest, key.sign_digest(digest))
    assert not is_signed_by(key.public_key, key.address, digest, "zz")
