"""The consumers of the Hopper product: warpgroups that multiply what the ring holds, and the epilogue.

Every thread of a warpgroup runs this; its accumulators, a tuple of int32, stay in registers.
"""

from typing import Any

from kernels.cuda.compiler import cuda, int32, int64
from kernels.cuda.intrinsics import load, zeros
from kernels.cuda.layout import TILE, TILE_BYTES
from kernels.cuda.product.epilogue import (
    add_row_sums,
    first_chunk,
    fold_rows,
    store_rows,
)
from kernels.cuda.product.hopper import (
    DESCRIPTOR,
    barrier_arrive,
    barrier_wait,
    flip_bits,
    multiply_accumulate,
    wait_for,
    wait_for_all_but_one,
    warpgroup_wait,
)
from kernels.cuda.product.leaf_warps import tile_is_stored
from kernels.cuda.product.wgmma_check import fetcher, weights_are_here
from kernels.cuda.product.wgmma_ring import (
    BlockLayout,
    first_buffer,
    give_back_in,
    next_buffer_in,
    place_in,
    turn_parity,
)


def _sums_held(layout: BlockLayout) -> tuple[int, int, int]:
    """(blocks, groups, apart) of a thread's accumulators, as `epilogue.py` counts them."""
    return 2 if layout.config.turns else 1, layout.config.columns // 64, 64


def _multiply_tile(layout: BlockLayout, count: int) -> Any:
    """A device function: (accumulators, stage, phase, barrier) once the tile's products are issued.

    They are still in flight. (stage, phase) is the ring's next buffer; `barrier` says that the last one
    is empty, which the caller does once they are done. `part_of_a`: where the warpgroup's rows begin
    in a buffer, bytes.
    """
    stage_bytes, a_bytes = layout.stage_bytes, layout.a_bytes
    no_sums, multiply = (
        zeros(count),
        multiply_accumulate(layout.config.columns, _sums_held(layout)[0]),
    )
    give_back, next_buffer = give_back_in(layout), next_buffer_in(layout)

    @cuda.jit(device=True)
    def multiply_tile(
        ring: Any,
        full: Any,
        empty: Any,
        part_of_a: Any,
        depth: Any,
        stage: Any,
        phase: Any,
        first_of_group: Any,
    ) -> Any:
        accumulators = no_sums()
        before = empty
        for k in range(depth):
            barrier_wait(full + 8 * stage, phase)
            buffer = int32(ring + stage * stage_bytes)
            at_a = int64((buffer + part_of_a) >> 4) | DESCRIPTOR
            at_b = int64((buffer + a_bytes) >> 4) | DESCRIPTOR
            accumulators = multiply(accumulators, at_a, at_b, int32(k != 0))
            wait_for_all_but_one()
            if k > 0 and first_of_group:
                give_back(before)
            before = int32(empty + 8 * stage)
            stage, phase = next_buffer(stage, phase)
        return accumulators, stage, phase, before

    return multiply_tile


def _write_tile(layout: BlockLayout, output: str) -> Any:
    """A device function: write a thread's part of a tile of R ("fold") or of C ("int32")."""
    columns, folds, held = layout.config.columns, output == "fold", _sums_held(layout)
    store_folded, store_int32 = fold_rows(*held), store_rows(*held)

    @cuda.jit(device=True)
    def write_tile(out: Any, N: Any, row: Any, x: Any, lane: Any, accumulators: Any) -> None:
        if folds:
            tile_of_r = int64(row >> 7) * (int32(N) >> 7) + x * (columns // 128)
            at = out + tile_of_r * TILE_BYTES + (row & 127) * TILE
            store_folded(at, first_chunk(lane, int32(0)), accumulators)
        else:
            column = int64(x * columns + (lane & 3) * 16)
            store_int32(out + (int64(row) * N + column) * 4, N * 4, accumulators)

    return write_tile


def _inject(layout: BlockLayout, count: int) -> Any:
    """A device function: the accumulators with the fault that stands behind w, or w and u."""
    flip = flip_bits(count)
    words_before = 2 if layout.both_sides else 1

    @cuda.jit(device=True)
    def inject(accumulators: Any, weights: Any, N: Any, tile: Any, thread: Any) -> Any:
        fault = int64(N) * 4 * words_before
        mask = int32(0)
        if tile == load(weights, fault) and thread == load(weights, fault + 4):
            mask = int32(load(weights, fault + 12))
        return flip(accumulators, int32(load(weights, fault + 8)), mask)

    return inject


def consumer(layout: BlockLayout, output: str, faulty: bool) -> Any:
    """A device function: multiply the block's tiles, and write them (options: `wgmma.build`).

    `share` and `depth` as the producer takes them; `full`, `empty`, `turn`: the first barriers. With
    `turns` a warpgroup has every second tile, whole; otherwise 64 rows of each.
    """
    rows, columns, stages = layout.config.rows, layout.config.columns, layout.config.stages
    turns, leaves, checked = layout.config.turns, layout.leaves, layout.checked
    held = _sums_held(layout)
    count = held[0] * columns // 2
    multiply_tile, finish = _multiply_tile(layout, count), wait_for(count)
    write_tile, inject = _write_tile(layout, output), _inject(layout, count)
    add_sums = add_row_sums(*held, shared=True)
    place, give_back, fetch_weights = place_in(layout), give_back_in(layout), fetcher(layout)
    slices_at, slices_bytes = layout.slices_at, layout.slices_bytes

    @cuda.jit(device=True)
    def consume(
        ring: Any, full: Any, empty: Any, turn: Any, ring_of_leaves: Any, share: Any, depth: Any,
        thread: Any, out: Any, vectors: Any, sums: Any, N: Any,
    ) -> None:  # fmt: skip
        first, step, _down, _across, _rank, tiles = share
        lane = thread & 31
        stage = int32(0)
        phase = int32(0)
        warpgroup = thread >> 7
        in_group = int32(thread & 127)
        number = warpgroup if turns else int32(0)
        my_row = (in_group >> 5) * 16 + (lane >> 2)
        part_of_a = int32(0)
        if not turns:
            my_row += warpgroup * 64
            part_of_a = int32(warpgroup * 8192)
        my_slices = int32(ring + slices_at + warpgroup * slices_bytes)
        weights = my_slices
        while first + number * step < tiles:
            if checked:
                if turns:
                    warpgroup_wait(int32(warpgroup + 1))  # the last tile's weights were read
                y, x = place(number, share)
                weights = fetch_weights(my_slices, number, x, in_group, vectors)
            if turns:
                stage, phase = first_buffer(number, depth, int32(stages))
                barrier_wait(turn + 8 * warpgroup, turn_parity(number))
            accumulators, stage, phase, last_read = multiply_tile(
                ring, full, empty, part_of_a, depth, stage, phase, in_group == 0
            )
            if turns and lane == 0:
                barrier_arrive(turn + 8 * (warpgroup ^ 1))
            y, x = place(number, share)
            row = y * rows + my_row
            accumulators = finish(accumulators)
            if in_group == 0:
                give_back(last_read)
            if faulty:
                accumulators = inject(accumulators, vectors, N, first + number * step, thread)
            write_tile(out, N, row, x, lane, accumulators)
            if leaves:
                tile_is_stored(ring_of_leaves, number, lane)
            if checked:
                weights_are_here(warpgroup)
                at = int32(weights + (lane & 3) * 64)
                add_sums(sums + int64(row) * 4, at, lane, accumulators)
            number = int32(number + (2 if turns else 1))

    return consume
