"""Two warpgroups that take turns over one ring of buffers: the Hopper product's protocol, in any order.

A model of its mbarriers, its producer, its copies and its warps, which run interleaved as hypothesis
likes. Where the ring stands and which phase a turn waits for come from the kernel's own functions.
"""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import config

if not config.ENABLE_CUDASIM:
    pytest.skip("needs the CUDA simulator: NUMBA_ENABLE_CUDASIM=1", allow_module_level=True)

from kernels.cuda.product.wgmma_ring import first_buffer, turn_parity

WARPS = 4
PATIENCE = 20_000
"""Steps in which nothing is done but waiting: a deadlock."""


class Barrier:
    """An mbarrier: a phase ends when all have arrived and all bytes came."""

    def __init__(self, arrivals):
        self.arrivals = self.left = arrivals
        self.phase = self.bytes = 0

    def arrive(self, expect=0):
        self.left -= 1
        self.bytes += expect
        self._end()

    def come(self):
        self.bytes -= 1
        self._end()

    def passes(self, parity):
        return self.phase & 1 != parity

    def _end(self):
        assert self.left >= 0
        if self.left == self.bytes == 0:
            self.phase, self.left = self.phase + 1, self.arrivals


class Block:
    """What one block of threads shares; `steps` counts whatever is not waiting."""

    def __init__(self, blocks, stages, depth, tiles):
        self.stages, self.depth, self.tiles = stages, depth, tiles
        self.full = [Barrier(1) for _ in range(stages)]
        self.empty = [Barrier(blocks) for _ in range(stages)]
        self.turn = [Barrier(WARPS), Barrier(WARPS)]
        self.ring = [[None] * (1 + blocks) for _ in range(stages)]
        self.issued = [[0] * WARPS, [0] * WARPS]
        self.done = []


def producer(blocks, rank, copies):
    me, stage, phase = blocks[rank], 0, 1
    for tile in range(me.tiles):
        for k in range(me.depth):
            while not me.empty[stage].passes(phase):
                yield False
            me.full[stage].arrive(expect=1 + len(blocks))
            yield True
            copies.append((me, stage, 0, (tile, k)))
            # Its part of the operand that the blocks of a cluster share goes to each of them.
            copies.extend((block, stage, 1 + rank, (tile, k)) for block in blocks)
            yield True
            stage += 1
            if stage == me.stages:
                stage, phase = 0, phase ^ 1


def warp(blocks, me, group, number, slow):
    for tile in range(group, me.tiles, 2):
        stage, phase = first_buffer.fn(tile, me.depth, me.stages)
        while not me.turn[group].passes(turn_parity.fn(tile)):
            yield False
        for k in range(me.depth):
            while not me.full[stage].passes(phase):
                yield False
            assert set(me.ring[stage]) == {(tile, k)}
            me.issued[group][number] += 1
            yield True
            # A product reads the buffer once each of the warpgroup's warps has issued it.
            while min(me.issued[group]) < me.issued[group][number]:
                yield False
            if number == 0:
                for block in blocks:
                    block.empty[stage].arrive()
            stage += 1
            if stage == me.stages:
                stage, phase = 0, phase ^ 1
        me.turn[group ^ 1].arrive()
        for _ in range(slow):  # the epilogue
            yield True
        me.done.append((tile, number))


@settings(max_examples=25, deadline=None)
@given(
    cluster=st.sampled_from([1, 2]),
    stages=st.integers(2, 6),
    depth=st.integers(1, 9),
    tiles=st.integers(0, 6),
    slow=st.integers(0, 60),
    seed=st.integers(0, 2**32),
)
def test_every_buffer_holds_what_its_reader_expects_and_nobody_waits_for_ever(
    cluster, stages, depth, tiles, slow, seed
):
    order, copies = random.Random(seed), []
    blocks = [Block(cluster, stages, depth, tiles) for _ in range(cluster)]
    actors = [producer(blocks, rank, copies) for rank in range(cluster)]
    actors += [
        warp(blocks, block, group, number, slow)
        for block in blocks
        for group in range(2)
        for number in range(WARPS)
    ]
    idle = 0
    while actors:
        chosen = order.randrange(len(actors) + 1)
        if chosen == len(actors):
            if copies:
                block, stage, part, content = copies.pop(order.randrange(len(copies)))
                block.ring[stage][part] = content
                block.full[stage].come()
            continue
        try:
            idle = 0 if next(actors[chosen]) else idle + 1
        except StopIteration:
            actors.pop(chosen)
        assert idle < PATIENCE
    for block in blocks:
        assert sorted(block.done) == [(t, w) for t in range(tiles) for w in range(WARPS)]
