"""The product, folded or not, with Numba, one thread; it lets go of the GIL.

4 x 4 entries of C at a time: 16 sums that stay in registers, over 8 rows that are read together.
LLVM turns the loop over k into vectors by itself, on any CPU. Every step is cast back to int32:
Numba's integers grow to 64 bits by themselves, and then nothing here is fast. The last one to three
rows or columns, where 4 does not divide, go one entry at a time.
"""

import numpy as np
from numba import int8, int32, njit

from kernels.product import Matrix, Sums

B_BLOCK_BYTES = 1 << 17
"""Rows of B that are used again and again before the next ones: they should stay in the L2 cache."""


@njit(nogil=True, cache=True)
def multiply_fold(R: Matrix, B: Matrix, out: Matrix) -> None:
    """Fill `out`, m x p, from R, m x n, and B, p x n; all contiguous."""
    m, n = R.shape
    p = B.shape[0]
    m4, p4 = m - m % 4, p - p % 4
    step = max(4, B_BLOCK_BYTES // n // 4 * 4)
    for first in range(0, p4, step):
        for i in range(0, m4, 4):
            for j in range(first, min(first + step, p4), 4):
                _tile(R, B, i, j, out)
    for i in range(m):
        for j in range(p4 if i < m4 else 0, p):
            _entry(R, B, i, j, out)


@njit(nogil=True, cache=True)
def _fold(c: np.int32) -> np.int8:
    return int8(c ^ (c >> int32(8)))


@njit(nogil=True, cache=True)
def _entry(R: Matrix, B: Matrix, i: int, j: int, out: Matrix) -> None:
    r, b = R[i], B[j]
    c = int32(0)
    for k in range(R.shape[1]):
        c = int32(c + int32(int32(r[k]) * int32(b[k])))
    out[i, j] = _fold(c)


@njit(nogil=True, cache=True)
def _tile(R: Matrix, B: Matrix, i: int, j: int, out: Matrix) -> None:
    r0, r1, r2, r3 = R[i], R[i + 1], R[i + 2], R[i + 3]
    b0, b1, b2, b3 = B[j], B[j + 1], B[j + 2], B[j + 3]
    c00 = c01 = c02 = c03 = int32(0)
    c10 = c11 = c12 = c13 = int32(0)
    c20 = c21 = c22 = c23 = int32(0)
    c30 = c31 = c32 = c33 = int32(0)
    for k in range(R.shape[1]):
        x0, x1, x2, x3 = int32(r0[k]), int32(r1[k]), int32(r2[k]), int32(r3[k])
        y0, y1, y2, y3 = int32(b0[k]), int32(b1[k]), int32(b2[k]), int32(b3[k])
        c00 = int32(c00 + int32(x0 * y0))
        c01 = int32(c01 + int32(x0 * y1))
        c02 = int32(c02 + int32(x0 * y2))
        c03 = int32(c03 + int32(x0 * y3))
        c10 = int32(c10 + int32(x1 * y0))
        c11 = int32(c11 + int32(x1 * y1))
        c12 = int32(c12 + int32(x1 * y2))
        c13 = int32(c13 + int32(x1 * y3))
        c20 = int32(c20 + int32(x2 * y0))
        c21 = int32(c21 + int32(x2 * y1))
        c22 = int32(c22 + int32(x2 * y2))
        c23 = int32(c23 + int32(x2 * y3))
        c30 = int32(c30 + int32(x3 * y0))
        c31 = int32(c31 + int32(x3 * y1))
        c32 = int32(c32 + int32(x3 * y2))
        c33 = int32(c33 + int32(x3 * y3))
    out[i, j], out[i, j + 1] = _fold(c00), _fold(c01)
    out[i, j + 2], out[i, j + 3] = _fold(c02), _fold(c03)
    out[i + 1, j], out[i + 1, j + 1] = _fold(c10), _fold(c11)
    out[i + 1, j + 2], out[i + 1, j + 3] = _fold(c12), _fold(c13)
    out[i + 2, j], out[i + 2, j + 1] = _fold(c20), _fold(c21)
    out[i + 2, j + 2], out[i + 2, j + 3] = _fold(c22), _fold(c23)
    out[i + 3, j], out[i + 3, j + 1] = _fold(c30), _fold(c31)
    out[i + 3, j + 2], out[i + 3, j + 3] = _fold(c32), _fold(c33)


@njit(nogil=True, cache=True)
def multiply(A: Matrix, B: Matrix, out: Sums) -> None:
    """Fill `out`, m x n, with A B^T from A, m x k, and B, n x k; all contiguous.

    One row of A against four of B: plain, for sums that are not folded on the way.
    """
    m, k = A.shape
    n = B.shape[0]
    n4 = n - n % 4
    step = max(4, B_BLOCK_BYTES // k // 4 * 4)
    for first in range(0, n4, step):
        for i in range(m):
            a = A[i]
            for j in range(first, min(first + step, n4), 4):
                b0, b1, b2, b3 = B[j], B[j + 1], B[j + 2], B[j + 3]
                c0 = c1 = c2 = c3 = int32(0)
                for x in range(k):
                    y = int32(a[x])
                    c0 = int32(c0 + int32(y * int32(b0[x])))
                    c1 = int32(c1 + int32(y * int32(b1[x])))
                    c2 = int32(c2 + int32(y * int32(b2[x])))
                    c3 = int32(c3 + int32(y * int32(b3[x])))
                out[i, j], out[i, j + 1], out[i, j + 2], out[i, j + 3] = c0, c1, c2, c3
    for i in range(m):
        for j in range(n4, n):
            a, b = A[i], B[j]
            c = int32(0)
            for x in range(k):
                c = int32(c + int32(int32(a[x]) * int32(b[x])))
            out[i, j] = c
