"""The product on Turing's tensor cores: mma.sync.m8n8k16, copies through registers.

Turing (7.5) has neither cp.async nor m16n8k32: the copies go through registers into one stage, and
four mma.m8n8k16 (PTX ISA, "Matrix Fragments for mma.m8n8k16"), whose fragments are quarters of the
larger one's, do the work of one (`warp.py`). What hides the wait for memory is another
block. No card here could run this; the tests ran it in an emulation.
"""

from typing import Any

from kernels.cuda.compiler import cuda, int8, int32, int64
from kernels.cuda.intrinsics import shared_base, zeros
from kernels.cuda.launch import jit
from kernels.cuda.layout import B_TILE_BYTES, TILE_BYTES
from kernels.cuda.product.warp import (
    ACCUMULATORS,
    epilogue_of,
    fetch_stage,
    load_matrices,
    multiply_by_quarters,
    places_of,
)


def plain(output: str, checked: bool, rows: int) -> Any:
    """The kernel for a block of `rows` rows, 128 or 256, and as many threads."""
    epilogue = epilogue_of(output, checked)
    zero = zeros(ACCUMULATORS)
    places = places_of(rows)
    fetch = fetch_stage(rows, asynchronous=False)

    @jit(rows)
    def kernel(a: Any, b: Any, out: Any, weights: Any, sums: Any, M: Any, N: Any, K: Any) -> None:
        shared = shared_base(cuda.shared.array(0, int8))
        lane, tiles = int32(cuda.threadIdx.x & 31), int32(K >> 7)
        row, group, source_a, source_b, copies, from_a, from_b = places(shared, a, b, M, N, tiles)
        below = int64(tiles) * TILE_BYTES

        accumulators = zero()
        for _ in range(tiles):
            fetch(copies, source_a, source_b, below)
            source_a += TILE_BYTES
            source_b += B_TILE_BYTES
            cuda.syncthreads()
            for step in range(0, 128, 32):
                fragments_a = load_matrices(int32(from_a ^ step))
                fragments_b = load_matrices(int32(from_b ^ step))
                accumulators = multiply_by_quarters(accumulators, fragments_a, fragments_b)
            cuda.syncthreads()

        epilogue(out, weights, sums, N, row, group, lane, accumulators)

    return kernel
