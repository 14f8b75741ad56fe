"""The product on Turing's tensor cores: mma.sync.m8n8k16, copies through registers.

Turing (7.5) has neither cp.async nor m16n8k32: the copies go through registers into one stage, and
four mma.m8n8k16, whose fragments are quarters of the larger one's, do the work of one (`warp.py`).
What hides the wait for memory is another block. No card here could run this; the tests ran it in an
emulation.
"""

from typing import Any

from numba import cuda, int8, int32, int64

from kernels.cuda.intrinsics import unsigned_divide
from kernels.cuda.layout import B_TILE_BYTES, TILE, TILE_BYTES
from kernels.cuda.product.epilogue import jit, raster, shared_base, zeros
from kernels.cuda.product.warp import (
    ACCUMULATORS,
    epilogue_of,
    fetch_stage,
    fragment_addresses,
    load_matrices,
    multiply_by_quarters,
)

BAND = 8
"""Rows of blocks that are computed together (see `raster`)."""


def plain(output: str, checked: bool, rows: int) -> Any:
    """The kernel for a block of `rows` rows, 128 or 256, and as many threads."""
    epilogue = epilogue_of(output, checked)
    zero = zeros(ACCUMULATORS)
    fetch = fetch_stage(rows, asynchronous=False)
    bytes_a = rows * TILE

    @jit(rows)
    def kernel(a: Any, b: Any, out: Any, weights: Any, sums: Any, M: Any, N: Any, K: Any) -> None:
        shared = shared_base(cuda.shared.array(0, int8))
        thread = int32(cuda.threadIdx.x)
        lane, warp = int32(thread & 31), int32(thread >> 5)
        tiles = int32(K >> 7)
        down, across = unsigned_divide(int32(M), int32(rows)), int32(N >> 7)
        i, j = raster(int32(cuda.blockIdx.x), down, across, int32(BAND))
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

        epilogue(out, weights, sums, N, i * rows + row, j * 2 + (warp & 1), lane, accumulators)

    return kernel
