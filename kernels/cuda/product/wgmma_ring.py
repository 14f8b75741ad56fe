"""What the producer and the consumers of the Hopper product share: the ring, and the order of tiles.

A block's dynamic shared memory:

    stages * (A's rows, B's rows of 128 bytes)    the ring's buffers
    weights of a tile's columns, or of two tiles'  of each warpgroup, with `checked` (`wgmma_check.py`)
    full[stages], empty[stages]                   an mbarrier each, 8 bytes
    turn[2]                                       the same, used with `turns`
    what `leaf_warps.py` wants                    with `leaves`

`full`: the buffer's bytes have come. `empty`: every warpgroup that reads it has, in both blocks of a
cluster of two. `turn`: the warpgroup may multiply.
"""

from dataclasses import dataclass
from typing import Any

from kernels.cuda.compiler import cuda, int32
from kernels.cuda.intrinsics import ALIGNMENT_BYTES, unsigned_divide
from kernels.cuda.launch import raster
from kernels.cuda.product import leaf_warps
from kernels.cuda.product.hopper import barrier_arrive, barrier_arrive_at, barrier_init
from kernels.cuda.product.wgmma_configs import WgmmaConfig

DEPTH_BYTES = 128
"""Of a row of an operand, in a buffer: one step along the depth."""
CHECK_WARPS = 2
"""Warps that make the right side of the check, with `both_sides`. They share a warpgroup's place with
the producer, so that they cost no registers."""


@dataclass(frozen=True, slots=True)
class BlockLayout:
    """The threads and the shared memory of a block with this configuration; offsets in bytes."""

    config: WgmmaConfig
    leaves: bool
    checked: bool = False
    both_sides: bool = False

    @property
    def warpgroups(self) -> int:
        """Those that multiply."""
        return 2 if self.config.turns else self.config.warpgroups

    @property
    def readers(self) -> int:
        """Warpgroups that read a buffer."""
        return 1 if self.config.turns else self.warpgroups

    @property
    def consumer_warps(self) -> int:
        """Warps that multiply; the next one is the producer, then come those that hash or check."""
        return 4 * self.warpgroups

    @property
    def threads(self) -> int:
        """Of the block."""
        spare = leaf_warps.WARPS * self.leaves + CHECK_WARPS * self.both_sides
        return 32 * (self.consumer_warps + 1 + spare)

    @property
    def pairs(self) -> int:
        """1 where two blocks share their tile of B, as a shift, otherwise 0."""
        return self.config.cluster - 1

    @property
    def a_bytes(self) -> int:
        """Of A in a buffer."""
        return self.config.rows * DEPTH_BYTES

    @property
    def b_bytes(self) -> int:
        """Of B in a buffer, behind those of A."""
        return self.config.columns * DEPTH_BYTES

    @property
    def stage_bytes(self) -> int:
        """Of a buffer."""
        return self.a_bytes + self.b_bytes

    @property
    def slice_bytes(self) -> int:
        """Of the weights of a tile."""
        return 4 * self.config.columns

    @property
    def weight_slices(self) -> int:
        """Of how many tiles a warpgroup keeps the weights."""
        return 1 if self.config.turns else 2

    @property
    def slices_at(self) -> int:
        """Where weights begin, `slices_bytes` for each warpgroup."""
        return self.config.stages * self.stage_bytes

    @property
    def slices_bytes(self) -> int:
        """Of a warpgroup's weights."""
        return self.slice_bytes * self.weight_slices if self.checked else 0

    @property
    def barriers_at(self) -> int:
        """Where `full` begins; `empty` follows."""
        return self.slices_at + self.warpgroups * self.slices_bytes

    @property
    def turns_at(self) -> int:
        """Where `turn` begins."""
        return self.barriers_at + 16 * self.config.stages

    @property
    def leaves_at(self) -> int:
        """Where what hashes leaves begins."""
        return self.turns_at + 16

    @property
    def shared_bytes(self) -> int:
        """Of dynamic shared memory to ask for."""
        return self.leaves_at + (leaf_warps.SHARED_BYTES if self.leaves else 0) + ALIGNMENT_BYTES


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


def next_buffer_in(layout: BlockLayout) -> Any:
    """A device function: (stage, phase) of the ring's next buffer."""
    stages = layout.config.stages

    @cuda.jit(device=True)
    def next_buffer(stage: Any, phase: Any) -> Any:
        stage = int32(stage + 1)
        if stage == stages:
            stage = int32(0)
            phase = int32(phase ^ 1)
        return stage, phase

    return next_buffer


def place_in(layout: BlockLayout) -> Any:
    """A device function: row and column, in tiles, of the block's tile `number`.

    `share` says which tiles are the block's: (first, step, down, across, rank, tiles), those numbered
    first, first + step, ... of `down` x `across`, which are `tiles`; `rank` is the block's place in
    its cluster, where a pair of tiles has one number.
    """
    band, paired = layout.config.band, layout.config.cluster == 2

    @cuda.jit(device=True)
    def place(number: Any, share: Any) -> Any:
        first, step, down, across, rank, _tiles = share
        y, x = raster(int32(first + number * step), down, across, int32(band))
        if paired:
            y = int32((y << 1) + rank)
        return y, x

    return place


def barriers_in(layout: BlockLayout) -> Any:
    """A device function: where (full, empty, turn) begin in the block's shared memory, `ring`."""
    barriers_at, turns_at, stages = layout.barriers_at, layout.turns_at, layout.config.stages

    @cuda.jit(device=True)
    def barriers(ring: Any) -> Any:
        full = int32(ring + barriers_at)
        return full, int32(full + 8 * stages), int32(ring + turns_at)

    return barriers


def barrier_maker(layout: BlockLayout) -> Any:
    """A device function, for one thread of the block: initialise its barriers."""
    stages, turns = layout.config.stages, layout.config.turns
    readers, pairs = layout.readers, layout.pairs

    @cuda.jit(device=True)
    def make_barriers(full: Any, empty: Any, turn: Any) -> None:
        for stage in range(stages):
            barrier_init(full + 8 * stage, 1)
            barrier_init(empty + 8 * stage, readers << pairs)
        if turns:
            barrier_init(turn, 4)  # a warpgroup's warps
            barrier_init(turn + 8, 4)

    return make_barriers


def give_back_in(layout: BlockLayout) -> Any:
    """A device function, for one thread of a warpgroup: tell the producers that a buffer was read."""
    paired = layout.config.cluster == 2

    @cuda.jit(device=True)
    def give_back(barrier: Any) -> None:
        if paired:
            barrier_arrive_at(barrier, int32(0))
            barrier_arrive_at(barrier, int32(1))
        else:
            barrier_arrive(barrier)

    return give_back
