"""Runs the steps of a program (steps.py) on one sample, alone or with other threads.

Threads that work on the same sample take the chunks of a step one by one from a counter, and go on to
the next step when all are done: one that comes late, or not at all, holds up nobody.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numba import int64, uint8

from kernels.cpu.ir import copy_bytes, fill_bytes
from kernels.cpu.jit import Jit, finish
from kernels.cpu.network import add, atomic, check, depthwise, pool, requantise, tiles
from kernels.cpu.network.dots import Dots
from kernels.cpu.network.finish import build_finish
from kernels.cpu.network.scalar import Scalar
from kernels.cpu.network.steps import Field, Op, Scaling

ALONE = 2
"""So many places that are left over go one by one, and not with copies of the last in a whole tile."""
FLIP = 128
SPINS = 1000
"""Some 20 microseconds."""


@dataclass(frozen=True, slots=True)
class Kernels:
    """The compiled program of one way to multiply."""

    dots: Dots
    run: Any
    """(steps, constants, secrets, arena, sample, out, sums, scratch, counters, shared)"""
    digits: Any
    """check.build_digits."""


@cache
def kernels_of(dots: Dots) -> Kernels:
    """Return them, loaded or compiled."""
    jit = Jit(f"network-{dots.name}")
    scalar = Scalar(jit)
    finish_sums, finish_rows = build_finish(jit, dots, scalar)
    product = _build_product(jit, dots, finish_sums)
    checked = check.build(jit, dots, finish_rows)
    digits = check.build_digits(jit, dots)
    runs, entries = _build_depthwise(jit, dots), scalar.depthwise
    others = _build_others(jit, dots, scalar)

    @jit.helper
    def chunk(
        step: Any,
        number: int,
        constants: Any,
        secrets: Any,
        arena: Any,
        sample: Any,
        out: Any,
        sums: Any,
        scratch: Any,
    ) -> bool:
        """Do a chunk of a step; false: its committed sums are wrong."""
        first = number * step[Field.CHUNK]
        last = min(first + step[Field.CHUNK], step[Field.COUNT])
        op = step[Field.OP]
        if op == Op.PRODUCT:
            if len(secrets) and step[Field.DIGITS] >= 0:
                return checked(step, first, last, constants, secrets, arena, sums, scratch)
            product(step, first, last, constants, arena, sums, scratch)
        elif op == Op.DEPTHWISE:
            runs(step, first, last, constants, arena, scratch)
        elif op == Op.DEPTHWISE_ENTRIES:
            entries(step, first, last, constants, arena)
        else:
            others(step, first, last, constants, arena, sample, out, scratch)
        return True

    @jit.helper
    def chunks(step: Any) -> int:
        """How many a step has."""
        return (step[Field.COUNT] + step[Field.CHUNK] - 1) // step[Field.CHUNK]

    @jit.helper
    def wait(step: Any, done: int, held: Any) -> None:
        """Return when all chunks of a step are done, as the counter at this address says."""
        turns = 0
        while True:
            atomic.read(done, held.ctypes.data)
            if held[0] >= chunks(step):
                return
            turns += 1
            if turns > SPINS:  # the thread that is waited for may have no core
                atomic.give_way()

    @jit.kernel(
        "int64(int64[:,::1], uint8[::1], uint8[::1], uint8[::1], int8[::1], int8[::1], int32[::1],"
        " int32[::1], int64[::1], boolean)"
    )
    def run(
        steps: Any,
        constants: Any,
        secrets: Any,
        arena: Any,
        sample: Any,
        out: Any,
        sums: Any,
        scratch: Any,
        counters: Any,
        shared: bool,
    ) -> int:
        """Return the step whose committed sums are wrong, or -1."""
        held, waited = np.zeros(1, np.int64), 0
        for s in range(len(steps)):
            step = steps[s]
            count = chunks(step)
            taken, number = counters.ctypes.data + 16 * s, 0
            while True:
                if shared:
                    atomic.take(taken, held.ctypes.data)
                    number = held[0]
                if number >= count:
                    break
                if not chunk(step, number, constants, secrets, arena, sample, out, sums, scratch):
                    return s
                if shared:
                    atomic.take(taken + 8, held.ctypes.data)
                number += 1
            while shared and waited <= s and step[Field.BESIDE] < 1:
                wait(steps[waited], counters.ctypes.data + 16 * waited + 8, held)
                waited += 1
        return -1

    finish([jit])
    return Kernels(dots, run, digits)


def _build_product(jit: Jit, dots: Dots, finish_sums: Any) -> Any:
    lanes, quad_bytes = dots.lanes, 4 * dots.lanes * dots.parts
    tile, step_bytes = tiles.build_tiles(dots), 4 * requantise.VECTORS
    has4, rows4, rows2, rows1 = 4 in dots.tiles, dots.tiles.get(4, 1), dots.tiles[2], dots.tiles[1]

    @jit.helper
    def product(
        step: Any, first: int, last: int, constants: Any, arena: Any, sums: Any, scratch: Any
    ) -> None:
        """Some places of a convolution, all its outputs."""
        n, count, quads = step[Field.N], step[Field.SEGMENT_COUNT], step[Field.QUADS]
        low, high, scaling = step[Field.LOW], step[Field.HIGH], step[Field.SCALING]
        keep = int64(scaling > Scaling.SIGNED or (len(sums) > 0 and step[Field.COLUMN] >= 0))
        base, image = constants.ctypes.data, arena.ctypes.data + step[Field.SOURCE]
        out, into = arena.ctypes.data + step[Field.OUT], scratch.ctypes.data
        weights, starts = base + step[Field.WEIGHTS], base + step[Field.STARTS]
        segments, parameters = base + step[Field.SEGMENTS], base + step[Field.PARAMETERS]
        channel = 0
        while channel < n:
            left = n - channel
            vectors = 4 if has4 and left > 3 * lanes else (2 if left > lanes else 1)
            most = rows4 if vectors == 4 else (rows2 if vectors == 2 else rows1)
            width = vectors * lanes
            place = first
            while place < last:
                rows = most if last - place > ALONE else 1
                tile(
                    vectors, rows, image, base + step[Field.PLACES] + 4 * place, segments, count,
                    quads, weights, starts, into, keep, scaling, parameters, left, out,
                    base + step[Field.OUT_PLACES] + 4 * place, low, high,
                )  # fmt: skip
                if keep:
                    finish_sums(
                        step, place, min(rows, last - place), channel, min(width, left), width,
                        constants, arena, sums, scratch,
                    )  # fmt: skip
                place += rows
            channel += width
            weights += count * quads * quad_bytes * vectors
            starts += 4 * width
            parameters += width * step_bytes
            out += width

    return product


def _build_depthwise(jit: Jit, dots: Dots) -> Any:
    kernel, rows = depthwise.build_depthwise(dots), depthwise.ROWS[dots.lanes]

    @jit.helper
    def runs(step: Any, first: int, last: int, constants: Any, arena: Any, scratch: Any) -> None:
        """Some runs of a depthwise convolution."""
        base, image = constants.ctypes.data, arena.ctypes.data
        for place in range(first, last, rows):
            kernel(
                image + step[Field.SOURCE], base + step[Field.PLACES] + 4 * place,
                base + step[Field.SEGMENTS], step[Field.QUADS], base + step[Field.WEIGHTS],
                base + step[Field.STARTS], step[Field.PERIOD], step[Field.SCALING],
                base + step[Field.PARAMETERS], step[Field.WIDTH], image + step[Field.OUT],
                base + step[Field.OUT_PLACES] + 4 * place, step[Field.LOW], step[Field.HIGH],
                scratch.ctypes.data,
            )  # fmt: skip

    return runs


def _build_others(jit: Jit, dots: Dots, scalar: Scalar) -> Any:
    line, exact = add.build_line(dots.lanes), add.build_exact(dots.lanes)
    pool_of, twice, softmax = scalar.pool, scalar.twice, scalar.softmax
    largest = pool.build_largest(dots.lanes)

    @jit.helper
    def pooled(step: Any, place: int, constants: Any, arena: Any, scratch: Any) -> None:
        """One place of a pool, or of a sum over an image."""
        op, channels = step[Field.OP], step[Field.CHANNELS]
        count = np.int64(pool_of(step, arena, scratch, place, op == Op.MAX_POOL))
        at = step[Field.OUT] + constants.view(np.int32)[step[Field.OUT_PLACES] // 4 + place]
        low, high = step[Field.LOW], step[Field.HIGH]
        wide = constants.view(np.int64)
        for c in range(channels):
            y = np.int64(scratch[c])
            if op == Op.AVERAGE_POOL:
                y -= FLIP * count
                y = ((y + count // 2) // count if y > 0 else -((count // 2 - y) // count)) + FLIP
            elif op == Op.SUM:
                m, e = wide[step[Field.MULTIPLIERS] // 8], wide[step[Field.SHIFTS] // 8]
                y = twice(y - count * step[Field.A_ZERO], m, e) + step[Field.ZERO]
            arena[at + c] = uint8(min(max(y, low), high))

    @jit.helper
    def others(
        step: Any,
        first: int,
        last: int,
        constants: Any,
        arena: Any,
        sample: Any,
        out: Any,
        scratch: Any,
    ) -> None:
        """Rows, or places of a pool, of everything that is no product."""
        op, width = step[Field.OP], step[Field.WIDTH]
        if op == Op.MAX_POOL or op == Op.AVERAGE_POOL or op == Op.SUM:
            for place in range(first, last):
                pooled(step, place, constants, arena, scratch)
            return
        if op == Op.MAX_RUN:
            words, base = constants.view(np.int32), arena.ctypes.data
            for place in range(first, last):
                largest(
                    base + step[Field.SOURCE] + words[step[Field.PLACES] // 4 + place],
                    constants.ctypes.data + step[Field.SEGMENTS], step[Field.SEGMENT_COUNT], width,
                    base + step[Field.OUT] + words[step[Field.OUT_PLACES] // 4 + place],
                    step[Field.LOW], step[Field.HIGH], scratch.ctypes.data,
                )  # fmt: skip
            return
        for row in range(first, last):
            source = step[Field.SOURCE] + row * step[Field.SOURCE_PITCH]
            to = step[Field.OUT] + row * step[Field.OUT_PITCH]
            if op == Op.LOAD:
                given, kept = sample[source : source + width], arena[to : to + width]
                for i in range(width):
                    kept[i] = uint8(given[i]) ^ uint8(FLIP)
            elif op == Op.STORE:
                kept, wanted = arena[source : source + width], out[to : to + width]
                for i in range(width):
                    wanted[i] = np.int8(kept[i] ^ uint8(FLIP))
            elif op == Op.COPY:
                copy_bytes(arena.ctypes.data + to, arena.ctypes.data + source, width)
            elif op == Op.BORDER:
                top, bottom = step[Field.TOP], step[Field.HEIGHT] - step[Field.BOTTOM]
                left, right = step[Field.LEFT], step[Field.RIGHT]
                at, zero = arena.ctypes.data + to, step[Field.ZERO]
                if row < top or row >= bottom:
                    fill_bytes(at, zero, width)
                else:
                    fill_bytes(at, zero, left)
                    fill_bytes(at + width - right, zero, right)
            elif op == Op.TABLE:
                table = constants[step[Field.PARAMETERS] : step[Field.PARAMETERS] + 256]
                x, y = arena[source : source + width], arena[to : to + width]
                for i in range(width):
                    y[i] = table[x[i]]
            elif op == Op.SOFTMAX:
                softmax(step, constants, arena, row)
            else:
                base = arena.ctypes.data
                second = base + step[Field.SECOND] + row * step[Field.SECOND_PITCH]
                low, high = step[Field.LOW], step[Field.HIGH]
                if op == Op.ADD_LINE:
                    line(
                        base + source, second, width, base + to,
                        step[Field.MULTIPLIERS], step[Field.SHIFTS], step[Field.ZERO], low, high,
                        scratch.ctypes.data,
                    )  # fmt: skip
                else:
                    exact(
                        base + source, second, width, base + to,
                        constants.ctypes.data + step[Field.PARAMETERS],
                        step[Field.A_ZERO], step[Field.B_ZERO], step[Field.A_SIGN], step[Field.B_SIGN],
                        step[Field.MINUS], low, high, scratch.ctypes.data,
                    )  # fmt: skip

    return others
