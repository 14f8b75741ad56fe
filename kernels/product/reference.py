"""The folded product in numpy, through float64 and BLAS.

That is exact: a product of two int8 is at most 2^14, a sum of 65,536 of them at most 2^30, and
float64 holds every integer up to 2^53. In whatever order BLAS adds, nothing is ever rounded.
"""

import numpy as np
import numpy.typing as npt

from kernels.product import Matrix

BLOCK_ENTRIES = 1 << 21
"""Most entries of an operand that are held as float64 at once (16 MiB), or one row of it."""


def fold(C: npt.NDArray[np.int32]) -> Matrix:
    """int8((C XOR (C >> 8)) AND 0xFF), the shift arithmetic."""
    return ((C ^ (C >> 8)) & 0xFF).astype(np.uint8).view(np.int8)


def multiply_fold(R: Matrix, B: Matrix, out: Matrix) -> None:
    """Fill `out`, m x p, from R, m x n, and B, p x n."""
    step = max(1, BLOCK_ENTRIES // R.shape[1])
    for j in range(0, B.shape[0], step):
        B_block = B[j : j + step].astype(np.float64)
        for i in range(0, R.shape[0], step):
            C = R[i : i + step].astype(np.float64) @ B_block.T
            out[i : i + step, j : j + step] = fold(C.astype(np.int32))
