"""The product on any NVIDIA GPU, without its tensor cores: read this tier first.

C = A * transpose(B): entry (i, j) is the scalar product of row i of A and row j of B, both read along
their rows, four int8 in a 32-bit word at a time. A block of 256 threads computes a square of C with a
side of 64 or 128, a thread 4 x 4 entries in each of the square's 64 x 64 quarters ("quads"):

    for every tile along the rows (128 entries, 32 words):
        the block copies its rows of that tile of A and of B into shared memory
        for every word of the rows:
            a thread reads that word of its rows of A and of its rows of B, and adds every scalar
            product of two words ("dot4") to its accumulators

so that a word from memory is used by a whole row or column of threads, and one from shared memory four
or eight times by each. The sums are fewer than 2^31 for P <= 65,536.

In shared memory a word's rows are neighbours, words[k][row]: a thread reads its four in one go. Row r
of the words of 16-byte chunk c is at r XOR 4c, or the eight threads that bring the chunks of a row
would all write into one memory bank: the idea of the swizzle of `layout.py`.

`with_dot4` makes the kernel for any scalar product of two words; the one here is plain arithmetic, and
`dp4a.py` has an instruction for it. Everything here runs under the CUDA simulator.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

from kernels.cuda.compiler import cuda, int32, int64, uint32
from kernels.cuda.intrinsics import (
    SIMULATED,
    add32,
    atomic_add,
    load,
    load4,
    mul32,
    store,
    store4,
    unsigned_divide,
)
from kernels.cuda.launch import KernelSpec, grid_of_blocks, jit, raster
from kernels.cuda.layout import B_TILE_BYTES, TILE, TILE_BYTES
from kernels.cuda.product.epilogue import fold4

NAME = "simt"
LEAST_CAPABILITY = (5, 0)


@dataclass(frozen=True, slots=True)
class SimtConfig:
    """A block's square of C: its side in quads, 1 or 2."""

    quads: int = 1

    @property
    def name(self) -> str:
        """What the file of tuned configurations and the tables of bench/ call it."""
        return f"{QUAD * self.quads}x{QUAD * self.quads}"

    hashes_leaves = sums_both_sides = False

    def followed(self, _size: int) -> "SimtConfig":
        """The same: its products are all alike."""
        return self


THREADS = 256
QUAD = 64
"""Rows and columns of a quad: 16 x 16 threads, 4 x 4 entries each."""
WORDS = TILE // 4
BAND = 8
"""Rows of squares that are computed together (see `raster`)."""


_SIGNED = [*range(128), *range(-128, 0)]
"""What a byte means as an int8."""


def scalar_product(x: Any, y: Any, total: Any) -> int:
    """`total` plus the scalar product of four int8 in x and four in y: plain Python."""
    x, y = int(x), int(y)
    result = int(total)
    for shift in (0, 8, 16, 24):
        result += _SIGNED[x >> shift & 255] * _SIGNED[y >> shift & 255]
    return result


@cuda.jit(device=True)
def dot4_on_gpu(x: Any, y: Any, total: Any) -> Any:
    """The same in 32-bit arithmetic. (Compilers of CUDA 13 see through it and use dp4a themselves.)"""
    for byte in range(4):
        shift = uint32(24 - 8 * byte)
        p, q = int32(x << shift) >> int32(24), int32(y << shift) >> int32(24)
        total = add32(total, mul32(p, q))
    return int32(total)


# The simulator would take a minute for what the plain function does in a second.
dot4 = scalar_product if SIMULATED else dot4_on_gpu


@cache
def build(
    output: str = "fold", checked: bool = False, config: SimtConfig = SimtConfig()
) -> KernelSpec:
    """The kernel; `output` is "fold" (R, tiles of int8) or "int32" (C, row-major). See `KernelSpec`.

    `checked`: the row sums of Freivalds' check too.
    """
    return with_dot4(dot4, output, checked, config.quads)


def with_dot4(dot4: Any, output: str, checked: bool, quads: int) -> KernelSpec:
    """The kernel made of this scalar product of words."""
    if output not in ("fold", "int32") or quads not in (1, 2):
        raise ValueError(f"no such product: {output!r}, {quads} quads")
    side = QUAD * quads
    own = 4 * quads  # rows, and columns, of a thread
    words, entries = WORDS * side, own * own  # in shared memory of each operand; of C in a thread
    bring, multiply = _bring(quads), _multiply(dot4, quads)
    write, add_sums = _write(output, quads), _add_row_sums(quads)

    @jit(THREADS, 2)
    def kernel(a: Any, b: Any, out: Any, weights: Any, sums: Any, M: Any, N: Any, K: Any) -> None:
        if SIMULATED:
            words_a = cuda.shared.array(words, uint32)
            words_b = cuda.shared.array(words, uint32)
        else:  # aligned, so that four words can be read at once; the simulator knows no alignment
            words_a = cuda.shared.array(words, uint32, alignment=16)
            words_b = cuda.shared.array(words, uint32, alignment=16)
        row_sums = cuda.shared.array(side, uint32)
        accumulators = cuda.local.array(entries, int32)
        x = cuda.local.array(own, uint32)
        y = cuda.local.array(own, uint32)

        thread = int32(cuda.threadIdx.x)
        tx, ty = int32((thread & 15) * 4), int32((thread >> 4) * 4)
        tiles = int32(K >> 7)
        across = unsigned_divide(int32(N), int32(side))
        down = unsigned_divide(int32(M), int32(side))
        i0, j0 = raster(int32(cuda.blockIdx.x), down, across, BAND)
        i0, j0 = int32(i0 * side), int32(j0 * side)  # the square's first row and column

        # Its rows of a tile of A, or of B, are in one piece: the first pieces, and how they go on.
        piece_a = int64(i0 >> 7) * tiles * TILE_BYTES + (i0 & 127) * TILE
        piece_b = int64(j0 >> 8) * tiles * B_TILE_BYTES + (j0 & 255) * TILE

        for i in range(entries):
            accumulators[i] = 0
        for _ in range(tiles):
            bring(words_a, words_b, a, b, piece_a, piece_b, thread)
            cuda.syncthreads()
            multiply(accumulators, words_a, words_b, x, y, tx, ty)
            cuda.syncthreads()
            piece_a += TILE_BYTES
            piece_b += B_TILE_BYTES
        write(out, N, i0, j0, tx, ty, accumulators)
        if checked:
            add_sums(sums, weights, row_sums, i0, j0, tx, ty, thread, accumulators)

    return KernelSpec(kernel, THREADS, 0, grid_of_blocks(side, side))


def _bring(quads: int) -> Any:
    """A device function: copy this thread's chunks of both pieces into shared memory."""
    side = QUAD * quads
    copies = side * TILE // 16 // THREADS  # 16-byte chunks of each operand that a thread copies

    @cuda.jit(device=True)
    def bring(
        words_a: Any, words_b: Any, a: Any, b: Any, piece_a: Any, piece_b: Any, thread: Any
    ) -> None:
        for step in range(copies):
            chunk = int32(thread + step * THREADS)
            row = int32(chunk >> 3)
            c = int32((chunk & 7) ^ (row & 7))
            w = load4(a, piece_a + chunk * 16)
            place = int32(c * 4 * side + (row ^ (4 * c)))
            for i in range(4):
                words_a[place + i * side] = w[i]
            # B's rows are permuted in their group of 64: position 8b + 2t + e holds 16t + 2b + e.
            row = (row & 64) + ((row & 6) << 3) + ((row & 56) >> 2) + (row & 1)
            w = load4(b, piece_b + chunk * 16)
            place = int32(c * 4 * side + (row ^ (4 * c)))
            for i in range(4):
                words_b[place + i * side] = w[i]

    return bring


def _multiply(dot4: Any, quads: int) -> Any:
    """A device function: add the products of what lies in shared memory to a thread's entries of C.

    `x` and `y`: room for a word of each of its rows of A and of B. (tx, ty): its first column and row.
    """
    side, own = QUAD * quads, 4 * quads

    @cuda.jit(device=True)
    def multiply(
        accumulators: Any, words_a: Any, words_b: Any, x: Any, y: Any, tx: Any, ty: Any
    ) -> None:
        for k in range(WORDS):
            swizzle = k & ~3  # 4c, where c is the chunk of word k
            at_a, at_b = uint32(k * side + (ty ^ swizzle)), uint32(k * side + (tx ^ swizzle))
            for q in range(quads):
                for r in range(4):
                    # Unsigned: numba counts negative indices from the end, and has to look.
                    x[4 * q + r] = words_a[at_a + uint32(QUAD * q + r)]
                    y[4 * q + r] = words_b[at_b + uint32(QUAD * q + r)]
            for i in range(own):
                for j in range(own):
                    accumulators[own * i + j] = dot4(x[i], y[j], accumulators[own * i + j])

    return multiply


def _write(output: str, quads: int) -> Any:
    """A device function: write a thread's entries of C, the first in row i0 + ty, column j0 + tx."""
    own, folds = 4 * quads, output == "fold"

    @cuda.jit(device=True)
    def write(out: Any, N: Any, i0: Any, j0: Any, tx: Any, ty: Any, accumulators: Any) -> None:
        for r in range(own):
            row = i0 + (r & 4) * 16 + ty + (r & 3)
            for q in range(quads):
                column = j0 + QUAD * q + tx
                first = own * r + 4 * q
                c0, c1 = accumulators[first], accumulators[first + 1]
                c2, c3 = accumulators[first + 2], accumulators[first + 3]
                if folds:
                    tile = int64(row >> 7) * int32(N >> 7) + (column >> 7)
                    chunk = ((column >> 4) & 7) ^ (row & 7)
                    offset = tile * TILE_BYTES + (row & 127) * TILE + chunk * 16 + (column & 15)
                    store(out, offset, fold4(c0, c1, c2, c3))
                else:
                    store4(out, (int64(row) * N + column) * 4, c0, c1, c2, c3)

    return write


def _add_row_sums(quads: int) -> Any:
    """A device function: add weights times entries of C to the sums of their rows (Freivalds' check).

    The threads of a row add up in shared memory, then one of them adds to the whole row's.
    """
    side, own = QUAD * quads, 4 * quads

    @cuda.jit(device=True)
    def add_row_sums(
        sums: Any, weights: Any, row_sums: Any, i0: Any, j0: Any, tx: Any, ty: Any, thread: Any,
        accumulators: Any,
    ) -> None:  # fmt: skip
        if thread < side:
            row_sums[thread] = 0
        cuda.syncthreads()
        for i in range(own):
            total = uint32(0)
            for j in range(own):
                column = j0 + (j & 4) * 16 + tx + (j & 3)
                weight = load(weights, int64(column) * 4)
                total = add32(total, mul32(weight, accumulators[own * i + j]))
            cuda.atomic.add(row_sums, (i & 4) * 16 + ty + (i & 3), total)
        cuda.syncthreads()
        if thread < side:
            atomic_add(sums, int64(i0 + thread) * 4, row_sums[thread])

    return add_row_sums
