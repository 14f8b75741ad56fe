"""Damage to a file of a stranger: bytes changed, cut out, doubled or moved."""

from collections.abc import Callable

import numpy as np


def damaged(
    content: bytes, random: np.random.Generator, spoil: Callable[[bytearray, int], None]
) -> bytearray:
    """The file with one to five damages; `spoil` writes a wild number of the format near a place."""
    bad = bytearray(content)
    for _ in range(random.integers(1, 6)):
        at = int(random.integers(0, len(bad)))
        match random.integers(0, 6):
            case 0:
                bad[at] = random.integers(0, 256)
            case 1:
                bad[at] ^= 1 << random.integers(0, 8)
            case 2:
                spoil(bad, at)
            case 3:
                del bad[at : at + int(random.integers(1, 16))]
            case 4:
                bad[at:at] = bad[at : at + int(random.integers(1, 16))]
            case _:
                other = int(random.integers(0, len(bad)))
                bad[at : at + 4] = bad[other : other + 4]
        if len(bad) < 16:
            break
    return bad
