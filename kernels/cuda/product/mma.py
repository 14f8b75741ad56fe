"""The product on the tensor cores of Turing, Ampere, Ada and later: ldmatrix, mma.sync, cp.async.

A warp multiplies 16 rows of A by 8 rows of B, 32 entries of each, with one instruction,
mma.sync.aligned.m16n8k32 (PTX ISA, "Warp-level matrix instructions"): operands and sums lie spread over
the registers of its 32 lanes. A block computes `rows` x 128 entries of C, a warp 64 x 64 of them: 4 x 8
such instructions for every 32 entries of the rows, 128 accumulators a lane. For every tile along the
rows (128 entries):

1. cp.async brings `rows` x 128 bytes of A's tiles and 128 x 128 of B's into shared memory. It works by
   itself: while the block computes on one stage, the copies of the next `stages` - 1 are on their way.
   The tiles come as they are, so that the copy knows nothing of the swizzle.
2. ldmatrix distributes 8 rows of 16 bytes over the 32 lanes, four such matrices an instruction. Row r,
   chunk c of a tile is at 128 r + 16 (c ^ (r & 7)): the eight rows of a matrix lie in eight different
   chunks, all 32 banks of shared memory, hence no conflict.
3. mma.sync, on fragments that were loaded one step of 32 entries before: a lane has those of two steps,
   so that neither waits for the other.

What ldmatrix gives (PTX ISA, "Matrix Fragments for mma.m16n8k32"; g = lane >> 2, t = lane & 3; a lane
gives the address of row `lane & 7` of matrix `lane >> 3`): a lane receives bytes 4t ... 4t + 3 of row g
of each matrix. The operands are

    A, 4 registers: row g, bytes 4t...; row g + 8; row g, bytes 16 + 4t...; row g + 8, bytes 16 + 4t...
    B, 2 registers: row g (a column of C), bytes 4t...; the same row, bytes 16 + 4t...

so that the four matrices of an ldmatrix are, for A, (upper 8 rows, lower 8 rows) of chunk 0, then of
chunk 1; and for two blocks of B, (chunk 0, chunk 1) of 8 rows, then of the next 8.

Turing (7.5) has neither cp.async nor this shape: with `stages` = 0 the copies go through registers into
one stage, and four mma.m8n8k16, whose fragments are quarters of the larger one's, do the work of one.
"""

from typing import Any

from numba import cuda, int8, int32, int64

from kernels.cuda.layout import B_TILE_BYTES, TILE, TILE_BYTES
from kernels.cuda.product.fold import (
    ALIGNMENT_BYTES,
    GROUP_COLUMNS,
    Built,
    add_row_sums,
    first_chunk,
    fold_rows,
    grid_of_blocks,
    jit,
    raster,
    shared_base,
    store_rows,
    zeros,
)
from kernels.cuda.ptx import I32, I64, Code, instruction, operation, tuple_of
from kernels.cuda.words import unsigned_divide

NAME = "mma"
LEAST_CAPABILITY = (8, 0)
LEAST_CAPABILITY_OF_ANY = (7, 5)
"""With the path for Turing (`stages` 0), which no card here could try."""

COLUMNS = 128
BLOCKS = 4
"""Of 16 rows, in a warp; of 8 columns it has 8, one group."""
ACCUMULATORS = BLOCKS * 8 * 4
FRAGMENTS = 16
"""Registers of an operand for 32 entries of 64 rows: 4 blocks of A, or 8 of B, a lane."""
BAND = 8
"""Rows of blocks that are computed together (see `raster`)."""


def options_for(capability: tuple[int, int]) -> dict[str, int]:
    """The tile options of `build` for a GPU."""
    if capability < (8, 0):
        return {"rows": 128, "stages": 0}
    if capability in ((8, 0), (9, 0), (10, 0)):
        return {"rows": 256, "stages": 4}
    return {"rows": 128, "stages": 3}


def build(output: str = "fold", checked: bool = False, rows: int = 128, stages: int = 3) -> Built:
    """The kernel; `output` is "fold" (R, tiles of int8) or "int32" (C, row-major, P to a row).

    `checked`: the row sums of Freivalds' check too. `rows`: 128 or 256, of a block; it has as many
    threads. `stages`: of shared memory, each (rows + 128) * 128 bytes; 3 of the smaller blocks fit
    every GPU from 8.0 on, 4 of the larger ones 8.0 and 9.0. 0 is the path for Turing.
    """
    if output not in ("fold", "int32") or rows not in (128, 256) or stages not in (0, 3, 4):
        raise ValueError(f"no such product: {output!r}, {rows} rows, {stages} stages")
    kernel = _pipelined(output, checked, rows, stages) if stages else _plain(output, checked, rows)
    shared_bytes = max(stages, 1) * (rows + COLUMNS) * TILE + ALIGNMENT_BYTES
    return Built(kernel, rows, shared_bytes, grid_of_blocks(rows, COLUMNS))


# ---------------------------------------------------------------------------------------------------
# Instructions.


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
                j = (
                    j if m % 2 == 0 else 7 - j
                )  # back and forth: a fragment of B is used twice running
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


commit = instruction("cp.async.commit_group;", None, [], memory=True)
"""The copies since the last commit are a group."""


def _wait(pending: int) -> Any:
    """An operation: until all groups but the last `pending` have arrived."""
    return instruction(f"cp.async.wait_group {pending};", None, [], memory=True)


# ---------------------------------------------------------------------------------------------------
# Kernels.


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


def _fetch(rows: int, asynchronous: bool) -> Any:
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


def _epilogue(output: str, checked: bool) -> Any:
    """A device function: what becomes of a warp's 64 x 64 entries of C."""
    folds = output == "fold"
    fold, write, add_sums = fold_rows(BLOCKS, 1), store_rows(BLOCKS, 1), add_row_sums(BLOCKS, 1)

    @cuda.jit(device=True)
    def epilogue(
        out: Any,
        weights: Any,
        sums: Any,
        P: Any,
        row: Any,
        group: Any,
        lane: Any,
        accumulators: Any,
    ) -> None:
        """`row`: the warp's first; `group`: the number of its group of 64 columns."""
        row = int64(row + (lane >> 2))
        column = int64(group * GROUP_COLUMNS + ((lane & 3) << 4))
        if folds:
            tile = (row >> 7) * (P >> 7) + (column >> 7)
            fold(
                out + tile * TILE_BYTES + (row & 127) * TILE, first_chunk(lane, group), accumulators
            )
        else:
            write(out + (row * P + column) * 4, P * 4, accumulators)
        if checked:
            add_sums(sums + row * 4, weights + column * 4, lane, accumulators)

    return epilogue


def _pipelined(output: str, checked: bool, rows: int, stages: int) -> Any:
    epilogue = _epilogue(output, checked)
    zero = zeros(ACCUMULATORS)
    fetch = _fetch(rows, asynchronous=True)
    wait = _wait(stages - 2)
    bytes_a = rows * TILE
    stage_bytes = bytes_a + COLUMNS * TILE
    ahead = stages - 1

    @jit(rows)
    def kernel(a: Any, b: Any, out: Any, weights: Any, sums: Any, P: Any, height: Any) -> None:
        shared = shared_base(cuda.shared.array(0, int8))
        thread = int32(cuda.threadIdx.x)
        lane, warp = int32(thread & 31), int32(thread >> 5)
        tiles = int32(P >> 7)
        i, j = raster(
            int32(cuda.blockIdx.x), unsigned_divide(int32(height), int32(rows)), tiles, int32(BAND)
        )

        # What this thread copies. A block of 256 rows has two tiles of A, one below the other.
        source_a = a + int64(i) * tiles * bytes_a + thread * 16
        source_b = b + int64(j >> 1) * tiles * B_TILE_BYTES + (j & 1) * TILE_BYTES + thread * 16
        below = int64(tiles) * TILE_BYTES
        copies = shared + thread * 16

        # What this warp computes: rows and columns in the block.
        row, column = int32((warp >> 1) << 6), int32((warp & 1) << 6)
        from_a, from_b = fragment_addresses(shared, lane, row, column)
        from_b += bytes_a

        for stage in range(ahead):
            if stage < tiles:
                fetch(int32(copies + stage * stage_bytes), source_a, source_b, below)
                source_a += TILE_BYTES
                source_b += B_TILE_BYTES
            commit()
        wait()
        cuda.syncthreads()
        reads, writes = int32(0), int32(ahead * stage_bytes)

        accumulators = zero()
        a0, b0 = load_matrices(int32(from_a)), load_matrices(int32(from_b))
        for k in range(tiles):
            at_a, at_b = int32(from_a + reads), int32(from_b + reads)
            a1, b1 = load_matrices(at_a ^ 32), load_matrices(at_b ^ 32)
            accumulators = multiply(accumulators, a0, b0)
            # Into the stage that every warp has left behind it at the last barrier.
            if k + ahead < tiles:
                fetch(int32(copies + writes), source_a, source_b, below)
                source_a += TILE_BYTES
                source_b += B_TILE_BYTES
            commit()
            a0, b0 = load_matrices(at_a ^ 64), load_matrices(at_b ^ 64)
            accumulators = multiply(accumulators, a1, b1)
            a1, b1 = load_matrices(at_a ^ 96), load_matrices(at_b ^ 96)
            accumulators = multiply(accumulators, a0, b0)
            reads, writes = int32(reads + stage_bytes), reads
            if reads == stages * stage_bytes:
                reads = int32(0)
            # The next stage is there for this thread's copies, then for those of all. (After the last
            # tile this reads what nobody uses.)
            wait()
            cuda.syncthreads()
            a0, b0 = load_matrices(int32(from_a + reads)), load_matrices(int32(from_b + reads))
            accumulators = multiply(accumulators, a1, b1)

        epilogue(out, weights, sums, P, i * rows + row, j * 2 + (warp & 1), lane, accumulators)

    return kernel


def _plain(output: str, checked: bool, rows: int) -> Any:
    """Turing: one stage, copied through registers; what hides the wait is another block."""
    epilogue = _epilogue(output, checked)
    zero = zeros(ACCUMULATORS)
    fetch = _fetch(rows, asynchronous=False)
    bytes_a = rows * TILE

    @jit(rows)
    def kernel(a: Any, b: Any, out: Any, weights: Any, sums: Any, P: Any, height: Any) -> None:
        shared = shared_base(cuda.shared.array(0, int8))
        thread = int32(cuda.threadIdx.x)
        lane, warp = int32(thread & 31), int32(thread >> 5)
        tiles = int32(P >> 7)
        i, j = raster(
            int32(cuda.blockIdx.x), unsigned_divide(int32(height), int32(rows)), tiles, int32(BAND)
        )
        source_a = a + int64(i) * tiles * bytes_a + thread * 16
        source_b = b + int64(j >> 1) * tiles * B_TILE_BYTES + (j & 1) * TILE_BYTES + thread * 16
        below = int64(tiles) * TILE_BYTES
        to = int32(shared + thread * 16)
        row, column = int32((warp >> 1) << 6), int32((warp & 1) << 6)
        from_a, from_b = fragment_addresses(shared, lane, row, column)
        from_b += bytes_a

        accumulators = zero()
        for _ in range(tiles):
            fetch(to, source_a, source_b, below)
            source_a += TILE_BYTES
            source_b += B_TILE_BYTES
            cuda.syncthreads()
            for step in range(0, 128, 32):
                fragments_a = load_matrices(int32(from_a ^ step))
                fragments_b = load_matrices(int32(from_b ^ step))
                accumulators = multiply_by_quarters(accumulators, fragments_a, fragments_b)
            cuda.syncthreads()

        epilogue(out, weights, sums, P, i * rows + row, j * 2 + (warp & 1), lane, accumulators)

    return kernel
