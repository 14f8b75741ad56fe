"""Product: one iteration, folded (section 3 of the specification), or the plain int32 sums.

    C[i][j] = sum over k of R[i][k] * B[j][k]          exact, int32
    out     = int8((C XOR (C >> 8)) AND 0xFF)

Both operands are read along their rows, and any rows of R and of B will do. The folded product
never stores C whole. `reference.py` has both in numpy, `kernels.cpu.product` in microkernels.
"""

from gettext import gettext as _
from typing import Protocol

import numpy as np
import numpy.typing as npt

from kernels.errors import InvalidTask

Matrix = npt.NDArray[np.int8]
Sums = npt.NDArray[np.int32]
MAX_SUM_LENGTH = 65_536
"""The largest k for which no sum of k products of int8 overflows int32."""


class Multiply(Protocol):
    """Fill `out`, m x n, with A B^T from A, m x k, and B, n x k; all contiguous, k <= 65,536."""

    def __call__(self, A: Matrix, B: Matrix, out: Sums, /) -> None:
        """Every entry of `out` is written."""


def check_operands(A: Matrix, B: Matrix) -> tuple[int, int, int]:
    """(m, n, k) of A, m x k, and B, n x k. Raises InvalidTask where they make no exact product."""
    if A.dtype != np.int8 or B.dtype != np.int8 or A.ndim != 2 or B.ndim != 2:
        raise InvalidTask(_("both operands must be matrices of int8"))
    (m, k), (n, length) = A.shape, B.shape
    if k != length or min(m, n, k) < 1 or k > MAX_SUM_LENGTH:
        raise InvalidTask(
            _(
                "{m} x {k} and {n} x {length} have no exact product: rows must be of one"
                " length, 1 to {MAX_SUM_LENGTH}, and there must be some"
            ).format(m=m, k=k, n=n, length=length, MAX_SUM_LENGTH=MAX_SUM_LENGTH)
        )
    return m, n, k
