"""The backend that signs: libsecp256k1, whose arithmetic with secrets takes constant time.

Source: https://github.com/bitcoin-core/secp256k1. Its nonces are those of RFC 6979 without the
reduction of the digest (bits2octets), so a digest at or above the group's order, one in 2^128, would be
signed otherwise than by `reference.py`: both signatures are valid.
"""

from collections.abc import Callable

from coincurve import PrivateKey, PublicKey
from coincurve.ecdsa import cdata_to_der, deserialize_compact, signature_normalize

_RECOVERY_IDS = 4


def derive_public_key(secret: bytes) -> bytes:
    """Return the public key, compressed: 33 bytes."""
    return bytes(PrivateKey(secret).public_key.format())


def sign(secret: bytes, digest: bytes) -> bytes:
    """Return the signature of a 32-byte digest, 64 bytes."""
    return signer(secret)(digest)


def signer(secret: bytes) -> Callable[[bytes], bytes]:
    """Return `sign` with this secret: to make the library's key takes as long as to sign twice."""
    key = PrivateKey(secret)
    return lambda digest: bytes(key.sign_recoverable(digest, hasher=None)[:64])


def verify(public_key: bytes, digest: bytes, signature: bytes) -> bool:
    """Return whether the signature fits."""
    try:
        # The library takes low s only: it leaves the other reading of a signature to its caller.
        _was_high, low = signature_normalize(deserialize_compact(signature))
        return bool(PublicKey(public_key).verify(cdata_to_der(low), digest, hasher=None))
    except ValueError:
        return False


def recover(digest: bytes, signature: bytes) -> list[bytes]:
    """Return the public keys that the signature fits, compressed: SEC 1 v2, section 4.1.6."""
    found: list[bytes] = []
    for recovery_id in range(_RECOVERY_IDS):
        try:
            key = PublicKey.from_signature_and_message(
                signature + bytes([recovery_id]), digest, hasher=None
            )
        except ValueError:
            continue
        found.append(bytes(key.format()))
    return found
