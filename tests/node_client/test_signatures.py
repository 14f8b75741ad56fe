"""The backend that signs against the readable one: to the byte, and on whatever is malformed."""

import hashlib
import random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from node_client.signatures import ORDER, native, reference

SECRETS = st.integers(1, ORDER - 1).map(lambda number: number.to_bytes(32))
DIGESTS = st.integers(0, ORDER - 1).map(lambda number: number.to_bytes(32))


def check(secret: bytes, digest: bytes) -> None:
    public_key = native.derive_public_key(secret)
    assert public_key == reference.derive_public_key(secret)
    signature = native.sign(secret, digest)
    assert signature == reference.sign(secret, digest)
    high = signature[:32] + (ORDER - int.from_bytes(signature[32:])).to_bytes(32)
    for either in (signature, high):
        assert native.verify(public_key, digest, either)
        assert public_key in native.recover(digest, either)


@given(secret=SECRETS, digest=DIGESTS)
@example(secret=(1).to_bytes(32), digest=bytes(32))
@example(secret=(ORDER - 1).to_bytes(32), digest=(ORDER - 1).to_bytes(32))
@settings(max_examples=100, deadline=None)
def test_the_same_bytes(secret: bytes, digest: bytes) -> None:
    check(secret, digest)


@pytest.mark.slow
def test_the_same_bytes_for_ten_thousand_keys_and_messages() -> None:
    chance = random.Random(15)  # a seed, so that a failure can be found again
    for _ in range(10_000):
        secret = chance.randrange(1, ORDER).to_bytes(32)
        check(secret, hashlib.sha256(chance.randbytes(40)).digest())


def test_every_recorded_key_and_transaction(vectors: Any) -> None:
    secrets = {entry["public_key"]: entry["private_key"] for entry in vectors("keys")}
    for public_key, secret in secrets.items():
        assert native.derive_public_key(bytes.fromhex(secret)).hex() == public_key
    checked = 0
    for entry in vectors("transactions"):
        tx, digest = entry["transaction"], bytes.fromhex(entry["hash"])
        public_key, signature = bytes.fromhex(tx["pub_key"]), bytes.fromhex(tx["signature"])
        assert native.verify(public_key, digest, signature)
        assert reference.verify(public_key, digest, signature)
        if tx["pub_key"] in secrets:
            check(bytes.fromhex(secrets[tx["pub_key"]]), digest)
            checked += 1
    assert checked


@given(
    public_key=st.one_of(SECRETS.map(native.derive_public_key), st.binary(max_size=66)),
    digest=DIGESTS,
    signature=st.binary(max_size=66),
)
@settings(max_examples=200, deadline=None)
def test_they_agree_on_whatever_a_node_sends(
    public_key: bytes, digest: bytes, signature: bytes
) -> None:
    assert not native.verify(public_key, digest, signature)
    assert not reference.verify(public_key, digest, signature)
    assert set(native.recover(digest, signature)) == set(reference.recover(digest, signature))
