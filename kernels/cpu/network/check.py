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
from numba import int64

from kernels.cpu import ir
from kernels.cpu.ir import I32, I64, Builder, Value
from kernels.cpu.jit import Jit
from kernels.cpu.network import tiles
from kernels.cpu.network.access import add_rows, field, int32_at, int64_at, put_int64
from kernels.cpu.network.dots import Dots
from kernels.cpu.network.steps import Field, Memory

LANES = 8
"""Sums that are multiplied at once; a row's last ones go one by one."""
DIGITS = 8
VECTORS = 2
STARTS = 256
"""Bytes after the two sums of W r: zeros, which a tile starts from. Room for two sums follows."""


def build(jit: Jit, dots: Dots, finish_rows: Any) -> Any:
    """Return checked(step, first, last, memory) -> all right."""
    lanes = dots.lanes
    vectors = VECTORS * DIGITS // lanes
    rows, width = dots.tiles[vectors], VECTORS * DIGITS
    tile = tiles.build_sums(dots, vectors, rows)

    dots_of_row = _build_dots()

    @jit.helper
    def follows(step: int, at: int, row: int, memory: int) -> bool:
        """Whether a row of committed sums at `at` goes with the digits' sums in scratch at `row`."""
        n, secrets = field(step, Field.N), field(memory, Memory.SECRETS)
        random, moved = (
            secrets + field(step, Field.RANDOM),
            secrets + field(step, Field.WEIGHTS_SUM),
        )
        totals = moved + 8 * VECTORS + STARTS  # a place that is written in between
        whole = n // LANES * LANES
        for v in range(VECTORS):
            put_int64(totals + 8 * v, int64(0))
        if whole:
            dots_of_row(at, random, 8 * n, whole // LANES, totals)
        for v in range(VECTORS):
            total = int64_at(totals + 8 * v)
            for c in range(whole, n):
                total += int32_at(at + 4 * c) * int64_at(random + 8 * (v * n + c))
            word = int64(0)
            for d in range(DIGITS):
                word = (word << int64(8)) + int32_at(row + 4 * (v * DIGITS + DIGITS - 1 - d))
            if total != word - int64_at(moved + 8 * v):
                return False
        return True

    @jit.helper
    def checked(step: int, first: int, last: int, memory: int) -> bool:
        """Check some places, and go on from their sums; without r only the latter."""
        n, base = field(step, Field.N), field(memory, Memory.CONSTANTS)
        image = field(memory, Memory.ARENA) + field(step, Field.SOURCE)
        secrets, scratch = field(memory, Memory.SECRETS), field(memory, Memory.SCRATCH)
        starts = secrets + field(step, Field.WEIGHTS_SUM) + 8 * VECTORS
        absorbed = base + field(step, Field.ABSORBED)
        committed = field(memory, Memory.SUMS) + 4 * field(step, Field.COLUMN)
        pitch = (n + lanes - 1) // lanes * lanes
        for place in range(first, last, rows):
            some = min(rows, last - place)
            tested = some if field(step, Field.RANDOM) >= 0 else 0
            if tested:
                tile(
                    image, base + field(step, Field.PLACES) + 4 * place,
                    base + field(step, Field.SEGMENTS), field(step, Field.SEGMENT_COUNT),
                    field(step, Field.QUADS), secrets + field(step, Field.DIGITS), starts, scratch,
                    4 * width,
                )  # fmt: skip
            for r in range(tested):
                at = committed + 4 * n * (place + r)
                if not follows(step, at, scratch + 4 * r * width, memory):
                    return False
            for r in range(some):
                at = committed + 4 * n * (place + r)
                add_rows(scratch + 4 * r * pitch, at, absorbed, n)
            finish_rows(step, place, some, pitch, memory)
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
