"""The product, folded or not, in numpy, through float64 and BLAS.

That is exact: a product of two int8 is at most 2^14, a sum of 65,536 of them at most 2^30, and
float64 holds every integer up to 2^53. In whatever order BLAS adds, nothing is ever rounded.
"""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from kernels.product import Matrix, Sums

BLOCK_ENTRIES = 1 << 21
"""Most entries of an operand that are held as float64 at once (16 MiB), or one row; and of C, too."""


def empty_rows(m: int, n: int) -> Matrix:
    """Room for m rows of n: of R, or of B."""
    return np.empty((m, n), np.int8)


def fold(C: npt.NDArray[np.int32]) -> Matrix:
    """int8((C XOR (C >> 8)) AND 0xFF), the shift arithmetic."""
    return ((C ^ (C >> 8)) & 0xFF).astype(np.uint8).view(np.int8)


def multiply_fold(R: Matrix, B: Matrix, out: Matrix) -> None:
    """Fill `out`, m x p, from R, m x n, and B, p x n."""
    for rows, columns, C in _blocks(R, B):
        out[rows, columns] = fold(C)


def multiply(A: Matrix, B: Matrix, out: Sums) -> None:
    """Fill `out`, m x n, with A B^T from A, m x k, and B, n x k."""
    for rows, columns, C in _blocks(A, B):
        out[rows, columns] = C


def load_b(rows: Matrix, B: Matrix) -> None:
    """Fill B with the rows of a matrix."""
    B[:] = rows


def scratch_bytes(n: int) -> int:
    """Memory of blocks of both operands and of C as float64, for rows of n, with some to spare."""
    return 8 * 8 * max(BLOCK_ENTRIES, n)


def _blocks(A: Matrix, B: Matrix) -> Iterator[tuple[slice, slice, Sums]]:
    """The sums of A B^T, block by block, each with its rows and columns."""
    step = max(1, min(BLOCK_ENTRIES // A.shape[1], math.isqrt(BLOCK_ENTRIES)))
    for j in range(0, B.shape[0], step):
        B_block = B[j : j + step].astype(np.float64)
        for i in range(0, A.shape[0], step):
            C = A[i : i + step].astype(np.float64) @ B_block.T
            yield slice(i, i + step), slice(j, j + step), C.astype(np.int32)
