"""Sums that lie in memory: committed to, scaled one by one, or by requantise.py after a check."""

from typing import Any

import numpy as np
from numba import uint8

from kernels.cpu.jit import Jit
from kernels.cpu.network import requantise
from kernels.cpu.network.dots import Dots
from kernels.cpu.network.scalar import Scalar
from kernels.cpu.network.steps import Field, Scaling


def build_finish(jit: Jit, dots: Dots, scalar: Scalar) -> tuple[Any, Any]:
    """Return finish_sums, for what a tile leaves undone, and finish_rows, for a check's sums."""
    plain, signed = (requantise.build_rows(dots.lanes, kind) for kind in (False, True))
    twice, once = scalar.twice, scalar.once

    @jit.helper
    def finish_sums(
        step: Any, place: int, rows: int, channel: int, n: int, pitch: int,
        constants: Any, arena: Any, sums: Any, scratch: Any,
    ) -> None:  # fmt: skip
        """Of `rows` places' sums in scratch, n of them from `channel` on: commit, scale one by one."""
        if len(sums) and step[Field.COLUMN] >= 0:
            begin = step[Field.ABSORBED] // 4 + channel
            more = constants.view(np.int32)[begin : begin + n]
            for r in range(rows):
                first = step[Field.COLUMN] + (place + r) * step[Field.N] + channel
                target, source = sums[first : first + n], scratch[r * pitch : r * pitch + n]
                for c in range(n):
                    target[c] = source[c] - more[c]
        if step[Field.SCALING] <= Scaling.SIGNED:
            return
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
    def finish_rows(
        step: Any, place: int, rows: int, pitch: int, constants: Any, arena: Any, scratch: Any
    ) -> None:
        """All of `rows` places' sums in scratch to bytes."""
        n, low, high = step[Field.N], step[Field.LOW], step[Field.HIGH]
        base, source = constants.ctypes.data, scratch.ctypes.data
        at, places = base + step[Field.PARAMETERS], base + step[Field.OUT_PLACES] + 4 * place
        to, free = arena.ctypes.data + step[Field.OUT], source + 4 * rows * pitch
        if step[Field.SCALING] == Scaling.PLAIN:
            plain(source, 4 * pitch, rows, at, n, to, places, low, high, free)
        elif step[Field.SCALING] == Scaling.SIGNED:
            signed(source, 4 * pitch, rows, at, n, to, places, low, high, free)
        else:
            first = np.int64(0)  # not a literal: one function for all calls
            finish_sums(step, place, rows, first, n, pitch, constants, arena, scratch[:0], scratch)

    return finish_sums, finish_rows
