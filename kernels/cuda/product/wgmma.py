"""The product on Hopper: wgmma fed by bulk copies, one persistent block a multiprocessor.

A block computes tiles of C, `rows` by `columns`, one after another. One warp is the producer: it
asks the copy engine for the next 128 bytes of depth of both operands (A's tile and B's tile as they
lie, so no tensor map is needed) into a ring of `stages` buffers. The other warps form warpgroups of
four, 64 rows of C each, whose accumulators stay in registers: they wait for a full buffer, issue
four wgmma on it, and give the buffer before it back once the products that read it are done. Two
mbarriers a buffer say full and empty. When a tile is done, it is folded and written (`epilogue.py`)
while the producer already fills the ring for the next. Read `wgmma_ring.py`, `wgmma_producer.py`,
`wgmma_consumer.py`, then `build`, which puts them into one kernel.

With `turns` each of two warpgroups has a tile of its own, 128 x 128, and they take turns at the tensor
cores ("ping-pong"): while one folds and writes its tile the other multiplies. The first has the
block's even tiles, the second the odd ones; the ring's buffers belong to one after the other. A pair
of mbarriers says whose turn it is. Besides keeping them from slowing each other down, that is what
makes a wait for a full buffer right: a parity tells a phase from the one before it, not from the one
before that, and whose turn it is has seen every buffer before his own become full.

With `cluster` 2 two blocks, one below the other, each fetch half of the tile of B that both need
and the copy engine delivers it to both: a third less to read out of the L2. An empty buffer is then
one that both blocks have read.

With `leaves` three more warps hash the leaves of every tile that is done (`leaf_warps.py`).

Tiles are taken in bands (`raster`), so that those at work at the same time share operands in the
L2.
"""

from functools import cache
from typing import Any

from kernels.cuda.compiler import cuda, int8, int32, int64
from kernels.cuda.intrinsics import (
    let_next_kernel_start,
    shared_base,
    unsigned_divide,
    wait_for_kernel_before,
)
from kernels.cuda.launch import KernelSpec
from kernels.cuda.product import leaf_warps
from kernels.cuda.product.hopper import barrier_fence, cluster_rank, cluster_wait
from kernels.cuda.product.wgmma_check import subtracter
from kernels.cuda.product.wgmma_configs import LARGE, WgmmaConfig
from kernels.cuda.product.wgmma_consumer import consumer
from kernels.cuda.product.wgmma_producer import producer
from kernels.cuda.product.wgmma_ring import BlockLayout, barrier_maker, barriers_in

NAME = "wgmma"
LEAST_CAPABILITY = (9, 0)
ONLY_MAJOR = 9
"""wgmma is an instruction of sm_90a alone: later architectures have another one."""


def _hash_leaves(layout: BlockLayout) -> Any:
    """A device function: hash leaves of the block's tiles, as long as there are any."""
    band, pairs = layout.config.band, layout.pairs

    @cuda.jit(device=True)
    def hash_leaves(
        ring_of_leaves: Any, share: Any, lane: Any, r: Any, tree: Any, n: Any, one: Any,
    ) -> None:  # fmt: skip
        first, step, down, across, rank, tiles = share
        blocks_tiles = unsigned_divide(int32(tiles - 1 - first), step) + 1
        leaf_warps.hash_units(
            ring_of_leaves, int32(leaf_warps.UNITS * blocks_tiles), lane, first, step, down, across,
            int32(band), int32(pairs), rank, r, tree, int32(n), int32(one),
        )  # fmt: skip

    return hash_leaves


def _block(layout: BlockLayout, output: str, faulty: bool) -> Any:
    """A device function: what each thread of a block does; `ring` is its shared memory."""
    rows, columns = layout.config.rows, layout.config.columns
    paired, pairs, leaves = layout.config.cluster == 2, layout.pairs, layout.leaves
    both_sides = layout.both_sides
    consumer_warps, leaves_at = layout.consumer_warps, layout.leaves_at
    barriers, make_barriers = barriers_in(layout), barrier_maker(layout)
    produce, subtract_pieces = producer(layout), subtracter(layout)
    hash_leaves = _hash_leaves(layout)
    consume = consumer(layout, output, faulty)

    @cuda.jit(device=True)
    def work(
        ring: Any, a: Any, b: Any, out: Any, weights: Any, sums: Any, M: Any, N: Any, K: Any,
        tree: Any, n: Any, tables: Any, one: Any,
    ) -> None:  # fmt: skip
        full, empty, turn = barriers(ring)
        ring_of_leaves = int32(ring + leaves_at)
        thread = int32(cuda.threadIdx.x)
        lane = thread & 31
        warp = thread >> 5
        depth = int32(K) >> 7
        down = int32(M) // (rows << pairs)
        across = int32(N) // columns
        if thread == 0:
            make_barriers(full, empty, turn)
        if leaves:
            leaf_warps.set_up(ring_of_leaves, thread, int32(consumer_warps), tables)
        if thread == 0:
            barrier_fence()
        wait_for_kernel_before()
        cuda.syncthreads()
        rank = int32(0)
        if paired:
            rank = cluster_rank()
            cluster_wait()  # no thread arrives at a barrier before it is set up
        first = int32(cuda.blockIdx.x) >> pairs
        step = int32(cuda.gridDim.x) >> pairs
        share = first, step, down, across, rank, int32(down * across)
        if warp >= consumer_warps:
            if warp == consumer_warps and lane == 0:
                produce(ring, full, empty, share, depth, a, b)
                let_next_kernel_start()
            if both_sides and warp > consumer_warps:
                subtract_pieces(
                    a, weights, sums, N, depth, int32(thread - 32 * consumer_warps - 32)
                )
        else:
            consume(
                ring, full, empty, turn, ring_of_leaves, share, depth, thread, out, weights, sums, N
            )
        if leaves and (warp >= consumer_warps or warp < leaf_warps.HELPERS):
            hash_leaves(ring_of_leaves, share, lane, out, tree, n, one)
        if paired:
            cluster_wait()  # a block's memory must outlive what its neighbour sends there

    return work


@cache
def build(
    output: str = "fold",
    checked: bool = False,
    config: WgmmaConfig = LARGE,
    *,
    leaves: bool = False,
    both_sides: bool = False,
    faulty: bool = False,
) -> KernelSpec:
    """The kernel for `output` "fold" (R in tiles) or "int32" (C row-major); see `KernelSpec`.

    `leaves`: hash R's leaves, too. `both_sides`: in place of that, for a square product, take the
    check's right side off the sums as well (`wgmma_check.py`); behind the weights stands u.
    `faulty`, for tests of the check: the four words behind the weights, or u, name a tile, a thread,
    one of its accumulators, and bits to flip there when the tile is done.
    """
    if output not in ("fold", "int32") or (
        leaves and not (config.hashes_leaves and output == "fold" and not both_sides)
    ):
        raise ValueError(f"no such product: {output!r}, {config.name}" + ", leaves" * leaves)
    layout = BlockLayout(config, leaves, checked, both_sides)
    work = _block(layout, output, faulty)

    def multiplies(
        a: Any, b: Any, out: Any, weights: Any, sums: Any, M: Any, N: Any, K: Any
    ) -> None:
        ring = shared_base(cuda.shared.array(0, int8))
        no = int64(0)
        work(ring, a, b, out, weights, sums, M, N, K, no, no, no, no)

    def multiplies_and_hashes(
        a: Any, b: Any, out: Any, weights: Any, sums: Any, M: Any, N: Any, K: Any,
        tree: Any, n: Any, tables: Any, one: Any,
    ) -> None:  # fmt: skip
        ring = shared_base(cuda.shared.array(0, int8))
        work(ring, a, b, out, weights, sums, M, N, K, tree, n, tables, one)

    def grid(M: int, N: int, multiprocessors: int) -> tuple[int, ...]:
        tiles = (M // config.rows) * (N // config.columns)
        return (min(tiles, multiprocessors >> layout.pairs << layout.pairs),)

    kernel = multiplies_and_hashes if leaves else multiplies
    return KernelSpec(
        cuda.jit(launch_bounds=(layout.threads, 1))(kernel),
        layout.threads,
        layout.shared_bytes,
        grid,
        config.cluster,
        leaves,
        early=True,
    )
