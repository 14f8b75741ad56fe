"""Runs the steps of a program (steps.py) on one sample, alone or with other threads.

Threads that work on the same sample take the chunks of a step one by one from a counter, and go on to
the next step when all are done: one that comes late, or not at all, holds up nobody.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

from numba import int64

from kernels.cpu.jit import Jit, finish
from kernels.cpu.network import atomic, check, depthwise, requantise, tiles
from kernels.cpu.network.access import field, put_int64
from kernels.cpu.network.dots import Dots
from kernels.cpu.network.finish import build_finish
from kernels.cpu.network.others import build_others
from kernels.cpu.network.scalar import Scalar
from kernels.cpu.network.steps import FIELDS, Field, Memory, Op, Scaling

LEFT_OVER = 2
"""So many places go one by one, and not with copies of the last in a whole tile."""
SPINS = 300
"""Pauses before a thread that waits goes to sleep: some microseconds."""


@dataclass(frozen=True, slots=True)
class Kernels:
    """The compiled program of one way to multiply."""

    dots: Dots
    run: Any
    """(steps, memory, sample, out, sums, counters, shared): memory is int64, by Memory's numbers."""
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
    others = build_others(jit, dots, scalar)

    @jit.helper
    def chunk(step: int, number: int, memory: int) -> bool:
        """Do a chunk of a step; false: its committed sums are wrong."""
        first = number * field(step, Field.CHUNK)
        last = min(first + field(step, Field.CHUNK), field(step, Field.COUNT))
        op = field(step, Field.OP)
        if op == Op.PRODUCT:
            if field(memory, Memory.SECRETS) and field(step, Field.DIGITS) >= 0:
                return checked(step, first, last, memory)
            product(step, first, last, memory)
        elif op == Op.DEPTHWISE:
            runs(step, first, last, memory)
        elif op == Op.DEPTHWISE_ENTRIES:
            entries(step, first, last, memory)
        else:
            others(step, first, last, memory)
        return True

    @jit.helper
    def chunks(step: int) -> int:
        """How many a step has."""
        size = field(step, Field.CHUNK)
        return (field(step, Field.COUNT) + size - 1) // size

    @jit.helper
    def wait(step: int, done: int) -> None:
        """Return when all chunks of a step are done, as the counter at this address says."""
        count, turns = chunks(step), 0
        while atomic.read(done) < count:
            turns += 1
            if turns > SPINS:  # the thread that is waited for may have no core
                atomic.rest()

    @jit.kernel(
        "int64(int64[:,::1], int64[::1], int8[::1], int8[::1], int32[::1], int64[::1], boolean)"
    )
    def run(
        steps: Any, memory: Any, sample: Any, out: Any, sums: Any, counters: Any, shared: bool
    ) -> int:
        """Return the step whose committed sums are wrong, or -1."""
        at = memory.ctypes.data
        put_int64(at + 8 * Memory.SAMPLE, sample.ctypes.data)
        put_int64(at + 8 * Memory.OUT, out.ctypes.data)
        put_int64(at + 8 * Memory.SUMS, int64(0))
        if len(sums):
            put_int64(at + 8 * Memory.SUMS, sums.ctypes.data)
        first, counter, waited = steps.ctypes.data, counters.ctypes.data, 0
        for s in range(len(steps)):
            step, taken, number = first + 8 * FIELDS * s, counter + 16 * s, int64(0)
            count = chunks(step)
            while True:
                if shared:
                    number = atomic.take(taken)
                if number >= count:
                    break
                if not chunk(step, number, at):
                    return s
                if shared:
                    atomic.take(taken + 8)
                number += 1
            while shared and waited <= s and field(step, Field.BESIDE) < 1:
                wait(first + 8 * FIELDS * waited, counter + 16 * waited + 8)
                waited += 1
        return -1

    finish([jit])
    return Kernels(dots, run, digits)


def _build_product(jit: Jit, dots: Dots, finish_sums: Any) -> Any:
    lanes, quad_bytes = dots.lanes, 4 * dots.lanes * dots.parts
    tile, step_bytes = tiles.build_tiles(dots), 4 * requantise.VECTORS
    has4, rows4, rows2, rows1 = 4 in dots.tiles, dots.tiles.get(4, 1), dots.tiles[2], dots.tiles[1]

    @jit.helper
    def product(step: int, first: int, last: int, memory: int) -> None:
        """Some places of a convolution, all its outputs."""
        base, arena = field(memory, Memory.CONSTANTS), field(memory, Memory.ARENA)
        scratch = field(memory, Memory.SCRATCH)
        n, count, quads = (
            field(step, Field.N), field(step, Field.SEGMENT_COUNT), field(step, Field.QUADS),
        )  # fmt: skip
        low, high = field(step, Field.LOW), field(step, Field.HIGH)
        scaling, committed = field(step, Field.SCALING), field(step, Field.COLUMN) >= 0
        keep = int64(scaling > Scaling.SIGNED or (committed and field(memory, Memory.SUMS) != 0))
        image, out = arena + field(step, Field.SOURCE), arena + field(step, Field.OUT)
        weights, starts = base + field(step, Field.WEIGHTS), base + field(step, Field.STARTS)
        segments = base + field(step, Field.SEGMENTS)
        parameters = base + field(step, Field.PARAMETERS)
        places, out_places = (
            base + field(step, Field.PLACES), base + field(step, Field.OUT_PLACES),
        )  # fmt: skip
        channel = 0
        while channel < n:
            left = n - channel
            vectors = 4 if has4 and left > 3 * lanes else (2 if left > lanes else 1)
            most = rows4 if vectors == 4 else (rows2 if vectors == 2 else rows1)
            width = vectors * lanes
            place = first
            while place < last:
                rows = most if last - place > LEFT_OVER else 1
                tile(
                    vectors, rows, image, places + 4 * place, segments, count, quads, weights,
                    starts, scratch, keep, scaling, parameters, left, out, out_places + 4 * place,
                    low, high,
                )  # fmt: skip
                if keep:
                    some = min(rows, last - place)
                    finish_sums(step, place, some, channel, min(width, left), width, memory)
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
    def runs(step: int, first: int, last: int, memory: int) -> None:
        """Some runs of a depthwise convolution."""
        base, arena = field(memory, Memory.CONSTANTS), field(memory, Memory.ARENA)
        for place in range(first, last, rows):
            kernel(
                arena + field(step, Field.SOURCE), base + field(step, Field.PLACES) + 4 * place,
                base + field(step, Field.SEGMENTS), field(step, Field.QUADS),
                base + field(step, Field.WEIGHTS), base + field(step, Field.STARTS),
                field(step, Field.PERIOD), field(step, Field.SCALING),
                base + field(step, Field.PARAMETERS), field(step, Field.WIDTH),
                arena + field(step, Field.OUT), base + field(step, Field.OUT_PLACES) + 4 * place,
                field(step, Field.LOW), field(step, Field.HIGH), field(memory, Memory.SCRATCH),
            )  # fmt: skip

    return runs
