"""Freivalds' check of a convolution's committed sums, modulo 2^64, with nothing laid out.

    C r == A (W r)          at every place, for two vectors r of 64-bit words

W r is one vector of k words for each r, computed once for all samples of a check, and held in eight
signed digits of 8 bits: so A (W r) for both vectors is a small convolution with 16 outputs, by the same
tiles as any other, and its sums are put together again to words. C r takes 64-bit multiply-adds. Then
the layer goes on from the committed sums.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import int32, int64

from kernels.cpu import ir
from kernels.cpu.ir import I32, I64, Builder, Value
from kernels.cpu.jit import Jit
from kernels.cpu.network import tiles
from kernels.cpu.network.dots import Dots
from kernels.cpu.network.steps import Field

LANES = 8
"""Sums that are multiplied at once; a row's last ones go one by one."""
DIGITS = 8
VECTORS = 2


def build(jit: Jit, dots: Dots, finish_rows: Any) -> Any:
    """Return checked(step, first, last, constants, secrets, arena, sums, scratch) -> all right."""
    lanes = dots.lanes
    vectors = VECTORS * DIGITS // lanes
    rows, width = dots.tiles[vectors], VECTORS * DIGITS
    tile = tiles.build_sums(dots, vectors, rows)

    dots_of_row = _build_dots()

    @jit.helper
    def checked(
        step: Any,
        first: int,
        last: int,
        constants: Any,
        secrets: Any,
        arena: Any,
        sums: Any,
        scratch: Any,
    ) -> bool:
        """Check some places, and go on from their sums; without r only the latter."""
        n, base = step[Field.N], constants.ctypes.data
        image, into = arena.ctypes.data + step[Field.SOURCE], scratch.ctypes.data
        hidden = secrets.ctypes.data
        words = secrets.view(np.int64)
        starts = hidden + step[Field.WEIGHTS_SUM]
        begin = step[Field.RANDOM] // 8
        absorbed = constants.view(np.int32)[
            step[Field.ABSORBED] // 4 : step[Field.ABSORBED] // 4 + n
        ]
        zero = step[Field.WEIGHTS_SUM] // 8
        totals = np.zeros(VECTORS, np.int64)
        pitch = (n + lanes - 1) // lanes * lanes
        for place in range(first, last, rows):
            some = min(rows, last - place)
            tested = some if step[Field.RANDOM] >= 0 else 0
            if tested:
                tile(
                    image, base + step[Field.PLACES] + 4 * place, base + step[Field.SEGMENTS],
                    step[Field.SEGMENT_COUNT], step[Field.QUADS], hidden + step[Field.DIGITS],
                    starts + 8 * VECTORS, into, 4 * width,
                )  # fmt: skip
            for r in range(tested):
                at = step[Field.COLUMN] + (place + r) * n
                whole = n // LANES * LANES
                totals[0] = totals[1] = int64(0)
                if whole:
                    row = sums.ctypes.data + 4 * at
                    dots_of_row(row, hidden + 8 * begin, 8 * n, whole // LANES, totals.ctypes.data)
                for c in range(whole, n):
                    entry = int64(sums[at + c])
                    totals[0] += entry * words[begin + c]
                    totals[1] += entry * words[begin + n + c]
                for v in range(VECTORS):
                    word = int64(0)
                    for d in range(DIGITS):
                        digit = scratch[r * width + v * DIGITS + DIGITS - 1 - d]
                        word = (word << int64(8)) + int64(digit)
                    word -= words[zero + v]
                    if totals[v] != word:
                        return False
            for r in range(some):
                at = step[Field.COLUMN] + (place + r) * n
                claimed, source = sums[at : at + n], scratch[r * pitch : r * pitch + n]
                for c in range(n):
                    source[c] = claimed[c] + int32(absorbed[c])
            finish_rows(step, place, some, pitch, constants, arena, scratch)
        return True

    return checked


def _build_dots() -> Any:
    """Return dots(row, r, apart, count, out): a row of int32 times both vectors, `apart` bytes apart.

    `count` times LANES entries; both sums, int64, go to `out`.
    """
    narrow, wide = ir.vector(I32, LANES), ir.vector(I64, LANES)

    @ir.inline
    def dots(
        builder: Builder, row: Value, random: Value, apart: Value, count: Value, out: Value
    ) -> None:
        """Vector by vector, modulo 2^64."""

        def vector(_turn: Value, carried: Sequence[Value]) -> list[Value]:
            row, random, *totals = carried
            entries = builder.sext(ir.load(builder, narrow, row, 4), wide)
            places = (random, builder.add(random, apart))
            for v, place in enumerate(places):
                product = builder.mul(entries, ir.load(builder, wide, place, 8))
                totals[v] = builder.add(totals[v], product)
            return [
                ir.offset(builder, row, 4 * LANES),
                ir.offset(builder, random, 8 * LANES),
                *totals,
            ]

        zero = ir.splat(wide, 0)
        _, _, *totals = ir.loop(builder, count, [row, random, *[zero] * VECTORS], vector)
        for v, total in enumerate(totals):
            whole = ir.call(builder, f"llvm.vector.reduce.add.v{LANES}i64", I64, total)
            ir.store(builder, whole, ir.offset(builder, out, 8 * v), 8)

    return dots


def build_digits(jit: Jit, dots: Dots) -> Any:
    """Return digits(weights, n x k, r, VECTORS x n, length, packed, words): W r as tiles read it.

    `length` is that of a segment; `packed` was zeroed, `words` gets W r.
    """
    parts = dots.parts
    columns = VECTORS * DIGITS

    @jit.kernel("void(int8[:,::1], int64[:,::1], int64, uint8[::1], int64[:,::1])")
    def digits(weights: Any, random: Any, length: int, packed: Any, words: Any) -> None:
        n, k = weights.shape
        quads = (length + 3) // 4
        pairs = packed.view(np.int16)
        for v in range(VECTORS):
            into = words[v]
            into[:] = 0
            for o in range(n):
                r, row = random[v, o], weights[o]
                for x in range(k):
                    into[x] += r * int64(row[x])
            for x in range(k):
                quad, b = x // length * quads + x % length // 4, x % length % 4
                left = into[x]
                for d in range(DIGITS):
                    digit = ((left + int64(128)) & int64(255)) - int64(128)
                    left = (left - digit) >> int64(8)
                    column = v * DIGITS + d
                    if parts == 1:
                        packed[(quad * columns + column) * 4 + b] = np.uint8(digit & int64(255))
                    else:
                        at = ((quad * 2 + b % 2) * columns + column) * 2 + b // 2
                        pairs[at] = np.int16(digit)

    return digits
