"""The readable backend, in python-ecdsa. It signs nothing but in tests: see the package."""

import hashlib

from ecdsa import SECP256k1, SigningKey, VerifyingKey
from ecdsa.errors import MalformedPointError
from ecdsa.keys import BadDigestError, BadSignatureError
from ecdsa.numbertheory import SquareRootError
from ecdsa.util import MalformedSignature, sigdecode_string, sigencode_string_canonize


def derive_public_key(secret: bytes) -> bytes:
    """Return the public key, compressed: 33 bytes."""
    key = SigningKey.from_string(secret, curve=SECP256k1)
    return bytes(key.get_verifying_key().to_string("compressed"))


def sign(secret: bytes, digest: bytes) -> bytes:
    """Return the signature of a 32-byte digest, 64 bytes."""
    key = SigningKey.from_string(secret, curve=SECP256k1)
    signature = key.sign_digest_deterministic(
        digest, hashfunc=hashlib.sha256, sigencode=sigencode_string_canonize
    )
    return bytes(signature)


def verify(public_key: bytes, digest: bytes, signature: bytes) -> bool:
    """Return whether the signature fits."""
    try:
        key = VerifyingKey.from_string(
            public_key, curve=SECP256k1, valid_encodings={"compressed", "uncompressed"}
        )
        return bool(key.verify_digest(signature, digest, sigdecode=sigdecode_string))
    except (ValueError, BadSignatureError, BadDigestError, MalformedPointError, MalformedSignature):
        return False
    except TypeError:
        # The key's owner can choose r so that the sum is the point at infinity, on which the
        # library stumbles: it has no x.
        return False


def recover(digest: bytes, signature: bytes) -> list[bytes]:
    """Return the public keys that the signature fits, compressed: SEC 1 v2, section 4.1.6."""
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    if len(signature) != 64 or not (0 < r < SECP256k1.order and 0 < s < SECP256k1.order):
        return []
    try:
        keys = VerifyingKey.from_public_key_recovery_with_digest(
            signature, digest, SECP256k1, hashfunc=hashlib.sha256
        )
        return [bytes(key.to_string("compressed")) for key in keys]
    except (ValueError, AssertionError, MalformedPointError, SquareRootError):
        return []  # r is not an x coordinate of the curve, most likely
    except TypeError:
        return []  # the key would be the point at infinity
