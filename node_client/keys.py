"""secp256k1 keys: deterministic low-s ECDSA (RFC 6979, BIP-62 rule 5) over 32-byte digests.

    >>> key = PrivateKey.generate()
    >>> verify_digest(key.public_key, bytes(32), key.sign_digest(bytes(32)))
    True
    >>> key  # doctest: +ELLIPSIS
    PrivateKey(cpc1...)

A PrivateKey never shows its secret: not in `repr`, not in a pickle, so that it cannot reach a log,
a traceback with locals, or a child process by accident.
"""

import re
import secrets
from gettext import gettext as _
from typing import NoReturn

from node_client import signatures
from node_client.address import VALIDATOR_PREFIX, address_from_public_key
from node_client.errors import InvalidKey
from node_client.secret import Secret
from node_client.signatures import ORDER

_NOT_A_KEY = _("a private key is 64 hex digits, not zero and below the order of secp256k1")


class PrivateKey:
    """A secp256k1 private key that signs and keeps its secret to itself."""

    __slots__ = ("_secret", "_sign", "address", "public_key", "validator_address")

    def __init__(self, secret: bytes) -> None:
        """`secret`: 32 bytes, big-endian. Raises InvalidKey."""
        if len(secret) != 32 or not 0 < int.from_bytes(secret) < ORDER:
            del secret  # a traceback with locals must not show what may be a key with a slip
            raise InvalidKey(_NOT_A_KEY)
        self._secret = Secret(secret)
        self._sign = Secret(signatures.signer(secret))
        public = signatures.derive_public_key(secret)
        self.public_key: str = public.hex()
        self.address: str = address_from_public_key(public)
        self.validator_address: str = address_from_public_key(public, VALIDATOR_PREFIX)

    @classmethod
    def generate(cls) -> "PrivateKey":
        """Make a new key from the operating system's randomness.

        Its address ends in a letter: a payment to one that ends in a digit can be read as a larger
        one to nobody (`node_client.ambiguity`).
        """
        while True:
            made = cls((1 + secrets.randbelow(ORDER - 1)).to_bytes(32))
            if not made.address[-1].isdigit():
                return made

    @classmethod
    def from_hex(cls, text: str) -> "PrivateKey":
        """Read 64 hex digits. Raises InvalidKey without repeating them, also in its frames."""
        if re.fullmatch(r"[0-9a-fA-F]{64}", text, re.ASCII) is None:
            del text
            raise InvalidKey(_NOT_A_KEY)
        try:
            return cls(bytes.fromhex(text))
        finally:
            del text

    def secret_hex(self) -> str:
        """Return the secret as 64 hex digits, for a key file only."""
        return self._secret.reveal().hex()

    def sign_digest(self, digest: bytes) -> str:
        """Return the signature of a 32-byte digest: r || s as 128 hex digits, s in the lower half."""
        if len(digest) != 32:
            raise ValueError("a digest is 32 bytes")
        return self._sign.reveal()(digest).hex()

    def __repr__(self) -> str:
        return f"PrivateKey({self.address})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key cannot be pickled")


def verify_digest(public_key: str, digest: bytes, signature: str) -> bool:
    """Return whether `signature` (128 hex digits, low or high s) fits; False for malformed input."""
    try:
        return signatures.verify(bytes.fromhex(public_key), digest, bytes.fromhex(signature))
    except ValueError:
        return False


def recovered_public_keys(digest: bytes, signature: str) -> list[str]:
    """Return the public keys (compressed hex) that this signature fits: SEC 1 v2, section 4.1.6.

    A block does not carry its proposer's key; only the key's address. Empty for a malformed
    signature, which a node may send on purpose.
    """
    try:
        raw = bytes.fromhex(signature)
    except ValueError:
        return []
    return [key.hex() for key in signatures.recover(digest, raw)]
