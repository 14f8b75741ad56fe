"""The producer of the Hopper product: one thread that keeps the ring full (`wgmma_ring.py`).

It only asks. The copy engine brings the bytes and tells the buffer's `full` barrier itself.
"""

from typing import Any

from kernels.cuda.compiler import cuda, int32, int64
from kernels.cuda.layout import B_TILE_BYTES, TILE_BYTES
from kernels.cuda.product.hopper import (
    barrier_expect,
    barrier_wait,
    bulk_copy,
    bulk_copy_to_both,
)
from kernels.cuda.product.wgmma_ring import BlockLayout, next_buffer_in, place_in


def _fetch(layout: BlockLayout) -> Any:
    """A device function: ask for one step along the depth of both operands."""
    stage_bytes, a_bytes, b_bytes = layout.stage_bytes, layout.a_bytes, layout.b_bytes
    paired, half_bytes = layout.config.cluster == 2, b_bytes // 2

    @cuda.jit(device=True)
    def fetch(buffer: Any, full: Any, rank: Any, from_a: Any, from_b: Any) -> None:
        barrier_expect(full, stage_bytes)
        bulk_copy(buffer, from_a, a_bytes, full)
        if paired:
            there = buffer + a_bytes + rank * half_bytes
            bulk_copy_to_both(there, from_b, half_bytes, full)
        else:
            bulk_copy(buffer + a_bytes, from_b, b_bytes, full)

    return fetch


def producer(layout: BlockLayout) -> Any:
    """A device function: fill the ring with the operands of the block's tiles.

    `share`: `place_in` says what it is; `depth`: steps of a tile; `full`, `empty`: the first barriers.
    """
    stage_bytes = layout.stage_bytes
    # Tiles of A have 128 rows, tiles of B 256: a smaller tile of C takes half of one.
    a_halves, b_halves = 128 // layout.config.rows - 1, 256 // layout.config.columns - 1
    half_a, half_b = TILE_BYTES // 2, B_TILE_BYTES // 2
    paired, half_bytes = layout.config.cluster == 2, layout.b_bytes // 2
    fetch, place, next_buffer = _fetch(layout), place_in(layout), next_buffer_in(layout)

    @cuda.jit(device=True)
    def produce(ring: Any, full: Any, empty: Any, share: Any, depth: Any, a: Any, b: Any) -> None:
        first, step, down, across, rank, _tiles = share
        stage = int32(0)
        phase = int32(1)  # the first wait for an empty buffer passes at once
        number = int32(0)
        # With `tiles` ptxas 13.0 spills 96 bytes instead of 32 (128x256-4-band12 int32 checked).
        while first + number * step < down * across:
            y, x = place(number, share)
            from_a = a + int64(y >> a_halves) * depth * TILE_BYTES + (y & a_halves) * half_a
            from_b = b + int64(x >> b_halves) * depth * B_TILE_BYTES + (x & b_halves) * half_b
            if paired:
                from_b += rank * half_bytes
            for _ in range(depth):
                barrier_wait(empty + 8 * stage, phase)
                fetch(int32(ring + stage * stage_bytes), full + 8 * stage, rank, from_a, from_b)
                from_a += TILE_BYTES
                from_b += B_TILE_BYTES
                stage, phase = next_buffer(stage, phase)
            number = int32(number + 1)

    return produce
