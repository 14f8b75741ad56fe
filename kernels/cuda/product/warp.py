"""A warp's 64 x 64 entries of C on the tensor cores of any card from Turing on: what it reads,
multiplies and writes.

A warp multiplies 16 rows of A by 8 rows of B, 32 entries of each, with one instruction,
mma.sync.aligned.m16n8k32 (PTX ISA, "Warp Level Matrix Multiply-Accumulate Instructions"): operands
and sums lie spread over the registers of its 32 lanes. 4 x 8 such instructions for every 32 entries of
the rows, 128 accumulators a lane.

ldmatrix distributes 8 rows of 16 bytes over the 32 lanes, four such matrices an instruction. Row r,
chunk c of a tile is at 128 r + 16 (c ^ (r & 7)): the eight rows of a matrix lie in eight different
chunks, all 32 banks of shared memory, hence no conflict.

What it gives (PTX ISA, "Matrix Fragments for mma.m16n8k32"; g = lane >> 2, t = lane & 3; a lane
gives the address of row `lane & 7` of matrix `lane >> 3`): a lane receives bytes 4t ... 4t + 3 of
row g of each matrix. The operands are

    A, 4 registers: row g, bytes 4t...; row g + 8; row g, bytes 16 + 4t...; row g + 8, bytes 16 + 4t...
    B, 2 registers: row g (a column of C), bytes 4t...; the same row, bytes 16 + 4t...

so that the four matrices of an ldmatrix are, for A, (upper 8 rows, lower 8 rows) of chunk 0, then
of chunk 1; and for two blocks of B, (chunk 0, chunk 1) of 8 rows, then of the next 8.
"""

from typing import Any

from kernels.cuda.compiler import cuda, int32, int64
from kernels.cuda.intrinsics import unsigned_divide
from kernels.cuda.launch import raster
from kernels.cuda.layout import B_TILE_BYTES, TILE, TILE_BYTES
from kernels.cuda.product.epilogue import (
    GROUP_COLUMNS,
    add_row_sums,
    first_chunk,
    fold_rows,
    store_rows,
)
from kernels.cuda.ptx import I32, I64, Code, operation, tuple_of

COLUMNS = 128
"""Of C, in a block of threads: two warps side by side."""
BLOCKS = 4
"""Of 16 rows, in a warp; of 8 columns it has 8, one group."""
ACCUMULATORS = BLOCKS * 8 * 4
FRAGMENTS = 16
"""Registers of an operand for 32 entries of 64 rows: 4 blocks of A, or 8 of B, a lane."""
BAND = 8
"""Rows of blocks that are computed together (see `raster`)."""


def _load_matrices(code: Code, address: Any) -> Any:
    text = "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {$0, $1, $2, $3}, [$4+%d];"
    fragments = []
    for sixteen_rows in range(4):
        fragments += code.asm(text % (sixteen_rows * 16 * TILE), 4, [address], memory=True)
    return fragments


load_matrices = operation(tuple_of(FRAGMENTS), [I32], _load_matrices)
"""load_matrices(address): the fragments of 64 rows and 32 entries, from shared memory."""


def _multiply(one_block: Any) -> Any:
    def emit(code: Code, accumulators: Any, a: Any, b: Any) -> Any:
        c = code.unpack(accumulators, ACCUMULATORS)
        a, b = code.unpack(a, FRAGMENTS), code.unpack(b, FRAGMENTS)
        for m in range(BLOCKS):
            for j in range(8):
                # Back and forth: a fragment of B is used twice running.
                j = j if m % 2 == 0 else 7 - j
                at = (m * 8 + j) * 4
                c[at : at + 4] = one_block(
                    code, c[at : at + 4], a[4 * m : 4 * m + 4], b[2 * j : 2 * j + 2]
                )
        return c

    operands = [tuple_of(ACCUMULATORS), tuple_of(FRAGMENTS), tuple_of(FRAGMENTS)]
    return operation(tuple_of(ACCUMULATORS), operands, emit)


def _m16n8k32(code: Code, c: Any, a: Any, b: Any) -> Any:
    text = (
        "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 "
        "{$0, $1, $2, $3}, {$4, $5, $6, $7}, {$8, $9}, {$10, $11, $12, $13};"
    )
    return code.asm(text, 4, [*a, *b], tied=c)


def _m8n8k16(code: Code, c: Any, a: Any, b: Any) -> Any:
    """The same, by quarters: upper and lower 8 rows, first and last 16 entries."""
    text = "mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {$0, $1}, {$2}, {$3}, {$4, $5};"
    upper, lower = c[:2], c[2:]
    for half in range(2):
        upper = code.asm(text, 2, [a[2 * half], b[half]], tied=upper)
        lower = code.asm(text, 2, [a[2 * half + 1], b[half]], tied=lower)
    return [*upper, *lower]


multiply = _multiply(_m16n8k32)
"""multiply(accumulators, a, b): the accumulators and the products of 32 entries, 64 x 64."""
multiply_by_quarters = _multiply(_m8n8k16)


def _copy_tile(threads: int, asynchronous: bool) -> Any:
    """An operation (to, source): this thread's share of a copy of 16 KiB into shared memory.

    The addresses are those of the thread's first 16 bytes; the others are 16 * `threads` apart.
    """
    offsets = range(0, TILE_BYTES, 16 * threads)

    def emit(code: Code, to: Any, source: Any) -> None:
        if asynchronous:
            for offset in offsets:
                text = f"cp.async.cg.shared.global [$0+{offset}], [$1+{offset}], 16;"
                code.asm(text, 0, [to, source], memory=True)
            return
        load = "ld.global.v4.b32 {$0, $1, $2, $3}, [$4+%d];"
        words = [code.asm(load % offset, 4, [source], memory=True) for offset in offsets]
        for offset, four in zip(offsets, words, strict=True):
            text = f"st.shared.v4.b32 [$0+{offset}], {{$1, $2, $3, $4}};"
            code.asm(text, 0, [to, *four], memory=True)

    return operation(None, [I32, I64], emit)


@cuda.jit(device=True)
def fragment_addresses(shared: Any, lane: Any, row_a: Any, row_b: Any) -> Any:
    """Where this lane's ldmatrix read in a stage: A from row_a on, B from row_b on, entries 0 to 31.

    `shared` is where A starts; B's address counts from where B starts. Entries 32 s ... 32 s + 31 are
    chunks 2s and 2s + 1: the same addresses XOR 32 s, since a tile's row starts at a multiple of 128.
    """
    r, matrix = int32(lane & 7), int32(lane >> 3)
    row, chunk = r + ((matrix & 1) << 3), matrix >> 1
    from_a = shared + ((row_a + row) << 7) + ((chunk ^ r) << 4)
    row, chunk = r + ((matrix >> 1) << 3), matrix & 1
    from_b = shared + ((row_b + row) << 7) + ((chunk ^ r) << 4)
    return int32(from_a), int32(from_b)


def places_of(rows: int) -> Any:
    """A device function: where a thread of a block of `rows` x 128 entries of C reads and writes."""
    bytes_a = rows * TILE

    @cuda.jit(device=True)
    def places(shared: Any, a: Any, b: Any, M: Any, N: Any, tiles: Any) -> Any:
        """The warp's first row and its group of 64 columns of C, as `epilogue_of` takes them; what
        this thread copies of the first tiles of A and B, and to where in a stage, as `fetch_stage`
        takes them (a block of 256 rows has two tiles of A, one below the other); what its ldmatrix
        read in a stage, as `load_matrices` takes it.
        """
        thread = int32(cuda.threadIdx.x)
        lane, warp = int32(thread & 31), int32(thread >> 5)
        down, across = unsigned_divide(int32(M), int32(rows)), int32(N >> 7)
        i, j = raster(int32(cuda.blockIdx.x), down, across, int32(BAND))
        source_a = a + int64(i) * tiles * bytes_a + thread * 16
        source_b = b + int64(j >> 1) * tiles * B_TILE_BYTES + (j & 1) * TILE_BYTES + thread * 16
        row, column = int32((warp >> 1) << 6), int32((warp & 1) << 6)
        from_a, from_b = fragment_addresses(shared, lane, row, column)
        copies = int32(shared + thread * 16)
        row, group = i * rows + row, j * 2 + (warp & 1)
        return row, group, source_a, source_b, copies, from_a, from_b + bytes_a

    return places


def fetch_stage(rows: int, asynchronous: bool) -> Any:
    """A device function: this thread's share of the copy of one stage, `rows` of A, then 128 of B."""
    copy_tile = _copy_tile(rows, asynchronous)
    tall = rows == 256

    @cuda.jit(device=True)
    def fetch(to: Any, source_a: Any, source_b: Any, below: Any) -> None:
        """The addresses are those of its first 16 bytes; A's second tile is `below` the first."""
        copy_tile(to, source_a)
        if tall:
            copy_tile(to + TILE_BYTES, source_a + below)
        copy_tile(to + rows * TILE, source_b)

    return fetch


def epilogue_of(output: str, checked: bool) -> Any:
    """A device function: what becomes of a warp's 64 x 64 entries of C."""
    folds = output == "fold"
    fold, write, add_sums = fold_rows(BLOCKS, 1), store_rows(BLOCKS, 1), add_row_sums(BLOCKS, 1)

    @cuda.jit(device=True)
    def epilogue(
        out: Any,
        weights: Any,
        sums: Any,
        N: Any,
        row: Any,
        group: Any,
        lane: Any,
        accumulators: Any,
    ) -> None:
        """`row`: the warp's first; `group`: the number of its group of 64 columns."""
        row = int64(row + (lane >> 2))
        column = int64(group * GROUP_COLUMNS + ((lane & 3) << 4))
        if folds:
            tile = (row >> 7) * (N >> 7) + (column >> 7)
            at = out + tile * TILE_BYTES + (row & 127) * TILE
            fold(at, first_chunk(lane, group), accumulators)
        else:
            write(out + (row * N + column) * 4, N * 4, accumulators)
        if checked:
            add_sums(sums + row * 4, weights + column * 4, lane, accumulators)

    return epilogue
