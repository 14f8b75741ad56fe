"""Freivalds' check of C = A B (Mathematical Foundations of Computer Science 1979), modulo 2^64.

    C r == A (B r)  for random vectors r, drawn after C was committed to

costs (m k + k n + m n) multiply-adds a vector instead of m k n. Rows of D = C - A B have entries
below 2^32 in absolute value. Take a row that is not zero, and in it an entry d = 2^s u with u odd and
s least: s <= 31. Whatever the other weights are, d * r_j = c (mod 2^64) has at most 2^s solutions
r_j: a vector misses a wrong C with probability 2^-33 at most, and two with 2^-66. (Weights modulo 2^32
would be worth little: an error of 2^31 slips through every second time.)
"""

import os
from collections.abc import Callable
from gettext import gettext as _

import numpy as np
import numpy.typing as npt

from kernels.errors import WrongResult

VECTORS = 2
BLOCK_ENTRIES = 1 << 20
"""Most entries of a matrix that are held as 64 bits at once (8 MiB), or one row of it."""

Integers = npt.NDArray[np.signedinteger]
Words = npt.NDArray[np.uint64]


def check_product(
    A: Integers, B: Integers, C: Integers, random_bytes: Callable[[int], bytes] = os.urandom
) -> None:
    """Raise WrongResult where C, m x n int32, is not A B: A m x k, B k x n, both int8.

    A wrong C passes with probability 2^-66 at most, over weights that were drawn after it was made.
    """
    n = B.shape[1]
    weights = np.frombuffer(random_bytes(8 * n * VECTORS), "<u8").reshape(n, VECTORS)
    if not np.array_equal(_times(C, weights), _times(A, _times(B, weights))):
        raise WrongResult(_("the product fails Freivalds' check: some entry is wrong"))


def _times(M: Integers, vectors: Words) -> Words:
    """M times each of the vectors, modulo 2^64."""
    out = np.empty((len(M), VECTORS), np.uint64)
    step = max(1, BLOCK_ENTRIES // M.shape[1])
    for first in range(0, len(M), step):
        block = M[first : first + step].astype(np.int64).view(np.uint64)
        out[first : first + step] = block @ vectors
    return out
