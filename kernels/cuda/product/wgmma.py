"""The product on Hopper: wgmma fed by bulk copies, one persistent block a multiprocessor.

A block computes tiles of C, `rows` by `columns`, one after another. One warp is the producer: it
asks the copy engine for the next 128 bytes of depth of both operands (A's tile and B's tile as they
lie, so no tensor map is needed) into a ring of `stages` buffers. The other warps form warpgroups of
four, 64 rows of C each, whose accumulators stay in registers: they wait for a full buffer, issue
four wgmma on it, and give the buffer before it back once the products that read it are done. Two
mbarriers a buffer say full and empty. When a tile is done, it is folded and written (`epilogue.py`)
while the producer already fills the ring for the next.

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
from kernels.cuda.intrinsics import ALIGNMENT_BYTES, load, shared_base, unsigned_divide, zeros
from kernels.cuda.launch import KernelSpec, raster
from kernels.cuda.product import leaf_warps
from kernels.cuda.product.epilogue import add_row_sums, first_chunk, fold_rows, store_rows
from kernels.cuda.product.hopper import (
    DESCRIPTOR,
    barrier_arrive,
    barrier_arrive_at,
    barrier_expect,
    barrier_fence,
    barrier_init,
    barrier_wait,
    bulk_copy,
    bulk_copy_to_both,
    cluster_rank,
    cluster_wait,
    flip_bits,
    multiply_accumulate,
    wait_for,
    wait_for_all_but_one,
)
from kernels.cuda.product.leaf_warps import hash_units, set_up, tile_is_stored
from kernels.cuda.product.wgmma_configs import LARGE, WgmmaConfig

NAME = "wgmma"
LEAST_CAPABILITY = (9, 0)
ONLY_MAJOR = 9
"""wgmma is an instruction of sm_90a alone: later architectures have another one."""


@cuda.jit(device=True)
def first_buffer(number: Any, depth: Any, stages: Any) -> Any:
    """Where the ring stands, (stage, phase), when the block's tile `number` begins."""
    steps = int32(number * depth)
    rounds = unsigned_divide(steps, stages)
    return int32(steps - rounds * stages), int32(rounds & 1)


@cuda.jit(device=True)
def turn_parity(number: Any) -> Any:
    """Of the phase to wait for before tile `number`; the warpgroup of tile 0 begins at once."""
    return int32((number >> 1 & 1) ^ (number & 1) ^ 1)


@cache
def build(
    output: str = "fold",
    checked: bool = False,
    config: WgmmaConfig = LARGE,
    *,
    leaves: bool = False,
    faulty: bool = False,
) -> KernelSpec:
    """The kernel for `output` "fold" (R in tiles) or "int32" (C row-major); see `KernelSpec`.

    `leaves`: hash R's leaves, too. `faulty`, for tests of the check: the four words behind the weights
    name a tile, a thread, one of its accumulators, and bits to flip there when the tile is done.
    """
    if leaves and not (config.hashes_leaves and output == "fold"):
        raise ValueError(f"no such product: leaves with {output!r}, {config.name}")
    columns, stages, band, turns = config.columns, config.stages, config.band, config.turns
    rows = config.rows
    warpgroups = 2 if turns else config.warpgroups
    readers = 1 if turns else warpgroups  # of a buffer
    multiplying = 4 * warpgroups
    threads = 32 * (multiplying + 1 + (leaf_warps.WARPS if leaves else 0))
    a_bytes, b_bytes = rows * 128, columns * 128
    stage_bytes = a_bytes + b_bytes
    barriers_at = stages * stage_bytes
    turns_at = barriers_at + 16 * stages
    leaves_at = turns_at + 16
    groups, blocks = columns // 64, 2 if turns else 1
    count = blocks * columns // 2
    # Tiles of A have 128 rows, tiles of B 256: a smaller tile of C takes half of one.
    a_halves, b_halves = 128 // rows - 1, 256 // columns - 1
    paired = config.cluster == 2
    pairs = config.cluster - 1  # as a shift
    half_bytes = b_bytes // 2
    folded, row_major = output == "fold", output == "int32"

    no_sums = zeros(count)
    multiply = multiply_accumulate(columns, blocks)
    finish = wait_for(count)
    store_folded = fold_rows(blocks, groups, 64)
    store_int32 = store_rows(blocks, groups, 64)
    add_sums = add_row_sums(blocks, groups, 64)
    flip = flip_bits(count)

    @cuda.jit(device=True)
    def place(number: Any, first: Any, step: Any, down: Any, across: Any, rank: Any) -> Any:
        """Row and column, in tiles, of the block's tile `number`."""
        y, x = raster(int32(first + number * step), down, across, int32(band))
        if paired:
            y = int32((y << 1) + rank)
        return y, x

    @cuda.jit(device=True)
    def give_back(barrier: Any) -> None:
        """Tell the producer that the buffer was read."""
        if paired:
            barrier_arrive_at(barrier, int32(0))
            barrier_arrive_at(barrier, int32(1))
        else:
            barrier_arrive(barrier)

    @cuda.jit(device=True)
    def produce(
        ring: Any,
        first: Any,
        step: Any,
        down: Any,
        across: Any,
        depth: Any,
        rank: Any,
        a: Any,
        b: Any,
    ) -> None:
        """One thread: fill the ring with the operands of the block's tiles."""
        full = int32(ring + barriers_at)
        empty = int32(full + 8 * stages)
        stage = int32(0)
        phase = int32(1)  # the first wait for an empty buffer passes at once
        number = int32(0)
        while first + number * step < down * across:
            y, x = place(number, first, step, down, across, rank)
            from_a = a + int64(y >> a_halves) * depth * 16384 + (y & a_halves) * 8192
            from_b = b + int64(x >> b_halves) * depth * 32768 + (x & b_halves) * 16384
            if paired:
                from_b += rank * half_bytes
            for _ in range(depth):
                barrier_wait(empty + 8 * stage, phase)
                buffer = int32(ring + stage * stage_bytes)
                barrier_expect(full + 8 * stage, stage_bytes)
                bulk_copy(buffer, from_a, a_bytes, full + 8 * stage)
                if paired:
                    there = buffer + a_bytes + rank * half_bytes
                    bulk_copy_to_both(there, from_b, half_bytes, full + 8 * stage)
                else:
                    bulk_copy(buffer + a_bytes, from_b, b_bytes, full + 8 * stage)
                from_a += 16384
                from_b += 32768
                stage = int32(stage + 1)
                if stage == stages:
                    stage = int32(0)
                    phase = int32(phase ^ 1)
            number = int32(number + 1)

    @cuda.jit(device=True)
    def work(
        ring: Any,
        a: Any,
        b: Any,
        out: Any,
        weights: Any,
        sums: Any,
        M: Any,
        N: Any,
        K: Any,
        tree: Any,
        n: Any,
        tables: Any,
        one: Any,
    ) -> None:
        """What a block does; `ring` is its shared memory."""
        full = int32(ring + barriers_at)
        empty = int32(full + 8 * stages)
        turn = int32(ring + turns_at)
        ring_of_leaves = int32(ring + leaves_at)
        thread = int32(cuda.threadIdx.x)
        lane = thread & 31
        warp = thread >> 5
        depth = int32(K) >> 7
        down = int32(M) // (rows << pairs)
        across = int32(N) // columns
        if thread == 0:
            for stage in range(stages):
                barrier_init(full + 8 * stage, 1)
                barrier_init(empty + 8 * stage, readers << pairs)
            if turns:
                barrier_init(turn, 4)  # a warpgroup's warps
                barrier_init(turn + 8, 4)
        if leaves:
            set_up(ring_of_leaves, thread, int32(multiplying), tables)
        if thread == 0:
            barrier_fence()
        cuda.syncthreads()
        rank = int32(0)
        if paired:
            rank = cluster_rank()
            cluster_wait()  # no thread arrives at a barrier before it is set up
        first = int32(cuda.blockIdx.x) >> pairs
        step = int32(cuda.gridDim.x) >> pairs
        tiles = int32(down * across)
        if warp >= multiplying:
            if warp == multiplying and lane == 0:
                produce(ring, first, step, down, across, depth, rank, a, b)
            if leaves:
                # The producer's warp takes the very last unit, so that four warps share the last tile.
                units = int32(4 * (unsigned_divide(int32(tiles - 1 - first), step) + 1))
                unit = int32(warp - multiplying - 1)
                last = int32(units - 1)
                if warp == multiplying:
                    leaf_warps.warp_wait()
                    unit, last = last, units
                hash_units(
                    ring_of_leaves, unit, last, lane, first, step, down, across, int32(band),
                    int32(pairs), rank, out, tree, int32(n), int32(one),
                )  # fmt: skip
        else:
            stage = int32(0)
            phase = int32(0)
            warpgroup = thread >> 7
            number = warpgroup if turns else int32(0)
            first_of_group = (thread & 127) == 0
            my_row = ((thread & 127) >> 5) * 16 + (lane >> 2)
            part_of_a = int32(0)
            if not turns:
                my_row += warpgroup * 64
                part_of_a = int32(warpgroup * 8192)
            while first + number * step < tiles:
                if turns:
                    stage, phase = first_buffer(number, depth, int32(stages))
                    barrier_wait(turn + 8 * warpgroup, turn_parity(number))
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
                    stage = int32(stage + 1)
                    if stage == stages:
                        stage = int32(0)
                        phase = int32(phase ^ 1)
                if turns and lane == 0:
                    barrier_arrive(turn + 8 * (warpgroup ^ 1))
                y, x = place(number, first, step, down, across, rank)
                row = y * rows + my_row
                accumulators = finish(accumulators)
                if first_of_group:
                    give_back(before)
                if faulty:
                    fault = int64(N) * 4
                    mask = int32(0)
                    tile = first + number * step
                    if tile == load(weights, fault) and thread == load(weights, fault + 4):
                        mask = int32(load(weights, fault + 12))
                    accumulators = flip(accumulators, int32(load(weights, fault + 8)), mask)
                if folded:
                    tile_of_r = int64(row >> 7) * (int32(N) >> 7) + x * (columns // 128)
                    at = out + tile_of_r * 16384 + (row & 127) * 128
                    store_folded(at, first_chunk(lane, int32(0)), accumulators)
                if leaves:
                    tile_is_stored(ring_of_leaves, number, lane)
                if row_major:
                    column = int64(x * columns + (lane & 3) * 16)
                    store_int32(out + (int64(row) * N + column) * 4, N * 4, accumulators)
                if checked:
                    column = int64(x * columns + (lane & 3) * 16)
                    add_sums(sums + int64(row) * 4, weights + column * 4, lane, accumulators)
                number = int32(number + (2 if turns else 1))
        if paired:
            cluster_wait()  # a block's memory must outlive what its neighbour sends there

    def multiplies(
        a: Any, b: Any, out: Any, weights: Any, sums: Any, M: Any, N: Any, K: Any
    ) -> None:
        ring = shared_base(cuda.shared.array(0, int8))
        nothing = int64(0)
        work(ring, a, b, out, weights, sums, M, N, K, nothing, nothing, nothing, nothing)

    def multiplies_and_hashes(
        a: Any, b: Any, out: Any, weights: Any, sums: Any, M: Any, N: Any, K: Any,
        tree: Any, n: Any, tables: Any, one: Any,
    ) -> None:  # fmt: skip
        ring = shared_base(cuda.shared.array(0, int8))
        work(ring, a, b, out, weights, sums, M, N, K, tree, n, tables, one)

    def grid(M: int, N: int, multiprocessors: int) -> tuple[int, ...]:
        return (min((M // rows) * (N // columns), multiprocessors >> pairs << pairs),)

    kernel = multiplies_and_hashes if leaves else multiplies
    return KernelSpec(
        cuda.jit(launch_bounds=(threads, 1))(kernel),
        threads,
        leaves_at + (leaf_warps.SHARED_BYTES if leaves else 0) + ALIGNMENT_BYTES,
        grid,
        config.cluster,
        leaves,
    )
