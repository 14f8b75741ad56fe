"""Freivalds' check inside the Hopper product (`kernels/cuda/check.py` has its arithmetic).

For the left side a warpgroup brings the weights of a tile's columns into shared memory while it
multiplies: from device memory the epilogue would wait for them, in small portions, since its registers
are full.

With `both_sides` two spare warps make the right side, A times u, while the others multiply. They read A
where the producer reads it, out of the L2, and have nothing to do with the ring: all blocks share its
pieces of 64 rows by 128 bytes, whatever tiles they multiply.
"""

from typing import Any

from kernels.cuda.bytewise import subtract_piece_by_bytes
from kernels.cuda.check import subtract_piece
from kernels.cuda.compiler import cuda, int32, int64
from kernels.cuda.product.hopper import copy_async, copy_async_done, warpgroup_wait
from kernels.cuda.product.wgmma_ring import BlockLayout


def fetcher(layout: BlockLayout) -> Any:
    """A device function: ask for the weights of the tile of column x; returns where they will be.

    `slices`: the warpgroup's; `number`: of the block's tile; `thread`: of the warpgroup. Where tiles
    follow one another at once, those of the tile before may be read still.
    """
    slice_bytes, turns = layout.slice_bytes, layout.config.turns
    bytes_each = slice_bytes // 128
    copy = copy_async(bytes_each)

    @cuda.jit(device=True)
    def fetch(slices: Any, number: Any, x: Any, thread: Any, weights: Any) -> Any:
        at = int32(slices)
        if not turns:
            at = int32(slices + (number & 1) * slice_bytes)
        mine = thread * bytes_each
        copy(int32(at + mine), weights + int64(x * slice_bytes + mine))
        return at

    return fetch


@cuda.jit(device=True)
def weights_are_here(warpgroup: Any) -> None:
    """Wait for what every thread of the warpgroup asked for."""
    copy_async_done()
    warpgroup_wait(int32(warpgroup + 1))


def subtracter(layout: BlockLayout) -> Any:
    """A device function: A times u, off the sums: this block's share, by 64 threads.

    `vectors`: w, then u, N words each; `depth`: N / 128.
    """
    # Measured on an H200: in turns it costs 2.2 us by bytes and 4.4 without (n = 4096); with one tile a
    # block 0.05 us more than without (n = 1024).
    subtract = subtract_piece_by_bytes if layout.config.turns else subtract_piece

    @cuda.jit(device=True)
    def subtract_pieces(a: Any, vectors: Any, sums: Any, N: Any, depth: Any, thread: Any) -> None:
        u = vectors + int64(N) * 4
        piece = int32(cuda.blockIdx.x)
        pieces = int32(2 * depth * depth)
        while piece < pieces:
            subtract(a, u, sums, depth, piece, thread)
            piece = int32(piece + int32(cuda.gridDim.x))

    return subtract_pieces
