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

MOST_SHIFT = 20
"""Largest e: s m + C stays in 64 bits."""
SIGN = 1 << 31
"""What is taken off a negative product."""
VECTORS = 5
"""Vectors of parameters for one vector of channels."""


def parameters(
    multiplier: npt.NDArray[np.integer], shift: npt.NDArray[np.integer], zero: int, lanes: int
) -> npt.NDArray[np.uint8] | None:
    """Return the parameters of these channels, e = shift; None where some e is out of range."""
    m, e = (x.astype(np.int64) for x in (multiplier, shift))
    if e.min() < 1 or e.max() > MOST_SHIFT:
        return None
    constant = (1 << 30) + (np.int64(1) << (30 + e)) + (np.int64(zero) << (31 + e))
    vectors = -(-len(m) // lanes)
    blocks = []
    for x in (m, constant, e - 1):
        padded = np.zeros(vectors * lanes, np.int64)
        padded[: len(x)] = x
        blocks.append(padded.reshape(vectors, lanes))
    m, constant, e = blocks
    parts = [m[:, ::2], m[:, 1::2], constant[:, ::2], constant[:, 1::2], e.astype(np.int32)]
    return np.concatenate([np.ascontiguousarray(x).view(np.uint8) for x in parts], axis=1)


def scaled(builder: Builder, sums: Value, at: Value, sign: Value | None) -> Value:
    """Return y, not clamped, of `lanes` sums with the parameters at this address.

    `sign` is the int64 that is taken off where a sum is negative; None: nothing.
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
            negative = builder.lshr(product, half)
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


def build_row(lanes: int, signed: bool) -> Any:
    """Return row(sums, parameters, n, out, low, high): n sums of one place to n bytes."""

    @ir.inline
    def row(
        builder: Builder, sums: Value, at: Value, n: Value, out: Value, low: Value, high: Value
    ) -> None:
        """Vector by vector; `sums` is padded to whole ones, `out` need not be."""
        low, high = builder.trunc(low, I32), builder.trunc(high, I32)
        sign = I64(SIGN) if signed else None

        def vector(turn: Value, carried: Sequence[Value]) -> list[Value]:
            sums, at, out = carried
            s = ir.load(builder, ir.vector(I32, lanes), sums, 4)
            y = clamped(builder, scaled(builder, s, at, sign), low, high)
            store_some(builder, y, out, builder.sub(n, builder.mul(turn, I64(lanes))))
            steps = (4 * lanes, 4 * lanes * VECTORS, lanes)
            return [ir.offset(builder, x, step) for x, step in zip(carried, steps, strict=True)]

        vectors = builder.udiv(builder.add(n, I64(lanes - 1)), I64(lanes))
        ir.loop(builder, vectors, [sums, at, out], vector)

    return row
