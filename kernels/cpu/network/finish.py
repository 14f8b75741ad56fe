"""Sums that lie in memory: committed to, scaled one by one, or by requantise.py after a check."""

from typing import Any

from numba import int64

from kernels.cpu.jit import Jit
from kernels.cpu.network import requantise
from kernels.cpu.network.access import field, int32_at, int64_at, put_byte, subtract_rows
from kernels.cpu.network.dots import Dots
from kernels.cpu.network.scalar import Roundings
from kernels.cpu.network.steps import Field, Memory, Scaling


def build_finish(jit: Jit, dots: Dots, roundings: Roundings) -> tuple[Any, Any]:
    """Return finish_sums, for what a tile leaves undone, and finish_rows, for a check's sums."""
    plain, signed = (requantise.build_rows(dots.lanes, kind) for kind in (False, True))
    twice, once = roundings.twice, roundings.once

    @jit.helper
    def one_by_one(
        step: int, place: int, rows: int, channel: int, n: int, pitch: int, memory: int
    ) -> None:
        """With any multiplier and shift."""
        base, source = field(memory, Memory.CONSTANTS), field(memory, Memory.SCRATCH)
        arena, twofold = field(memory, Memory.ARENA), field(step, Field.SCALING) == Scaling.TWICE
        m = base + field(step, Field.MULTIPLIERS) + 8 * channel
        e = base + field(step, Field.SHIFTS) + 8 * channel
        for r in range(rows):
            away = int32_at(base + field(step, Field.OUT_PLACES) + 4 * (place + r))
            to = arena + field(step, Field.OUT) + away + channel
            for c in range(n):
                x = int32_at(source + 4 * (r * pitch + c))
                multiplier, shift = int64_at(m + 8 * c), int64_at(e + 8 * c)
                y = twice(x, multiplier, shift) if twofold else once(x, multiplier, shift)
                y += field(step, Field.ZERO)
                put_byte(to + c, min(max(y, field(step, Field.LOW)), field(step, Field.HIGH)))

    @jit.helper
    def finish_sums(
        step: int, place: int, rows: int, channel: int, n: int, pitch: int, memory: int
    ) -> None:
        """Of `rows` places' sums in scratch, n of them from `channel` on: commit, scale one by one."""
        source, sums = field(memory, Memory.SCRATCH), field(memory, Memory.SUMS)
        if sums and field(step, Field.COLUMN) >= 0:
            more = field(memory, Memory.CONSTANTS) + field(step, Field.ABSORBED) + 4 * channel
            for r in range(rows):
                first = field(step, Field.COLUMN) + (place + r) * field(step, Field.N) + channel
                subtract_rows(sums + 4 * first, source + 4 * r * pitch, more, n)
        if field(step, Field.SCALING) > Scaling.SIGNED:
            one_by_one(step, place, rows, channel, n, pitch, memory)

    @jit.helper
    def finish_rows(step: int, place: int, rows: int, pitch: int, memory: int) -> None:
        """All of `rows` places' sums in scratch to bytes."""
        n, low, high = field(step, Field.N), field(step, Field.LOW), field(step, Field.HIGH)
        base, source = field(memory, Memory.CONSTANTS), field(memory, Memory.SCRATCH)
        at = base + field(step, Field.PARAMETERS)
        places = base + field(step, Field.OUT_PLACES) + 4 * place
        to, free = field(memory, Memory.ARENA) + field(step, Field.OUT), source + 4 * rows * pitch
        if field(step, Field.SCALING) == Scaling.PLAIN:
            plain(source, 4 * pitch, rows, at, n, to, places, low, high, free)
        elif field(step, Field.SCALING) == Scaling.SIGNED:
            signed(source, 4 * pitch, rows, at, n, to, places, low, high, free)
        else:
            one_by_one(
                step, place, rows, int64(0), n, pitch, memory
            )  # not a literal: compiled once

    return finish_sums, finish_rows
