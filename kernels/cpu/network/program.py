"""Runs the steps of a program (steps.py) on one sample, alone or with other threads.

Each thread that works on the same sample has its share of a step, much the same places in every step:
what it reads it wrote itself, and lies in its core's cache. It takes its share bit by bit, from a
counter of its own, then what others have left, and goes on to the next step when all is done: one that
comes late, or not at all, holds up nobody.
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
SPINS = 1000
"""Pauses before a thread that waits goes to sleep: some microseconds."""
COUNTER_BYTES = 64
"""From counter to counter: a cache line each."""


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

    run = _build_run(jit, *_build_work(jit, product, checked, runs, entries, others))
    finish([jit])
    return Kernels(dots, run, digits)


def _build_work(
    jit: Jit, product: Any, checked: Any, runs: Any, entries: Any, others: Any
) -> tuple[Any, Any]:
    """Return units_of, how many units a step has, and work, which does some of them."""

    @jit.helper
    def parts_of(step: int) -> int:
        """How many units the places of a step make."""
        unit = field(step, Field.UNIT)
        return (field(step, Field.COUNT) + unit - 1) // unit

    @jit.helper
    def units_of(step: int) -> int:
        """How many units a step has: those of its places, for each block of outputs."""
        outputs = field(step, Field.OUTPUTS)
        blocks = 1 if outputs < 0 else (field(step, Field.N) + outputs - 1) // outputs
        return parts_of(step) * blocks

    @jit.helper
    def work(step: int, number: int, units: int, memory: int) -> bool:
        """Do some units of a step, of one block; false: its committed sums are wrong."""
        op, parts, unit = field(step, Field.OP), parts_of(step), field(step, Field.UNIT)
        first = number % parts * unit
        last = min(first + units * unit, field(step, Field.COUNT))
        if op == Op.PRODUCT:
            if field(memory, Memory.SECRETS) and field(step, Field.DIGITS) >= 0:
                return checked(step, first, last, memory)
            product(step, first, last, number // parts * field(step, Field.OUTPUTS), memory)
        elif op == Op.DEPTHWISE:
            runs(step, first, last, memory)
        elif op == Op.DEPTHWISE_ENTRIES:
            entries(step, first, last, memory)
        else:
            others(step, first, last, memory)
        return True

    return units_of, work


def _build_run(jit: Jit, units_of: Any, work: Any) -> Any:
    @jit.helper
    def wait(count: int, done: int) -> None:
        """Return when so many units are done, as the counter at this address says."""
        turns = 0
        while atomic.read(done) < count:
            turns += 1
            if turns > SPINS:  # the thread that is waited for may have no core
                atomic.rest()

    @jit.kernel(
        "int64(int64[:,::1], int64[::1], int8[::1], int8[::1], int32[::1], int64[::1], int64, int64)"
    )
    def run(
        steps: Any, memory: Any, sample: Any, out: Any, sums: Any, counters: Any, thread: int,
        threads: int,
    ) -> int:  # fmt: skip
        """Return the step whose committed sums are wrong, or -1."""
        at = memory.ctypes.data
        put_int64(at + 8 * Memory.SAMPLE, sample.ctypes.data)
        put_int64(at + 8 * Memory.OUT, out.ctypes.data)
        put_int64(at + 8 * Memory.SUMS, int64(0))
        if len(sums):
            put_int64(at + 8 * Memory.SUMS, sums.ctypes.data)
        first, counter, waited = steps.ctypes.data, counters.ctypes.data, 0
        away = COUNTER_BYTES * (threads + 1)
        for s in range(len(steps)):
            step, done, mine = first + 8 * FIELDS * s, counter + away * s, int64(0)
            count, size = units_of(step), field(step, Field.CHUNK) // field(step, Field.UNIT)
            for turn in range(threads):
                owner = (thread + turn) % threads
                number = begin = (owner * count + threads - 1) // threads
                end = ((owner + 1) * count + threads - 1) // threads
                while number < end:
                    if threads > 1:
                        number = begin + atomic.add(done + COUNTER_BYTES * (1 + owner), size)
                        if number >= end:
                            break
                    some = min(size, end - number)
                    if not work(step, number, some, at):
                        return s
                    mine += some
                    number += some
            if threads > 1:
                if mine:
                    atomic.add(done, mine)
                while waited <= s and field(step, Field.BESIDE) < 1:
                    wait(units_of(first + 8 * FIELDS * waited), counter + away * waited)
                    waited += 1
        return -1

    return run


def _build_product(jit: Jit, dots: Dots, finish_sums: Any) -> Any:
    lanes, quad_bytes = dots.lanes, 4 * dots.lanes * dots.parts
    tile, step_bytes = tiles.build_tiles(dots), 4 * requantise.VECTORS
    has4, rows4, rows2, rows1 = 4 in dots.tiles, dots.tiles.get(4, 1), dots.tiles[2], dots.tiles[1]

    @jit.helper
    def product(step: int, first: int, last: int, channel: int, memory: int) -> None:
        """Some places of a convolution, OUTPUTS of its outputs."""
        base, arena = field(memory, Memory.CONSTANTS), field(memory, Memory.ARENA)
        scratch = field(memory, Memory.SCRATCH)
        count, quads = field(step, Field.SEGMENT_COUNT), field(step, Field.QUADS)
        n = min(channel + field(step, Field.OUTPUTS), field(step, Field.N))
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
        weights += channel // lanes * count * quads * quad_bytes
        starts += 4 * channel
        parameters += channel * step_bytes
        out += channel
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
