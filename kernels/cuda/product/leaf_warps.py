"""Warps of the Hopper product that hash leaves while the others multiply.

A tile of C with 256 columns holds whole leaves: row i of the tile is one leaf, and 32 rows are a
unit of work for a warp. The warps that multiply leave the integer units idle but for their
epilogues. Where a tile takes longer than its leaves (n = 8192) only the last tile's are waited for.

A ring of `SLOTS` pairs of mbarriers stands between the two kinds of warps, tile number t of the
block at slot t modulo SLOTS: `stored` (the tile's rows of R are written; one arrival for each
multiplying warp) and `hashed` (its leaves are; one for each unit). The multiplying warps are SLOTS
tiles ahead at the most.

Units are taken in order, by whoever is free: the warps for it from the beginning, then the
producer's, and when nothing is left to multiply a multiplying warp on each scheduler. Beside the tensor
cores a unit takes 36,000 cycles where it takes 14,000 alone (H200), so that at n = 4096 nearly half of
them are left to the end.
"""

from typing import Any

from kernels.cuda.commit.leaves import first_block, hash_leaf
from kernels.cuda.commit.sha256 import LEAF_PADDING_AT, copy_constants, store_digest
from kernels.cuda.compiler import cuda, int32, int64
from kernels.cuda.launch import raster
from kernels.cuda.product.hopper import barrier_arrive, barrier_init, barrier_wait
from kernels.cuda.ptx import I32, instruction

WARPS = 3
"""They share a warpgroup's place with the producer, so that they cost no registers."""
SLOTS = 4
UNITS = 4
"""Of 32 rows, in a tile of 128."""
HELPERS = 4
"""Multiplying warps that hash in the end: one on each of a multiprocessor's schedulers."""
NEXT_UNIT_AT = 16 * SLOTS
CONSTANTS_AT = NEXT_UNIT_AT + 16
SHARED_BYTES = CONSTANTS_AT + 512
"""The barriers, the number of the next unit, then SHA-256's constants."""

warp_wait = instruction("bar.warp.sync 0xffffffff;", None, [], memory=True)
"""All lanes of the warp; what they wrote before is seen after."""
take = instruction(
    "{ .reg .pred p; .reg .b32 t; mov.b32 t, 0; setp.eq.u32 p, $2, 0;\n"
    "@p atom.shared.add.u32 t, [$1], 1; shfl.sync.idx.b32 $0, t, 0, 0x1f, 0xffffffff; }",
    I32,
    [I32, I32],
    memory=True,
)
"""(counter, lane): the counter's value before one was added, for a whole warp."""
clear = instruction("st.shared.b32 [$0], 0;", None, [I32], memory=True)


@cuda.jit(device=True)
def set_up(shared: Any, thread: Any, multiplying_warps: Any, tables: Any) -> None:
    """Make the barriers and copy the constants. `shared`: address of SHARED_BYTES, a multiple of 16."""
    copy_constants(int32(shared + CONSTANTS_AT), tables, int32(LEAF_PADDING_AT))
    if thread == 0:
        clear(int32(shared + NEXT_UNIT_AT))
        for slot in range(SLOTS):
            barrier_init(int32(shared + 16 * slot), multiplying_warps)
            barrier_init(int32(shared + 16 * slot + 8), int32(UNITS))


@cuda.jit(device=True)
def tile_is_stored(shared: Any, number: Any, lane: Any) -> None:
    """A multiplying warp says that its rows of the block's tile `number` are written."""
    warp_wait()
    slot = int32(shared + (number & (SLOTS - 1)) * 16)
    if lane == 0:
        barrier_wait(int32(slot + 8), int32((number >> 2 & 1) ^ 1))
        barrier_arrive(slot)


@cuda.jit(device=True)
def hash_units(
    shared: Any,
    units: Any,
    lane: Any,
    first_tile: Any,
    tile_step: Any,
    tile_rows: Any,
    tile_columns: Any,
    band: Any,
    pairs: Any,
    rank: Any,
    r: Any,
    tree: Any,
    n: Any,
    one: Any,
) -> None:
    """Hash those of the block's `units` that nobody else takes; `n` entries are a row of R.

    Tiles are numbered as the product numbers them; `pairs` and `rank` as in a cluster of two.
    """
    constants = int32(shared + CONSTANTS_AT)
    tiles = int32(tile_columns * 2)
    leaves_a_row = int32((n + 255) >> 8)
    warp_wait()
    unit = take(int32(shared + NEXT_UNIT_AT), lane)
    while unit < units:
        number = unit >> 2
        y, part = raster(int32(first_tile + number * tile_step), tile_rows, tile_columns, band)
        row = int32((((y << pairs) + rank) << 7) + ((unit & 3) << 5) + lane)
        slot = int32(shared + (number & (SLOTS - 1)) * 16)
        barrier_wait(slot, int32(number >> 2 & 1))
        length = min(int32(256), int32(n - part * 256))
        if row < n:
            first, swizzle, ahead = first_block(r, row, part, tiles)
            state = hash_leaf(r, first, swizzle, ahead, length, constants, one)
            leaf = int64(row) * leaves_a_row + part
            store_digest(tree, int64(leaf * 32), state)
        warp_wait()
        if lane == 0:
            barrier_arrive(int32(slot + 8))
        unit = take(int32(shared + NEXT_UNIT_AT), lane)
