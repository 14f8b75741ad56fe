"""Keys, addresses and signatures: the node's vectors, RFC 6979's, and what is refused."""

import hashlib
import subprocess
import sys
from typing import Any

import pytest
from ecdsa import SECP256k1
from hypothesis import given, settings
from hypothesis import strategies as st

from node_client.address import (
    VALIDATOR_PREFIX,
    address_from_public_key,
    check_address,
    hash160,
    is_address,
)
from node_client.errors import InvalidAddress, InvalidKey, InvalidTransaction
from node_client.keys import PrivateKey, recovered_public_keys, verify_digest
from tests.processes import PATIENCE_SECONDS

ORDER = SECP256k1.order
KEY_ONE = PrivateKey(bytes(31) + b"\1")

RFC_6979 = [
    # Widely published for secp256k1 with SHA-256: secret, message, signature with low s.
    (
        1,
        "Satoshi Nakamoto",
        "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8"
        "2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5",
    ),
    (
        1,
        "All those moments will be lost in time, like tears in rain. Time to die...",
        "8600dbd41e348fe5c9465ab92d23e3db8b98b873beecd930736488696438cb6b"
        "547fe64427496db33bf66019dacbf0039c04199abb0122918601db38a72cfc21",
    ),
    (
        ORDER - 1,
        "Satoshi Nakamoto",
        "fd567d121db66e382991534ada77a6bd3106f0a1098c231e47993447cd6af2d0"
        "6b39cd0eb1bc8603e159ef5c20a5c8ad685a45b06ce9bebed3f153d10d93bed5",
    ),
    (
        0xF8B8AF8CE3C7CCA5E300D33939540C10D45CE001B8F252BFBC57BA0342904181,
        "Alan Turing",
        "7063ae83e7f62bbb171798131b4a0564b956930092b33b07b395615d9ec7e15c"
        "58dfcc1e00a35e1572f366ffe34ba0fc47db1e7189759b9fb233c5b05ab388ea",
    ),
    (
        0xE91671C46231F833A6406CCBEA0E3E392C76C167BAC1CB013F6F1013980455C2,
        "There is a computer disease that anybody who works with computers knows about. It's a very"
        " serious disease and it interferes completely with the work. The trouble with computers is"
        " that you 'play' with them!",
        "b552edd27580141f3b2a5463048cb7cd3e047b97c9f98076c32dbdf85a68718b"
        "279fa72dd19bfae05577e06c7c0c1900c371fcd5893f7e1d56a37d30174671f6",
    ),
]


def test_the_nodes_keys(vectors: Any) -> None:
    for entry in vectors("keys"):
        key = PrivateKey.from_hex(entry["private_key"])
        assert key.public_key == entry["public_key"]
        assert key.address == entry["address"]
        assert key.validator_address == entry["validator_address"]
        assert key.secret_hex() == entry["private_key"]
        assert check_address(entry["address"]) == entry["address"]
        assert is_address(entry["validator_address"], VALIDATOR_PREFIX)
        assert not is_address(entry["validator_address"])


@pytest.mark.parametrize(("secret", "message", "signature"), RFC_6979)
def test_rfc_6979(secret: int, message: str, signature: str) -> None:
    key = PrivateKey(secret.to_bytes(32))
    digest = hashlib.sha256(message.encode()).digest()
    assert key.sign_digest(digest) == signature
    assert verify_digest(key.public_key, digest, signature)


@given(secret=st.integers(1, ORDER - 1), digest=st.binary(min_size=32, max_size=32))
@settings(max_examples=40, deadline=None)
def test_signatures(secret: int, digest: bytes) -> None:
    key = PrivateKey(secret.to_bytes(32))
    signature = key.sign_digest(digest)
    r, s = signature[:64], int(signature[64:], 16)
    assert s <= ORDER // 2
    assert verify_digest(key.public_key, digest, signature)
    high = r + f"{ORDER - s:064x}"
    assert verify_digest(key.public_key, digest, high)
    assert key.public_key in recovered_public_keys(digest, signature)
    assert key.public_key in recovered_public_keys(digest, high)
    other = bytes([digest[0] ^ 1]) + digest[1:]
    assert not verify_digest(key.public_key, other, signature)
    twin = secret == ORDER - 1 and not any(digest)  # of digest 0 a key's negative verifies, too
    assert not verify_digest(KEY_ONE.public_key, digest, signature) or secret == 1 or twin


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "zz",
        "00" * 64,
        "ff" * 64,
        "00" * 63,
        "00" * 65,
        "00" * 32 + "01" * 32,
        "01" * 32 + "00" * 32,
        f"{5:064x}{1:064x}",  # 5 is no x of the curve
        f"{ORDER:064x}" + "01" * 32,
    ],
)
def test_malformed_signatures(signature: str) -> None:
    assert not verify_digest(KEY_ONE.public_key, bytes(32), signature)
    assert recovered_public_keys(bytes(32), signature) == []


def test_signatures_made_to_hit_the_point_at_infinity() -> None:
    """Their makers choose r after the digest, and would have crashed a client that asks."""
    digest = hashlib.sha256(b"").digest()
    number = int.from_bytes(digest)
    secret = 7
    key = PrivateKey(secret.to_bytes(32))
    r = -number * pow(secret, -1, ORDER) % ORDER
    assert not verify_digest(key.public_key, digest, f"{r:064x}{5:064x}")
    r_of_one = SECP256k1.generator.x()
    for s in (number % ORDER, ORDER - number % ORDER):
        signature = f"{r_of_one:064x}{s:064x}"
        found = recovered_public_keys(digest, signature)  # one at most: the other has no x
        assert len(found) <= 1
        assert all(verify_digest(key, digest, signature) for key in found)


@pytest.mark.parametrize(
    "public_key", ["", "zz", "02", "02" * 33, "04" + "00" * 32, "02" + "ff" * 32, "02" + "00" * 32]
)
def test_malformed_public_keys(public_key: str) -> None:
    signature = KEY_ONE.sign_digest(bytes(32))
    assert not verify_digest(public_key, bytes(32), signature)


@pytest.mark.parametrize("secret", [0, ORDER, ORDER + 1, 2**256 - 1])
def test_secrets_out_of_range(secret: int) -> None:
    with pytest.raises(InvalidKey):
        PrivateKey(secret.to_bytes(32))
    with pytest.raises(InvalidKey):
        PrivateKey.from_hex(f"{secret:064x}")


@pytest.mark.parametrize(
    "text", ["", "1", "0x" + "11" * 31, "11" * 31, "11" * 33, "11 " * 32, "gg" * 32]
)
def test_malformed_secrets(text: str) -> None:
    with pytest.raises(InvalidKey):
        PrivateKey.from_hex(text)


def test_generated_keys_differ() -> None:
    assert PrivateKey.generate().address != PrivateKey.generate().address


def test_ripemd160_of_published_values() -> None:
    """Of the key 1's public key: 751e76e8..., as in BIP-173."""
    assert hash160(bytes.fromhex(KEY_ONE.public_key)).hex() == (
        "751e76e8199196d454941c45d1b3a323f1433bd6"
    )


def test_ripemd160_without_openssls() -> None:
    code = (
        "import hashlib\n"
        "def no(*_, **__): raise ValueError('unsupported hash type ripemd160')\n"
        "hashlib.new = no\n"
        "from node_client.address import hash160\n"
        "print(hash160(b'').hex())"
    )
    told = subprocess.check_output(
        [sys.executable, "-c", code], text=True, timeout=PATIENCE_SECONDS
    )
    assert told.strip() == "b472a266d0bd89c13706a4132ccfb16f7c3b9fcb"


class TestAddresses:
    @given(position=st.integers(0, 41), other=st.sampled_from("qpzry9x8gf2tvdw0s3jn54khce6mua7l"))
    def test_one_wrong_character(self, position: int, other: str) -> None:
        text = KEY_ONE.address
        wrong = text[:position] + other + text[position + 1 :]
        assert is_address(wrong) == (wrong == text)

    def test_others(self, vectors: Any) -> None:
        good = KEY_ONE.address
        for wrong in (
            "",
            "cpc1",
            good.upper(),
            good[:-1],
            good + "q",
            " " + good,
            good + "\n",
            "é",
        ):
            assert not is_address(wrong)
            with pytest.raises(InvalidAddress) as caught:
                check_address(wrong)
            assert caught.value.advice

    def test_bech32m_and_other_lengths_are_refused(self) -> None:
        import bech32

        words = bech32.convertbits(bytes(20), 8, 5)
        checksum = bech32.bech32_polymod(
            [*bech32.bech32_hrp_expand("cpc"), *words, 0, 0, 0, 0, 0, 0]
        )
        tail = [(checksum ^ 0x2BC830A3) >> 5 * (5 - i) & 31 for i in range(6)]
        bech32m = "cpc1" + "".join(bech32.CHARSET[word] for word in words + tail)
        assert not is_address(bech32m)
        for size in (19, 21, 32):
            assert not is_address(
                bech32.bech32_encode("cpc", bech32.convertbits(bytes(size), 8, 5))
            )

    @pytest.mark.parametrize("public_key", ["", "zz", "04" * 33, "02" * 32, b"\2" * 32])
    def test_of_what_is_no_key(self, public_key: str | bytes) -> None:
        with pytest.raises(InvalidKey):
            address_from_public_key(public_key)


def test_only_the_owner_signs(key: PrivateKey, draft: Any) -> None:
    with pytest.raises(InvalidTransaction):
        draft().signed_by(KEY_ONE)
