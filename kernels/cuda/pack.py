"""A customer's matrix, row-major as it came from the host, into the tiles that the product reads.

One thread fills one 16-byte chunk of a tile (`layout.py`): neighbouring threads write neighbouring
chunks. Rows of any length begin at any address, so that a chunk is read byte by byte, unless rows are a
multiple of 4 or 16 bytes long: activations that lie on the card often are, and no bus brought them.
"""

from typing import Any

from kernels.cuda.compiler import cuda, int32, int64, uint32
from kernels.cuda.intrinsics import load, load4, load_byte, store4

THREADS = 256


@cuda.jit(device=True)
def four_bytes(source: Any, at: Any, left: Any) -> Any:
    """A little-endian word of the first `left` bytes at `at`; zeros for the rest."""
    word = uint32(0)
    for i in range(4):
        if i < left:
            word |= load_byte(source, int64(at + i)) << uint32(8 * i)
    return uint32(word)


@cuda.jit(device=True)
def whole_word(source: Any, at: Any, left: Any) -> Any:
    """The word at `at`, or zeros where nothing is left."""
    if left > 0:
        return load(source, int64(at))
    return uint32(0)


@cuda.jit(device=True)
def chunk_in_tiles(tiles: Any, as_b: Any) -> Any:
    """This thread's 16-byte chunk of a tile: its place in the tiles, and its row and column.

    A's layout, or B's where `as_b` is 1. Grid (tiles, padded rows / 128, 4), 256 threads.
    """
    x, y = int32(cuda.blockIdx.x), int32(cuda.blockIdx.y)
    chunk = int32(cuda.blockIdx.z) * int32(THREADS) + int32(cuda.threadIdx.x)
    position = int32(chunk >> 3)
    column = int32(x * 128 + ((chunk & 7) ^ (position & 7)) * 16)
    row = position
    offset = (int64(y) * int32(tiles) + x) * 16384 + chunk * 16
    if as_b != 0:
        p = position & 63
        row = int32((position & 64) + (((p >> 1) & 3) << 4) + ((p >> 3) << 1) + (p & 1))
        # A tile of B has 256 rows: two of these blocks.
        offset = (int64(y >> 1) * int32(tiles) + x) * 32768 + (y & 1) * 16384 + chunk * 16
    return offset, int32(row + y * 128), column


@cuda.jit
def pack_kernel(source: Any, to: Any, rows: Any, columns: Any, tiles: Any, as_b: Any) -> None:
    """`rows` x `columns` bytes at `source` into tiles at `to`: A's layout, or B's where `as_b` is 1.

    `tiles` = padded columns / 128. Grid (tiles, padded rows / 128, 4), 256 threads.
    """
    offset, row, column = chunk_in_tiles(tiles, as_b)
    left = int64(0)
    if row < rows:
        left = int64(columns) - column
    at = int64(row) * columns + column
    b, c, d = int64(at + 4), int64(at + 8), int64(at + 12)
    if columns & 15 == 0 and left > 0:
        four = load4(source, at)
        store4(to, offset, four[0], four[1], four[2], four[3])
    elif columns & 3 == 0:
        store4(
            to, offset,
            whole_word(source, at, left), whole_word(source, b, left - 4),
            whole_word(source, c, left - 8), whole_word(source, d, left - 12),
        )  # fmt: skip
    else:
        store4(
            to, offset,
            four_bytes(source, at, left), four_bytes(source, b, int64(left - 4)),
            four_bytes(source, c, int64(left - 8)), four_bytes(source, d, int64(left - 12)),
        )  # fmt: skip
