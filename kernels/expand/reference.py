"""Philox4x32-10 (Salmon et al., SC'11) in numpy, to be read beside the specification."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from kernels.expand import Matrix, Operand, Rows

M0, M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
W0, W1 = 0x9E3779B9, 0xBB67AE85
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
ROUNDS = 10

Words = npt.NDArray[np.uint64]
Stack = npt.NDArray[np.int8]
"""A matrix for each of several operands: k x m x n."""


def philox(
    counter: tuple[Words, Words, Words, Words], key0: int | Words, key1: int | Words
) -> tuple[Words, ...]:
    """Four words for each counter; 32-bit words in 64-bit arrays, shapes that broadcast."""
    c0, c1, c2, c3 = counter
    for turn in range(ROUNDS):
        k0 = np.uint64((key0 + turn * W0) & 0xFFFFFFFF)
        k1 = np.uint64((key1 + turn * W1) & 0xFFFFFFFF)
        p0, p1 = M0 * c0, M1 * c2  # 32 x 32 bits: exact in 64
        c0, c1, c2, c3 = (p1 >> HALF) ^ c1 ^ k0, p1 & LOW, (p0 >> HALF) ^ c3 ^ k1, p0 & LOW
    return c0, c1, c2, c3


def expand_rows(operand: Operand, rows: Rows, out: Matrix) -> None:
    """Fill `out`, m x n, with the m rows of the operand that `rows` names."""
    m, n = out.shape
    q = -(-n // 16)
    counter = (
        np.arange(q, dtype=np.uint64)[np.newaxis, :],
        rows.astype(np.uint64)[:, np.newaxis],
        np.full((1, 1), operand.counter2, np.uint64),
        np.full((1, 1), operand.counter3, np.uint64),
    )
    words = np.empty((m, q, 4), "<u4")
    for place, word in enumerate(philox(counter, operand.key0, operand.key1)):
        words[:, :, place] = word
    out[:] = words.view(np.int8).reshape(m, 16 * q)[:, :n]


def expand_b(operand: Operand, first: int, B: Matrix) -> None:
    """Fill B, p x n, with the operand's rows from `first` on."""
    expand_rows(operand, np.arange(first, first + len(B)), B)


def expand_together(operands: Sequence[Operand], rows: Words, n: int) -> Stack:
    """Return rows of k operands, k x m x n. `rows`: the m of each operand, k x m; or of all, 1 x m."""
    q, m = -(-n // 16), rows.shape[1]
    key0, key1, counter2, counter3 = np.array(operands, np.uint64).T[:, :, np.newaxis, np.newaxis]
    place = np.arange(q, dtype=np.uint64)
    counter = (place, rows[:, :, np.newaxis], counter2, counter3)
    words = np.empty((len(operands), m, q, 4), "<u4")
    for at, word in enumerate(philox(counter, key0, key1)):
        words[:, :, :, at] = word
    return words.view(np.int8).reshape(len(operands), m, 16 * q)[:, :, :n]
