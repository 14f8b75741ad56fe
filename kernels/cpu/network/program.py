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
from kernels.cpu.network.scalar import build_entries, build_roundings
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
    """(memory, samples, out, first, last, sums, pitch) -> step whose sums are wrong, or -1.

    `memory`: address of int64 by Memory's numbers. Samples and outputs are rows, of which first to last
    are worked on; `sums`: 0, or the address of the first one's, those of the next `pitch` bytes away.
    """
    digits: Any
    """check.build_digits."""


@cache
def kernels_of(dots: Dots) -> Kernels:
    """Return them, loaded or compiled."""
    jit = Jit(f"network-{dots.name}")
    roundings = build_roundings(jit)
    finish_sums, finish_rows = build_finish(jit, dots, roundings)
    product = _build_product(jit, dots, finish_sums)
    checked = check.build(jit, dots, finish_rows)
    digits = check.build_digits(jit, dots)
    runs, entries = _build_depthwise(jit, dots), build_entries(jit, roundings)
    others = build_others(jit, dots, roundings)
    run = _build_run(jit, _build_work(jit, product, checked, runs, entries, others))
    finish([jit])
    return Kernels(dots, run, digits)


def _build_work(jit: Jit, product: Any, checked: Any, runs: Any, entries: Any, others: Any) -> Any:
    """Return work(step, number, units, memory)."""

    @jit.helper
    def work(step: int, number: int, units: int, memory: int) -> bool:
        """Do some units of a step, of the same outputs; false: its committed sums are wrong."""
        op, unit, parts, block = (
            field(step, Field.OP),
            field(step, Field.UNIT),
            field(step, Field.PARTS),
            0,
        )
        if number >= parts:
            block = number // parts
            number -= block * parts
        first = number * unit
        last = min(first + units * unit, field(step, Field.COUNT))
        if op == Op.PRODUCT:
            if field(memory, Memory.SECRETS) and field(step, Field.DIGITS) >= 0:
                return checked(step, first, last, memory)
            product(step, first, last, block * field(step, Field.OUTPUTS), memory)
        elif op == Op.DEPTHWISE:
            runs(step, first, last, memory)
        elif op == Op.DEPTHWISE_ENTRIES:
            entries(step, first, last, memory)
        else:
            others(step, first, last, memory)
        return True

    return work


def _build_run(jit: Jit, work: Any) -> Any:
    @jit.helper
    def alone(memory: int) -> int:
        """All steps of a sample by one thread; return the step whose sums are wrong, or -1."""
        step = field(memory, Memory.STEPS)
        for s in range(field(memory, Memory.STEP_COUNT)):
            units, taken = field(step, Field.UNITS), field(step, Field.TAKEN)
            for number in range(0, units, taken):
                if not work(step, number, min(taken, units - number), memory):
                    return s
            step += 8 * FIELDS
        return -1

    @jit.helper
    def shared(step: int, done: int, memory: int) -> None:
        """This thread's share of a step, and what others have left; `done` is the step's counter."""
        units, taken = field(step, Field.UNITS), field(step, Field.TAKEN)
        thread, threads = field(memory, Memory.THREAD), field(memory, Memory.THREADS)
        mine = int64(0)
        for turn in range(threads):
            owner = (thread + turn) % threads
            begin = (owner * units + threads - 1) // threads
            end = ((owner + 1) * units + threads - 1) // threads
            while begin < end:
                number = begin + atomic.add(done + COUNTER_BYTES * (1 + owner), taken)
                if number >= end:
                    break
                some = min(taken, end - number)
                work(step, number, some, memory)
                mine += some
        if mine:
            atomic.add(done, mine)

    @jit.helper
    def wait(units: int, done: int) -> None:
        """Return when so many units are done, as the counter at this address says."""
        turns = 0
        while atomic.read(done) < units:
            turns += 1
            if turns > SPINS:  # the thread that is waited for may have no core
                atomic.rest()

    @jit.helper
    def together(memory: int) -> None:
        """All steps of a sample with other threads."""
        steps, counters = field(memory, Memory.STEPS), field(memory, Memory.COUNTERS)
        away, waited = COUNTER_BYTES * (field(memory, Memory.THREADS) + 1), 0
        for s in range(field(memory, Memory.STEP_COUNT)):
            step = steps + 8 * FIELDS * s
            shared(step, counters + away * s, memory)
            while waited <= s and field(step, Field.BESIDE) < 1:
                units = field(steps + 8 * FIELDS * waited, Field.UNITS)
                wait(units, counters + away * waited)
                waited += 1

    @jit.kernel("int64(int64, int8[:,::1], int8[:,::1], int64, int64, int64, int64)")
    def run(
        memory: int, samples: Any, out: Any, first: int, last: int, sums: int, pitch: int
    ) -> int:
        """See Kernels."""
        for i in range(first, last):
            put_int64(memory + 8 * Memory.SAMPLE, samples.ctypes.data + i * samples.shape[1])
            put_int64(memory + 8 * Memory.OUT, out.ctypes.data + i * out.shape[1])
            put_int64(memory + 8 * Memory.SUMS, sums)
            if field(memory, Memory.THREADS) > 1:
                together(memory)
            else:
                wrong = alone(memory)
                if wrong >= 0:
                    return wrong
            sums += pitch
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
