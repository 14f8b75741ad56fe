"""Steps that are no product: what is done row by row, and pools place by place."""

from typing import Any

from kernels.cpu.ir import copy_bytes, fill_bytes
from kernels.cpu.jit import Jit
from kernels.cpu.network import add, pool
from kernels.cpu.network.access import (
    byte_at,
    field,
    flip_bytes,
    int32_at,
    int64_at,
    put_byte,
)
from kernels.cpu.network.dots import Dots
from kernels.cpu.network.scalar import Roundings, build_softmax, build_window
from kernels.cpu.network.steps import Field, Memory, Op

FLIP = 128


def build_others(jit: Jit, dots: Dots, roundings: Roundings) -> Any:
    """Return others(step, first, last, memory): rows, or places of a pool, or runs of one."""
    pooled, largest = _build_pooled(jit, roundings), pool.build_largest(dots.lanes)
    added, softmax = _build_added(jit, dots), build_softmax(jit, roundings)

    @jit.helper
    def bordered(step: int, row: int, to: int) -> None:
        """Fill what is around a row."""
        top, bottom = field(step, Field.TOP), field(step, Field.HEIGHT) - field(step, Field.BOTTOM)
        left, right = field(step, Field.LEFT), field(step, Field.RIGHT)
        zero, width = field(step, Field.ZERO), field(step, Field.WIDTH)
        if row < top or row >= bottom:
            fill_bytes(to, zero, width)
        else:
            fill_bytes(to, zero, left)
            fill_bytes(to + width - right, zero, right)

    @jit.helper
    def others(step: int, first: int, last: int, memory: int) -> None:
        op, width = field(step, Field.OP), field(step, Field.WIDTH)
        base, arena = field(memory, Memory.CONSTANTS), field(memory, Memory.ARENA)
        for row in range(first, last):
            source = field(step, Field.SOURCE) + row * field(step, Field.SOURCE_PITCH)
            to = field(step, Field.OUT) + row * field(step, Field.OUT_PITCH)
            if op == Op.LOAD:
                flip_bytes(arena + to, field(memory, Memory.SAMPLE) + source, width)
            elif op == Op.STORE:
                flip_bytes(field(memory, Memory.OUT) + to, arena + source, width)
            elif op == Op.COPY:
                copy_bytes(arena + to, arena + source, width)
            elif op == Op.BORDER:
                bordered(step, row, arena + to)
            elif op == Op.TABLE:
                table = base + field(step, Field.PARAMETERS)
                for i in range(width):
                    put_byte(arena + to + i, byte_at(table + byte_at(arena + source + i)))
            elif op == Op.SOFTMAX:
                softmax(step, row, memory)
            elif op == Op.MAX_RUN:
                at, out_at = field(step, Field.PLACES), field(step, Field.OUT_PLACES)
                largest(
                    arena + field(step, Field.SOURCE) + int32_at(base + at + 4 * row),
                    base + field(step, Field.SEGMENTS), field(step, Field.SEGMENT_COUNT), width,
                    arena + field(step, Field.OUT) + int32_at(base + out_at + 4 * row),
                    field(step, Field.LOW), field(step, Field.HIGH), field(memory, Memory.SCRATCH),
                )  # fmt: skip
            elif op == Op.ADD_LINE or op == Op.ADD_EXACT:
                second = field(step, Field.SECOND) + row * field(step, Field.SECOND_PITCH)
                added(step, arena + source, arena + second, arena + to, memory)
            else:
                pooled(step, row, memory)

    return others


def _build_added(jit: Jit, dots: Dots) -> Any:
    line, exact = add.build_line(dots.lanes), add.build_exact(dots.lanes)

    @jit.helper
    def added(step: int, a: int, b: int, to: int, memory: int) -> None:
        """A row of an addition."""
        width, scratch = field(step, Field.WIDTH), field(memory, Memory.SCRATCH)
        low, high = field(step, Field.LOW), field(step, Field.HIGH)
        if field(step, Field.OP) == Op.ADD_LINE:
            line(
                a, b, width, to, field(step, Field.MULTIPLIERS), field(step, Field.SHIFTS),
                field(step, Field.ZERO), low, high, scratch,
            )  # fmt: skip
        else:
            exact(
                a, b, width, to, field(memory, Memory.CONSTANTS) + field(step, Field.PARAMETERS),
                field(step, Field.A_ZERO), field(step, Field.B_ZERO), field(step, Field.A_SIGN),
                field(step, Field.B_SIGN), field(step, Field.MINUS), low, high, scratch,
            )  # fmt: skip

    return added


def _build_pooled(jit: Jit, roundings: Roundings) -> Any:
    seen, twice = build_window(jit), roundings.twice

    @jit.helper
    def pooled(step: int, place: int, memory: int) -> None:
        """One place of a pool, or of a sum over an image."""
        op, base = field(step, Field.OP), field(memory, Memory.CONSTANTS)
        scratch = field(memory, Memory.SCRATCH)
        count = seen(step, place, memory)
        to = field(memory, Memory.ARENA) + field(step, Field.OUT)
        to += int32_at(base + field(step, Field.OUT_PLACES) + 4 * place)
        for c in range(field(step, Field.CHANNELS)):
            y = int32_at(scratch + 4 * c)
            if op == Op.AVERAGE_POOL:
                y -= FLIP * count
                y = ((y + count // 2) // count if y > 0 else -((count // 2 - y) // count)) + FLIP
            elif op == Op.SUM:
                m = int64_at(base + field(step, Field.MULTIPLIERS))
                e = int64_at(base + field(step, Field.SHIFTS))
                y = twice(y - count * field(step, Field.A_ZERO), m, e) + field(step, Field.ZERO)
            put_byte(to + c, min(max(y, field(step, Field.LOW)), field(step, Field.HIGH)))

    return pooled
