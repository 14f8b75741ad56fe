"""The product on the tensor cores of Ampere, Ada and later: ldmatrix, mma.sync, cp.async.

A block computes `rows` x 128 entries of C, a warp 64 x 64 of them (`warp.py`). For every tile along the
rows (128 entries):

1. cp.async brings `rows` x 128 bytes of A's tiles and 128 x 128 of B's into shared memory. It works by
   itself: while the block computes on one stage, the copies of the next `stages` - 1 are on their way.
   The tiles come as they are, so that the copy knows nothing of the swizzle.
2. ldmatrix spreads the operands over the lanes of each warp.
3. mma.sync, on fragments that were loaded one step of 32 entries before: a lane has those of two steps,
   so that neither waits for the other.

Turing (7.5) has neither cp.async nor this shape of mma.sync: `turing.py`.

Source: PTX ISA, cp.async, ldmatrix, mma.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

from kernels.cuda.compiler import cuda, int8, int32, int64
from kernels.cuda.intrinsics import ALIGNMENT_BYTES, shared_base, zeros
from kernels.cuda.launch import KernelSpec, grid_of_blocks, jit
from kernels.cuda.layout import B_TILE_BYTES, TILE, TILE_BYTES
from kernels.cuda.product import turing
from kernels.cuda.product.warp import (
    ACCUMULATORS,
    COLUMNS,
    epilogue_of,
    fetch_stage,
    load_matrices,
    multiply,
    places_of,
)
from kernels.cuda.ptx import instruction

NAME = "mma"
LEAST_CAPABILITY = (7, 5)
"""With the path for Turing, which no card here could try."""


@dataclass(frozen=True, slots=True)
class MmaConfig:
    """A block's rows of C, 128 or 256 (it has as many threads), and its stages of shared memory.

    A stage takes (rows + 128) * 128 bytes: 3 of the smaller blocks fit every card from 8.0 on, 4 of the
    larger ones 8.0 and 9.0. 0 stages is the path for Turing.
    """

    rows: int = 128
    stages: int = 3

    @property
    def name(self) -> str:
        """What the file of tuned configurations and the tables of bench/ call it."""
        return f"{self.rows}x{COLUMNS}-{self.stages}"

    hashes_leaves = sums_both_sides = False

    def followed(self, _size: int) -> "MmaConfig":
        """The same: its products are all alike."""
        return self


SMALL, LARGE, FOR_TURING = MmaConfig(), MmaConfig(rows=256, stages=4), MmaConfig(stages=0)


def configs_for(capability: tuple[int, int]) -> tuple[MmaConfig, ...]:
    """The configurations that a card can run, the one that is taken untuned first."""
    if capability < (8, 0):
        return (FOR_TURING,)
    if capability in ((8, 0), (9, 0), (10, 0)):
        return LARGE, SMALL
    return (SMALL,)


@cache
def build(output: str = "fold", checked: bool = False, config: MmaConfig = SMALL) -> KernelSpec:
    """The kernel; `output` is "fold" (R, tiles of int8) or "int32" (C, row-major). See `KernelSpec`."""
    rows, stages = config.rows, config.stages
    if output not in ("fold", "int32") or rows not in (128, 256) or stages not in (0, 3, 4):
        raise ValueError(f"no such product: {output!r}, {rows} rows, {stages} stages")
    if stages:
        kernel = _pipelined(output, checked, rows, stages)
    else:
        kernel = turing.plain(output, checked, rows)
    shared_bytes = max(stages, 1) * (rows + COLUMNS) * TILE + ALIGNMENT_BYTES
    return KernelSpec(kernel, rows, shared_bytes, grid_of_blocks(rows, COLUMNS))


commit = instruction("cp.async.commit_group;", None, [], memory=True)
"""The copies since the last commit are a group."""


def _wait(pending: int) -> Any:
    """An operation: until all groups but the last `pending` have arrived."""
    return instruction(f"cp.async.wait_group {pending};", None, [], memory=True)


def _pipelined(output: str, checked: bool, rows: int, stages: int) -> Any:
    epilogue = epilogue_of(output, checked)
    zero = zeros(ACCUMULATORS)
    places = places_of(rows)
    fetch = fetch_stage(rows, asynchronous=True)
    wait = _wait(stages - 2)
    bytes_a = rows * TILE
    stage_bytes = bytes_a + COLUMNS * TILE
    ahead = stages - 1

    @jit(rows)
    def kernel(a: Any, b: Any, out: Any, weights: Any, sums: Any, M: Any, N: Any, K: Any) -> None:
        shared = shared_base(cuda.shared.array(0, int8))
        lane, tiles = int32(cuda.threadIdx.x & 31), int32(K >> 7)
        row, group, source_a, source_b, copies, from_a, from_b = places(shared, a, b, M, N, tiles)
        below = int64(tiles) * TILE_BYTES

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
            # tile this reads fragments that are not used.)
            wait()
            cuda.syncthreads()
            a0, b0 = load_matrices(int32(from_a + reads)), load_matrices(int32(from_b + reads))
            accumulators = multiply(accumulators, a1, b1)

        epilogue(out, weights, sums, N, row, group, lane, accumulators)

    return kernel
