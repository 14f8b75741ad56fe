"""Sums to bytes: bias is in the sums already, and both of gemmlowp's roundings are one shift.

    h = floor((s m + 2^30) / 2^31)                         SaturatingRoundingDoublingHighMul
    y = floor((h + 2^(e-1) - (h < 0)) / 2^e) + zero        RoundingDivideByPOT, e >= 1

Floors of floors are one floor: with C = 2^30 + 2^(30+e) + zero 2^(31+e)

    y = floor((s m + C - (s < 0) 2^31) / 2^(31+e))

in 64 bits, for every int32 s. (Where s < 0 and h = 0, both give 0.) Products are of 32 bits, those of
even lanes and those of odd ones; their upper halves are put together again. That is a shift by 32, so
there are two ways:

    plain    without the term for s < 0: the upper half of s m + C, shifted by e - 1
    signed   with it: the upper half of 2 s m + 2 C, from which (s < 0) is taken, shifted by e

Without the term only values below `zero` differ: a layer that clamps there (a ReLU) takes `plain`.

    parameters of `lanes` channels, 32 bits each:  m, C in units of 2^30, shifts
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.cpu import ir
from kernels.cpu.ir import I32, I64, Builder, Value
from kernels.cpu.network import pack
from kernels.cpu.network.access import distance

MOST_SHIFT = 22
"""Largest e: 2 s m + 2 C stays in 64 bits for |s| < 2^30."""
UNITS = 30
"""C is a multiple of 2^UNITS, and less than 2^62: 2^30 + 2^(30+e) (2 zero + 1), perhaps doubled."""
MOST_SUM = 1 << 30
"""Sums are smaller where they are doubled."""
FIRST = 1 << 30
"""What SaturatingRoundingDoublingHighMul adds."""
VECTORS = 3
"""Vectors of parameters for one vector of channels."""
Numbers = npt.NDArray[np.integer]


def parameters(
    multiplier: Numbers, shift: Numbers, zero: int | Numbers, lanes: int, signed: bool
) -> npt.NDArray[np.uint8] | None:
    """Return the parameters of these channels, e = shift; None where some e is out of range.

    `zero` is one number, or each channel's.
    """
    e = shift.astype(np.int64)
    if e.min() < 1 or e.max() > MOST_SHIFT:
        return None
    constant = FIRST + (np.int64(1) << (30 + e)) + (np.asarray(zero, np.int64) << (31 + e))
    return blocks(multiplier, constant << signed, e - 1 + signed, lanes)


def blocks(
    multiplier: Numbers, constant: Numbers, shift: Numbers, lanes: int
) -> npt.NDArray[np.uint8]:
    """Return parameters as they lie, a row for each `lanes` channels."""
    vectors = -(-len(multiplier) // lanes)
    padded = np.zeros((3, vectors * lanes), np.int64)
    for row, given in zip(padded, (multiplier, constant >> UNITS, shift), strict=True):
        row[: len(given)] = given
    by_vector = padded.astype(np.uint32).reshape(3, vectors, lanes).swapaxes(0, 1)
    return np.ascontiguousarray(by_vector).view(np.uint8).reshape(vectors, -1)


def load_parameters(builder: Builder, at: Value, lanes: int) -> list[Value]:
    """Return `lanes` channels' parameters; in the block that uses them, or VPMULDQ is not seen."""
    wide, size = ir.vector(I64, lanes // 2), 4 * lanes
    m, c = (ir.load(builder, wide, ir.offset(builder, at, size * i), size) for i in range(2))
    shift = ir.load(builder, ir.vector(I32, lanes), ir.offset(builder, at, 2 * size), size)
    upper = builder.and_(c, ir.splat(wide, -(1 << 32)))
    sides = builder.shl(c, ir.splat(wide, 32)), upper
    constants = (builder.lshr(x, ir.splat(wide, 32 - UNITS)) for x in sides)
    return [_low(builder, m), _high(builder, m), *constants, shift]


def scaled(builder: Builder, sums: Value, given: Sequence[Value], signed: bool) -> Value:
    """Return y, not clamped, of `lanes` sums with these parameters."""
    if not signed:
        return builder.ashr(upper_halves(builder, sums, given), given[-1])
    y = upper_halves(builder, builder.add(sums, sums), given)
    negative = builder.ashr(sums, ir.splat(sums.type, 31))
    return builder.ashr(builder.add(y, negative), given[-1])


def upper_halves(builder: Builder, s: Value, given: Sequence[Value]) -> Value:
    """Return the upper half of s m + C in each lane."""
    kind = s.type
    lanes = kind.count
    even, odd, *constants, _shift = given
    wide = builder.bitcast(s, even.type)
    sides = _low(builder, wide), _high(builder, wide)
    halves = [
        builder.bitcast(builder.add(builder.mul(x, m), constant), kind)
        for x, m, constant in zip(sides, (even, odd), constants, strict=True)
    ]
    places = [1 + i - i % 2 + lanes * (i % 2) for i in range(lanes)]
    return builder.shuffle_vector(*halves, ir.lanes_from(ir.vector(I32, lanes), places))


def _low(builder: Builder, x: Value) -> Value:
    """Return the lower halves of int64, with their signs."""
    half = ir.splat(x.type, 32)
    return builder.ashr(builder.shl(x, half), half)


def _high(builder: Builder, x: Value) -> Value:
    """Return the upper halves."""
    return builder.ashr(x, ir.splat(x.type, 32))


def build_rows(lanes: int, signed: bool) -> Any:
    """Return rows(sums, pitch, count, parameters, n, out, places, low, high, free).

    Of `count` places, n sums each, rows of them `pitch` bytes apart, to n bytes at `out` and the
    place's distance, int32; `free`: pack.store_first.
    """

    @ir.inline
    def rows(
        builder: Builder,
        sums: Value,
        pitch: Value,
        count: Value,
        at: Value,
        n: Value,
        out: Value,
        places: Value,
        low: Value,
        high: Value,
        free: Value,
    ) -> None:
        """Vector by vector; `sums` is padded to whole ones, `out` need not be."""
        vectors = builder.udiv(builder.add(n, I64(lanes - 1)), I64(lanes))

        def row(_turn: Value, carried: Sequence[Value]) -> list[Value]:
            sums, places = carried
            away = distance(builder, places, I64(0))

            def vector(turn: Value, carried: Sequence[Value]) -> list[Value]:
                sums, at, out = carried
                s = ir.load(builder, ir.vector(I32, lanes), sums, 4)
                y = scaled(builder, s, load_parameters(builder, at, lanes), signed)
                octets = pack.limited(builder, pack.packed(builder, [y] * pack.TOGETHER), low, high)
                some = pack.part(builder, pack.in_order(builder, octets), 0, lanes)
                left = builder.sub(n, builder.mul(turn, I64(lanes)))
                pack.store_first(builder, [some], [out], left, free, lanes)
                steps = (4 * lanes, 4 * lanes * VECTORS, lanes)
                return [ir.offset(builder, x, step) for x, step in zip(carried, steps, strict=True)]

            ir.loop(builder, vectors, [sums, at, builder.add(out, away)], vector)
            return [builder.add(sums, pitch), ir.offset(builder, places, 4)]

        ir.loop(builder, count, [sums, places], row)

    return rows
