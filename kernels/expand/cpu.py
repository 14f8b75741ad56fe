"""Philox4x32-10 with Numba, one thread; it lets go of the GIL.

64 counters at a time, word by word into a block of four rows, so that LLVM sees a loop over
neighbours and uses vectors; then interleaved. Four times as fast as writing it out directly.
Every step is cast back to 32 bits: Numba's integers grow to 64 by themselves.
"""

import numpy as np
from numba import njit, uint32, uint64

from kernels.expand import Matrix, Operand, Rows

BLOCK = 64
M0, M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
W0, W1 = np.uint32(0x9E3779B9), np.uint32(0xBB67AE85)
HALF = np.uint64(32)


def expand_rows(operand: Operand, rows: Rows, out: Matrix) -> None:
    """Fill `out`, m x n and contiguous, with the m rows of the operand that `rows` names."""
    key0, key1, counter2, counter3 = (np.uint32(word) for word in operand)
    _expand(key0, key1, counter2, counter3, rows, out)


@njit(nogil=True, cache=True)
def _expand(
    key0: np.uint32,
    key1: np.uint32,
    counter2: np.uint32,
    counter3: np.uint32,
    rows: Rows,
    out: Matrix,
) -> None:
    n = out.shape[1]
    block = np.empty((4, BLOCK), np.uint32)
    words = np.empty((BLOCK, 4), np.uint32)
    entries = words.reshape(4 * BLOCK).view(np.int8)
    for i in range(rows.shape[0]):
        row = uint32(rows[i])
        for first in range(0, n, 16 * BLOCK):
            for q in range(BLOCK):
                c0, c1, c2, c3 = uint32(first // 16 + q), row, counter2, counter3
                k0, k1 = key0, key1
                for _ in range(10):
                    p0, p1 = uint64(c0) * M0, uint64(c2) * M1
                    c0, c1 = uint32(uint32(p1 >> HALF) ^ c1 ^ k0), uint32(p1)
                    c2, c3 = uint32(uint32(p0 >> HALF) ^ c3 ^ k1), uint32(p0)
                    k0, k1 = uint32(k0 + W0), uint32(k1 + W1)
                block[0, q] = c0
                block[1, q] = c1
                block[2, q] = c2
                block[3, q] = c3
            for q in range(BLOCK):
                words[q, 0] = block[0, q]
                words[q, 1] = block[1, q]
                words[q, 2] = block[2, q]
                words[q, 3] = block[3, q]
            target = out[i, first : first + 16 * BLOCK]
            for entry in range(target.shape[0]):
                target[entry] = entries[entry]
