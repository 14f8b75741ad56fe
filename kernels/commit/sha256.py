"""SHA-256 (FIPS 180-4) written down plainly: its constants, one compression, and what follows from
them.

Fast hashing is elsewhere; this gives it its starting points. Every message of the tree follows a
tag's 64-byte prefix, so that it starts from that block's state; and where 64 divides its length,
its last block is padding alone, the same for all, whose 64 words are known beforehand.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
import numpy.typing as npt

from kernels.digest import tag_prefix

INITIAL = np.array(
    [
        0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A,
        0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19,
    ],
    np.uint32,
)  # fmt: skip
K = np.array(
    [
        0x428A2F98, 0x71374491, 0xB5C0FBCF, 0xE9B5DBA5,
        0x3956C25B, 0x59F111F1, 0x923F82A4, 0xAB1C5ED5,
        0xD807AA98, 0x12835B01, 0x243185BE, 0x550C7DC3,
        0x72BE5D74, 0x80DEB1FE, 0x9BDC06A7, 0xC19BF174,
        0xE49B69C1, 0xEFBE4786, 0x0FC19DC6, 0x240CA1CC,
        0x2DE92C6F, 0x4A7484AA, 0x5CB0A9DC, 0x76F988DA,
        0x983E5152, 0xA831C66D, 0xB00327C8, 0xBF597FC7,
        0xC6E00BF3, 0xD5A79147, 0x06CA6351, 0x14292967,
        0x27B70A85, 0x2E1B2138, 0x4D2C6DFC, 0x53380D13,
        0x650A7354, 0x766A0ABB, 0x81C2C92E, 0x92722C85,
        0xA2BFE8A1, 0xA81A664B, 0xC24B8B70, 0xC76C51A3,
        0xD192E819, 0xD6990624, 0xF40E3585, 0x106AA070,
        0x19A4C116, 0x1E376C08, 0x2748774C, 0x34B0BCB5,
        0x391C0CB3, 0x4ED8AA4A, 0x5B9CCA4F, 0x682E6FF3,
        0x748F82EE, 0x78A5636F, 0x84C87814, 0x8CC70208,
        0x90BEFFFA, 0xA4506CEB, 0xBEF9A3F7, 0xC67178F2,
    ],
    np.uint32,
)  # fmt: skip
BLOCK_BYTES = 64
MASK = 0xFFFFFFFF

State = npt.NDArray[np.uint32]


@cache
def state_after_prefix(tag: str) -> State:
    """SHA-256's eight words after the 64 bytes of a tag's prefix."""
    words = np.frombuffer(tag_prefix(tag), ">u4").tolist()
    return np.array(_compress(INITIAL.tolist(), schedule(words)), np.uint32)


@cache
def padding_words(size: int) -> State:
    """K + W, 64 words, of the block that is padding alone: after a tag's prefix and `size` bytes.

    64 divides `size`.
    """
    words = [0x80000000, *[0] * 13, 0, 8 * (BLOCK_BYTES + size)]
    return np.array(
        [(w + k) & MASK for w, k in zip(schedule(words), K.tolist(), strict=True)], "u4"
    )


def schedule(words: Sequence[int]) -> list[int]:
    """A block's 16 words and the 48 that follow from them (section 6.2.2, step 1)."""
    w = list(words)
    for t in range(16, 64):
        x, y = w[t - 15], w[t - 2]
        s0 = _rotate(x, 7) ^ _rotate(x, 18) ^ (x >> 3)
        s1 = _rotate(y, 17) ^ _rotate(y, 19) ^ (y >> 10)
        w.append((s1 + w[t - 7] + s0 + w[t - 16]) & MASK)
    return w


def _compress(state: Sequence[int], w: Sequence[int]) -> list[int]:
    """Section 6.2.2, steps 2 to 4."""
    a, b, c, d, e, f, g, h = state
    for word, k in zip(w, K.tolist(), strict=True):
        s1 = _rotate(e, 6) ^ _rotate(e, 11) ^ _rotate(e, 25)
        s0 = _rotate(a, 2) ^ _rotate(a, 13) ^ _rotate(a, 22)
        t1 = h + s1 + ((e & f) ^ (~e & g)) + k + word
        t2 = s0 + ((a & b) ^ (a & c) ^ (b & c))
        a, b, c, d, e, f, g, h = (t1 + t2) & MASK, a, b, c, (d + t1) & MASK, e, f, g
    return [(x + y) & MASK for x, y in zip(state, (a, b, c, d, e, f, g, h), strict=True)]


def _rotate(x: int, n: int) -> int:
    return (x >> n | x << 32 - n) & MASK
