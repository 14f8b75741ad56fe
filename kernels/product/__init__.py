"""Product: one iteration, folded (section 3 of the specification).

    C[i][j] = sum over k of R[i][k] * B[j][k]          exact, int32
    out     = int8((C XOR (C >> 8)) AND 0xFF)

Both operands are read along their rows, and any rows of R and of B will do. C is never stored
whole. `reference.py` and `cpu.py` both have a `multiply_fold` of the shape below.
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.int8]


class MultiplyFold(Protocol):
    """Fill `out`, m x p, from R, m x n, and B, p x n; n <= 65,536. `out` overlaps neither."""

    def __call__(self, R: Matrix, B: Matrix, out: Matrix, /) -> None:
        """Every entry of `out` is written."""
