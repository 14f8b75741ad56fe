"""Sums to bytes: bias is in the sums already, and both of gemmlowp's roundings are one shift.

    h = floor((s m + 2^30) / 2^31)                         SaturatingRoundingDoublingHighMul
    y = floor((h + 2^(e-1) - (h < 0)) / 2^e) + zero        RoundingDivideByPOT, e >= 1

Floors of floors are one floor: with C = 2^30 + 2^(30+e) + zero 2^(31+e)

    y = floor((s m + C - (s < 0) 2^31) / 2^(31+e))

in 64 bits, for every int32 s. (Where s < 0 and h = 0, both give 0.) Without the term for s < 0 only
values below `zero` differ, so a layer that clamps at its zero point (a ReLU) goes without. The upper
halves of even and odd products are put together again, and shifted by e - 1.

    parameters of `lanes` channels:  m of even ones, m of odd ones, C of both, int64; e - 1, int32
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.cpu import ir
from kernels.cpu.ir import I8, I32, I64, Builder, Value

MOST_SHIFT = 23
"""Largest e: s m + C stays in 64 bits."""
FIRST = 1 << 30
"""What SaturatingRoundingDoublingHighMul adds."""
SIGN = 1 << 31
"""What is taken off a negative product."""
VECTORS = 5
"""Vectors of parameters for one vector of channels."""


def parameters(
    multiplier: npt.NDArray[np.integer],
    shift: npt.NDArray[np.integer],
    zero: int | npt.NDArray[np.int64],
    lanes: int,
    first: int = FIRST,
) -> npt.NDArray[np.uint8] | None:
    """Return the parameters of these channels, e = shift; None where some e is out of range.

    `zero` is one number, or each channel's. `first` is what the first rounding adds, and 0 where
    there is only one.
    """
    m, e = multiplier.astype(np.int64), shift.astype(np.int64)
    if e.min() < 1 or e.max() > MOST_SHIFT or m.max() >= 1 << 31:
        return None
    constant = first + (np.int64(1) << (30 + e)) + (np.asarray(zero, np.int64) << (31 + e))
    vectors = -(-len(m) // lanes)
    blocks = []
    for x in (m, constant, e - 1):
        padded = np.zeros(vectors * lanes, np.int64)
        padded[: len(x)] = x
        blocks.append(padded.reshape(vectors, lanes))
    m, constant, e = blocks
    parts = [m[:, ::2], m[:, 1::2], constant[:, ::2], constant[:, 1::2], e.astype(np.int32)]
    return np.concatenate([np.ascontiguousarray(x).view(np.uint8) for x in parts], axis=1)


def scaled(builder: Builder, sums: Value, at: Value, sign: Value | None, bit: int = 31) -> Value:
    """Return y, not clamped, of `lanes` sums with the parameters at this address.

    `sign` is the int64, 2^bit or 0, that is taken off where a sum is negative; None: nothing.
    """
    kind = sums.type
    lanes, size = kind.count, 4 * kind.count
    wide = ir.vector(I64, lanes // 2)
    half = ir.splat(wide, 32)

    def low(x: Value) -> Value:
        return builder.ashr(builder.shl(x, half), half)

    # Parameters are loaded where they are used: LLVM sees only so that VPMULDQ is meant.
    parts = [ir.load(builder, wide, ir.offset(builder, at, size * i), size) for i in range(4)]
    shift = ir.load(builder, kind, ir.offset(builder, at, 4 * size), size)
    s = builder.bitcast(sums, wide)
    halves = []
    for x, m, constant in zip((low(s), builder.ashr(s, half)), parts[:2], parts[2:], strict=True):
        product = builder.mul(x, low(m))
        if sign is not None:
            taken = ir.broadcast(builder, sign, lanes // 2)
            negative = builder.lshr(product, ir.splat(wide, 63 - bit))
            product = builder.sub(product, builder.and_(negative, taken))
        halves.append(builder.bitcast(builder.add(product, constant), kind))
    places = [1 + i - i % 2 + lanes * (i % 2) for i in range(lanes)]
    upper = builder.shuffle_vector(*halves, ir.lanes_from(ir.vector(I32, lanes), places))
    return builder.ashr(upper, shift)


def clamped(builder: Builder, y: Value, low: Value, high: Value) -> Value:
    """Return bytes of int32, each brought between two of them."""
    lanes = y.type.count
    low, high = (ir.broadcast(builder, x, lanes) for x in (low, high))
    y = builder.select(builder.icmp_signed("<", y, low), low, y)
    y = builder.select(builder.icmp_signed(">", y, high), high, y)
    return builder.trunc(y, ir.vector(I8, lanes))


def store_some(builder: Builder, value: Value, address: Value, count: Value) -> None:
    """Store the first `count` bytes, or all where there are as many."""
    kind = value.type
    lanes = kind.count

    def whole() -> list[Value]:
        ir.store(builder, value, address, 1)
        return []

    def some() -> list[Value]:
        numbers = ir.lanes_from(ir.vector(I32, lanes), range(lanes))
        left = ir.broadcast(builder, builder.trunc(count, I32), lanes)
        mask = builder.icmp_signed("<", numbers, left)
        place = ir.pointer(builder, address, kind)
        ir.call(builder, f"llvm.masked.store.v{lanes}i8.p0", ir.VOID, value, place, I32(1), mask)
        return []

    ir.choose(builder, builder.icmp_signed(">=", count, I64(lanes)), whole, some)


def build_rows(lanes: int, bit: int | None) -> Any:
    """Return rows(sums, pitch, count, parameters, n, out, places, low, high).

    Of `count` places, n sums each, rows of them `pitch` bytes apart, to n bytes at `out` and the
    place's distance, int32. 2^bit is taken off where a sum is negative.
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
    ) -> None:
        """Vector by vector; `sums` is padded to whole ones, `out` need not be."""
        low, high = builder.trunc(low, I32), builder.trunc(high, I32)
        sign = None if bit is None else I64(1 << bit)
        vectors = builder.udiv(builder.add(n, I64(lanes - 1)), I64(lanes))

        def row(_turn: Value, carried: Sequence[Value]) -> list[Value]:
            sums, places = carried
            distance = builder.sext(ir.load(builder, I32, places, 4), I64)

            def vector(turn: Value, carried: Sequence[Value]) -> list[Value]:
                sums, at, out = carried
                s = ir.load(builder, ir.vector(I32, lanes), sums, 4)
                y = clamped(builder, scaled(builder, s, at, sign, bit or 0), low, high)
                store_some(builder, y, out, builder.sub(n, builder.mul(turn, I64(lanes))))
                steps = (4 * lanes, 4 * lanes * VECTORS, lanes)
                return [ir.offset(builder, x, step) for x, step in zip(carried, steps, strict=True)]

            ir.loop(builder, vectors, [sums, at, builder.add(out, distance)], vector)
            return [builder.add(sums, pitch), ir.offset(builder, places, 4)]

        ir.loop(builder, count, [sums, places], row)

    return rows
