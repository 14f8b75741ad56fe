"""The tagged hash T(tag, m) = H(H(tag) || H(tag) || m) of BIP-340, with H = SHA-256.

The 64 bytes of prefix are one block of SHA-256, so each tag's hash starts from a kept state.
"""

import hashlib
from functools import cache

DIGEST_BYTES = 32
LEAF_TAG = "cpc/leaf"
NODE_TAG = "cpc/node"
OPENING_TAG = "cpc/opening"


@cache
def tag_prefix(tag: str) -> bytes:
    """H(tag) || H(tag), 64 bytes."""
    return hashlib.sha256(tag.encode("ascii")).digest() * 2


@cache
def started(tag: str) -> "hashlib._Hash":
    """SHA-256 that has taken the tag's prefix in. Copy it, never update it."""
    return hashlib.sha256(tag_prefix(tag))


def tagged_hash(tag: str, message: bytes) -> bytes:
    """T(tag, message), 32 bytes."""
    state = started(tag).copy()
    state.update(message)
    return state.digest()
