"""Draws that anybody can repeat from their seed: which rows are checked, and with which weights.

    rows = draw(seed, of=1000, count=4)     # distinct, in the order drawn
    words = SeededBytes(seed)               # in place of os.urandom

A checker draws its seed after the commitment, from the system's randomness, and says it afterwards.
"""

import hashlib
import struct

from kernels.digest import tagged_hash

DRAW_TAG = "cpc/draw"
WORDS_TAG = b"cpc/words"


def draw(seed: bytes, of: int, count: int) -> list[int]:
    """Return `count` distinct numbers below `of`: the first steps of Fisher and Yates' shuffle.

    Step i swaps place i with place i + (T("cpc/draw", seed || le32(i)), its first 8 bytes,
    little-endian, mod (of - i)).
    """
    moved: dict[int, int] = {}
    drawn = []
    for i in range(count):
        word = tagged_hash(DRAW_TAG, seed + struct.pack("<I", i))[:8]
        j = i + int.from_bytes(word, "little") % (of - i)
        drawn.append(moved.get(j, j))
        moved[j] = moved.get(i, i)
    return drawn


class SeededBytes:
    """Call it for `size` bytes: of call i, those of SHAKE-256("cpc/words" || seed || le32(i))."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._calls = 0

    def __call__(self, size: int, /) -> bytes:
        """Return the next bytes."""
        message = WORDS_TAG + self._seed + struct.pack("<I", self._calls)
        self._calls += 1
        return hashlib.shake_256(message).digest(size)
