"""How matrices lie in device memory: swizzled tiles, which the tensor cores read without conflicts.

Sizes are padded to P, a multiple of 256; entries beyond n are zero. T = P / 128 tiles stand side by
side.

* A and R: tiles of 128 rows by 128 bytes, 16 KiB each, T a row of tiles. In a tile, row r lies at
  128 * r, and its 16-byte chunk c at chunk c XOR (r AND 7): the "128-byte swizzle" of the PTX ISA
  (wgmma, "Shared memory matrix layout"), so that copying a tile into shared memory as it is gives
  what wgmma and ldmatrix read at full speed.
* B: tiles of 256 rows, 32 KiB, the same way, with rows permuted inside each group of 64: position
  8b + 2t + e holds row 16t + 2b + e. In the accumulators of wgmma and mma.sync a thread with lane
  number t modulo 4 owns columns 2t and 2t + 1 of each 8; through the permutation those of 8 such
  groups are the 16 neighbouring columns 16t ... 16t + 15, one 16-byte chunk of R.

R has A's layout, so that a result is the next iteration's operand, and a leaf (256 entries of a
row) is the same row of two neighbouring tiles.

The functions here are numpy's, for tests and for the customer's matrices; the kernels compute the
same offsets themselves.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

TILE = 128
"""Rows and bytes of a tile of A and R."""
TILE_BYTES = TILE * TILE
B_ROWS = 256
B_TILE_BYTES = B_ROWS * TILE
PAD = 256

Matrix = NDArray[np.int8]


def padded(n: int) -> int:
    """The least multiple of 256 that is not below n."""
    return -(-n // PAD) * PAD


def position_in_group(row: NDArray[Any]) -> NDArray[Any]:
    """Where a row of B, counted within its group of 64, lies there."""
    t, b, e = row >> 4 & 3, row >> 1 & 7, row & 1
    return 8 * b + 2 * t + e


def offsets_a(P: int) -> NDArray[np.int64]:
    """Byte offset of every entry of A or R, P x P."""
    return _offsets(P, np.arange(P), TILE)


def offsets_b(P: int) -> NDArray[np.int64]:
    """Byte offset of every entry of B, P x P."""
    rows = np.arange(P)
    return _offsets(P, (rows & ~63) + position_in_group(rows & 63), B_ROWS)


def _offsets(P: int, position: NDArray[Any], rows: int) -> NDArray[np.int64]:
    r, k = position[:, None].astype(np.int64), np.arange(P, dtype=np.int64)[None, :]
    tile = (r // rows) * (P // TILE) + k // TILE
    chunk = (k % TILE // 16) ^ (r & 7)
    return tile * rows * TILE + r % rows * TILE + chunk * 16 + k % 16


def to_tiles(matrix: Matrix, offsets: NDArray[np.int64]) -> Matrix:
    """The matrix, padded with zeros, as the bytes of its tiles (P * P)."""
    tiles = np.zeros(offsets.size, np.int8)
    n, m = matrix.shape
    tiles[offsets[:n, :m]] = matrix
    return tiles


def from_tiles(tiles: Matrix, offsets: NDArray[np.int64], n: int) -> Matrix:
    """The n x n matrix that these tiles hold."""
    return tiles[offsets[:n, :n]]
