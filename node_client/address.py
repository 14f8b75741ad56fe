"""Addresses: bech32 (BIP-173) of RIPEMD160(SHA256(compressed public key)).

    >>> address_from_public_key("022789298c7f8bcec5a826b79e37205d33e56d53c63afeeb1df1843683bb0c469a")
    'cpc1ce0nn835fsmg45evmeefnpfufkv8shh6z9adsj'

RIPEMD-160 comes from PyCryptodome: OpenSSL 3 has it only where the legacy provider is loaded.
"""

import hashlib
from functools import lru_cache
from gettext import gettext as _

import bech32
from Crypto.Hash import RIPEMD160

from node_client.errors import InvalidAddress, InvalidKey

ACCOUNT_PREFIX = "cpc"
VALIDATOR_PREFIX = "cpcvalcons"


def hash160(data: bytes) -> bytes:
    """RIPEMD160(SHA256(data)), 20 bytes."""
    return RIPEMD160.new(hashlib.sha256(data).digest()).digest()


@lru_cache(maxsize=256)  # of a block, and of a key that signs a result, it is mostly the same one
def address_from_public_key(public_key: str | bytes, prefix: str = ACCOUNT_PREFIX) -> str:
    """Address of a compressed secp256k1 public key (33 bytes, or their hex).

    Raises InvalidKey where the key has another form. Whether it is a point of the curve is not
    looked at.
    """
    try:
        raw = bytes.fromhex(public_key) if isinstance(public_key, str) else bytes(public_key)
    except ValueError:
        raise InvalidKey(_("a public key is 66 hex digits")) from None
    if len(raw) != 33 or raw[0] not in (2, 3):
        raise InvalidKey(_("a public key is 33 bytes, compressed: 02 or 03 and 32 more"))
    words = bech32.convertbits(hash160(raw), 8, 5)
    assert words is not None
    return str(bech32.bech32_encode(prefix, words))


def is_address(text: str, prefix: str = ACCOUNT_PREFIX) -> bool:
    """Return whether `text` is a lower-case bech32 address of 20 bytes with this prefix."""
    if not text.isascii() or text != text.lower():
        return False
    found, words = bech32.bech32_decode(text)
    if found != prefix or words is None:
        return False
    raw = bech32.convertbits(words, 5, 8, False)
    return raw is not None and len(raw) == 20


@lru_cache(maxsize=1024)  # one account is checked for every task of every block
def check_address(text: str, prefix: str = ACCOUNT_PREFIX) -> str:
    """Give `text` back, or raise InvalidAddress with the reason in one sentence."""
    if not is_address(text, prefix):
        raise InvalidAddress(
            _(
                "{text!r} is not an address: it must be {prefix}1 and 38 lower-case letters and"
                " digits, the last six of which are a checksum"
            ).format(text=text, prefix=prefix),
            advice=_("Copy the address again, whole; `cpc-engine keys list` shows your own."),
        )
    return text
