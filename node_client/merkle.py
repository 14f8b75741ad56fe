"""The L1's Merkle root: SHA-256 over pairs, an odd last node paired with itself.

>>> merkle_root([]) is None
True
"""

import hashlib
from collections.abc import Sequence


def merkle_root(leaves: Sequence[bytes]) -> bytes | None:
    """Root of 32-byte leaves in order; one leaf is its own root; None without leaves."""
    if not leaves:
        return None
    level = list(leaves)
    while len(level) > 1:
        if len(level) % 2:
            level.append(level[-1])
        level = [
            hashlib.sha256(left + right).digest()
            for left, right in zip(level[::2], level[1::2], strict=True)
        ]
    return level[0]
