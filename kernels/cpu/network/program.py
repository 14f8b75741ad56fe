"""Runs the steps of a program (steps.py) on one sample, alone or with other threads.

Threads that work on the same sample take the chunks of a step one by one from a counter, and go on to
the next step when all are done: one that comes late, or not at all, holds up nobody.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numba import uint8

from kernels.cpu.ir import copy_bytes, fill_bytes
from kernels.cpu.jit import Jit, finish
from kernels.cpu.network import add, atomic, check, depthwise, requantise, tiles
from kernels.cpu.network.dots import Dots
from kernels.cpu.network.scalar import Scalar
from kernels.cpu.network.steps import Field, Op, Scaling

PLACES = 8
"""Rows of the widest tile."""
FLIP = 128


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
    finish_tile = _build_finish(jit, dots, scalar)
    product = _build_product(jit, dots, finish_tile)
    checked = check.build(jit, dots, finish_tile)
    digits = check.build_digits(jit, dots)
    seen = _build_depthwise(jit, dots, finish_tile)
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
            seen(step, first, last, constants, arena, sums, scratch)
        else:
            others(step, first, last, constants, arena, sample, out, scratch)
        return True

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
        held = np.zeros(1, np.int64)
        for s in range(len(steps)):
            step = steps[s]
            count = (step[Field.COUNT] + step[Field.CHUNK] - 1) // step[Field.CHUNK]
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
            while shared:
                atomic.read(taken + 8, held.ctypes.data)
                if held[0] >= count:
                    break
        return -1

    finish([jit])
    return Kernels(dots, run, digits)


def _build_finish(jit: Jit, dots: Dots, scalar: Scalar) -> Any:
    above, signed, symmetric = (requantise.build_rows(dots.lanes, bit) for bit in (None, 31, 0))
    step_bytes = 4 * requantise.VECTORS
    twice, once = scalar.twice, scalar.once

    @jit.helper
    def commit(
        step: Any, place: int, rows: int, channel: int, n: int, pitch: int,
        constants: Any, sums: Any, scratch: Any,
    ) -> None:  # fmt: skip
        """What a layered result has of these sums: those of x * w alone."""
        begin = step[Field.ABSORBED] // 4 + channel
        more = constants.view(np.int32)[begin : begin + n]
        for r in range(rows):
            first = step[Field.COLUMN] + (place + r) * step[Field.N] + channel
            target, source = sums[first : first + n], scratch[r * pitch : r * pitch + n]
            for c in range(n):
                target[c] = source[c] - more[c]

    @jit.helper
    def one_by_one(
        step: Any, place: int, rows: int, channel: int, n: int, pitch: int,
        constants: Any, arena: Any, scratch: Any,
    ) -> None:  # fmt: skip
        """With any multiplier and shift."""
        wide = constants.view(np.int64)
        table = step[Field.OUT_PLACES] // 4 + place
        m, e = step[Field.MULTIPLIERS] // 8 + channel, step[Field.SHIFTS] // 8 + channel
        for r in range(rows):
            to = step[Field.OUT] + constants.view(np.int32)[table + r] + channel
            for c in range(n):
                x = np.int64(scratch[r * pitch + c])
                if step[Field.SCALING] == Scaling.TWICE:
                    y = twice(x, wide[m + c], wide[e + c])
                else:
                    y = once(x, wide[m + c], wide[e + c])
                y += step[Field.ZERO]
                arena[to + c] = uint8(min(max(y, step[Field.LOW]), step[Field.HIGH]))

    @jit.helper
    def finish_tile(
        step: Any, place: int, rows: int, channel: int, n: int, pitch: int,
        constants: Any, arena: Any, sums: Any, scratch: Any,
    ) -> None:  # fmt: skip
        """From `rows` places' sums in scratch, n of them from `channel` on, to bytes; committed to."""
        if len(sums) and step[Field.COLUMN] >= 0:
            commit(step, place, rows, channel, n, pitch, constants, sums, scratch)
        scaling, low, high = step[Field.SCALING], step[Field.LOW], step[Field.HIGH]
        base, source = constants.ctypes.data, scratch.ctypes.data
        at = base + step[Field.PARAMETERS] + channel * step_bytes
        places = base + step[Field.OUT_PLACES] + 4 * place
        to = arena.ctypes.data + step[Field.OUT] + channel
        if scaling == Scaling.ABOVE_ZERO:
            above(source, 4 * pitch, rows, at, n, to, places, low, high)
        elif scaling == Scaling.SIGNED:
            signed(source, 4 * pitch, rows, at, n, to, places, low, high)
        elif scaling == Scaling.SYMMETRIC:
            symmetric(source, 4 * pitch, rows, at, n, to, places, low, high)
        else:
            one_by_one(step, place, rows, channel, n, pitch, constants, arena, scratch)

    return finish_tile


def _build_product(jit: Jit, dots: Dots, finish_tile: Any) -> Any:
    lanes, quad_bytes = dots.lanes, 4 * dots.lanes * dots.parts
    many = {v: (tiles.build_tile(dots, v, rows), rows) for v, rows in dots.tiles.items()}
    one = {v: tiles.build_tile(dots, v, 1) for v in dots.tiles}
    # Without 4 vectors (few registers) that branch is never taken.
    tile4, rows4 = many.get(4, many[2])
    (tile2, rows2), (tile1, rows1) = many[2], many[1]
    one4, one2, one1 = one.get(4, one[2]), one[2], one[1]
    has4 = 4 in many

    @jit.helper
    def product(
        step: Any, first: int, last: int, constants: Any, arena: Any, sums: Any, scratch: Any
    ) -> None:
        """Some places of a convolution, all its outputs."""
        n, count, quads = step[Field.N], step[Field.SEGMENT_COUNT], step[Field.QUADS]
        base = constants.ctypes.data
        image, segments = arena.ctypes.data + step[Field.SOURCE], base + step[Field.SEGMENTS]
        places, w = base + step[Field.PLACES], base + step[Field.WEIGHTS]
        starts, into = base + step[Field.STARTS], scratch.ctypes.data
        single = step[Field.COUNT] == 1
        channel = 0
        while channel < n:
            left = n - channel
            vectors = 4 if has4 and left > 3 * lanes else (2 if left > lanes else 1)
            rows = 1 if single else (rows4 if vectors == 4 else (rows2 if vectors == 2 else rows1))
            width = vectors * lanes
            start = starts + 4 * channel
            for place in range(first, last, rows):
                at = places + 4 * place
                if single:
                    if vectors == 4:
                        one4(image, at, segments, count, quads, w, start, into, 4 * width)
                    elif vectors == 2:
                        one2(image, at, segments, count, quads, w, start, into, 4 * width)
                    else:
                        one1(image, at, segments, count, quads, w, start, into, 4 * width)
                elif vectors == 4:
                    tile4(image, at, segments, count, quads, w, start, into, 4 * width)
                elif vectors == 2:
                    tile2(image, at, segments, count, quads, w, start, into, 4 * width)
                else:
                    tile1(image, at, segments, count, quads, w, start, into, 4 * width)
                some = min(rows, last - place)
                finish_tile(
                    step, place, some, channel, min(width, left), width,
                    constants, arena, sums, scratch,
                )  # fmt: skip
            channel += width
            w += count * quads * quad_bytes * vectors

    return product


def _build_depthwise(jit: Jit, dots: Dots, finish_tile: Any) -> Any:
    lanes, tap_bytes = dots.lanes, 4 * dots.lanes * dots.parts
    kernel, rows = depthwise.build_depthwise(dots), depthwise.ROWS

    @jit.helper
    def seen(
        step: Any, first: int, last: int, constants: Any, arena: Any, sums: Any, scratch: Any
    ) -> None:
        """Some places of a depthwise convolution, all its channels."""
        base, n, groups = constants.ctypes.data, step[Field.N], step[Field.QUADS]
        image, taps = arena.ctypes.data + step[Field.SOURCE], base + step[Field.SEGMENTS]
        vectors = (n + lanes - 1) // lanes
        pitch = vectors * lanes
        for place in range(first, last, rows):
            at, w = base + step[Field.PLACES] + 4 * place, base + step[Field.WEIGHTS]
            for vector in range(vectors):
                away = vector * lanes
                start, into = base + step[Field.STARTS] + 4 * away, scratch.ctypes.data + 4 * away
                kernel(image + away, at, taps, groups, w, start, into, 4 * pitch)
                w += groups * tap_bytes
            some = min(rows, last - place)
            finish_tile(step, place, some, 0, n, pitch, constants, arena, sums, scratch)

    return seen


def _build_others(jit: Jit, dots: Dots, scalar: Scalar) -> Any:
    line, exact = add.build_line(dots.lanes), add.build_exact(dots.lanes)
    pool, twice, softmax = scalar.pool, scalar.twice, scalar.softmax

    @jit.helper
    def pooled(step: Any, place: int, constants: Any, arena: Any, scratch: Any) -> None:
        """One place of a pool, or of a sum over an image."""
        op, channels = step[Field.OP], step[Field.CHANNELS]
        count = np.int64(pool(step, arena, scratch, place, op == Op.MAX_POOL))
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
                    )  # fmt: skip
                else:
                    exact(
                        base + source, second, width, base + to,
                        constants.ctypes.data + step[Field.PARAMETERS],
                        step[Field.A_ZERO], step[Field.B_ZERO], step[Field.A_LEFT], step[Field.B_LEFT],
                        step[Field.A_SIGN], step[Field.B_SIGN], step[Field.MINUS], low, high,
                    )  # fmt: skip

    return others
