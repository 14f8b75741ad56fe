"""Row-major matrices on the device, for comparisons with libraries that know no tiles.

`unpack_kernel` is the opposite of `pack.pack_kernel`, `fold_kernel` the fold as a pass of its own over
C (bound by memory), and `differences_kernel` compares two matrices word by word where they lie.
"""

from typing import Any

from kernels.cuda.compiler import cuda, int32, int64, uint32
from kernels.cuda.intrinsics import atomic_add, load4, store, store4
from kernels.cuda.pack import chunk_in_tiles
from kernels.cuda.product.epilogue import fold4

THREADS = 256
FOLDED_A_BLOCK = 4096
"""Entries of C that a block of `fold_kernel` folds: each thread four times four."""
COMPARED_A_BLOCK = 1024
"""Words of a row that a block of `differences_kernel` compares: each thread four."""


@cuda.jit
def unpack_kernel(source: Any, to: Any, n: Any, tiles: Any, as_b: Any) -> None:
    """The n x n bytes of `source`, tiles in A's layout (or B's, where `as_b` is 1), row-major at `to`.

    16 divides n; `tiles` = padded n / 128. Grid (tiles, tiles, 4), 256 threads: one 16-byte chunk each.
    """
    offset, row, column = chunk_in_tiles(tiles, as_b)
    if row < n and column < n:
        four = load4(source, int64(offset))
        store4(to, int64(int64(row) * n + column), four[0], four[1], four[2], four[3])


@cuda.jit
def fold_kernel(c: Any, r: Any, entries: Any) -> None:
    """R = the fold of C (section 3 of the specification), both row-major; 4 divides `entries`.

    Grid (ceil(entries / FOLDED_A_BLOCK),), 256 threads. A warp reads 512 bytes and writes 128 at once.
    """
    first = int64(cuda.blockIdx.x) * FOLDED_A_BLOCK + int32(cuda.threadIdx.x) * 4
    for i in range(4):
        entry = first + i * 1024
        if entry < entries:
            four = load4(c, int64(entry * 4))
            folded = fold4(int32(four[0]), int32(four[1]), int32(four[2]), int32(four[3]))
            store(r, int64(entry), folded)


@cuda.jit
def differences_kernel(
    one: Any, other: Any, found: Any, words: Any, pitch_one: Any, pitch_other: Any
) -> None:
    """Add to `found` how many words of two matrices differ; rows begin `pitch_*` bytes apart.

    `words` a row; 4 divides it, and 16 both pitches. Grid (ceil(words / COMPARED_A_BLOCK), rows), 256
    threads.
    """
    column = int32(cuda.blockIdx.x) * COMPARED_A_BLOCK + int32(cuda.threadIdx.x) * 4
    row = int64(cuda.blockIdx.y)
    if column < words:
        a = load4(one, int64(row * pitch_one + column * 4))
        b = load4(other, int64(row * pitch_other + column * 4))
        count = uint32(0)
        for i in range(4):
            if a[i] != b[i]:
                count = uint32(count + uint32(1))
        if count != 0:
            atomic_add(found, int64(0), count)
