"""Additions of two values of bytes, in one of two ways that give the same bits.

`line`: y = (a left + b right + constant) >> LINE_SHIFT in 32 bits. Whoever prepares it has tried it on
all 65,536 pairs of bytes. `exact`: LiteRT's three roundings, each as in requantise.py; a side is
(x - zero) 2^20 (or 2^21, where its shift is 0: then h itself is the upper half, and no sign counts).

    parameters of a side:  as in requantise.py, the same in all lanes
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.cpu import ir
from kernels.cpu.ir import I8, I32, I64, Builder, Value
from kernels.cpu.network.requantise import (
    SIGN,
    VECTORS,
    clamped,
    parameters,
    scaled,
    store_some,
)

LINE_SHIFT = 22


def side_parameters(
    multiplier: int, shift: int, lanes: int
) -> tuple[npt.NDArray[np.uint8], int, int] | None:
    """Return (parameters, bits that x - zero is shifted by, sign) of a side; None: out of range."""
    m = np.full(lanes, multiplier)
    if shift == 0:
        block = parameters(m, np.full(lanes, 1), 0, lanes)
        assert block is not None
        constants = block[:, 8 * lanes : 16 * lanes].view(np.int64)
        constants[:] = 1 << 31
        return block, 21, 0
    block = parameters(m, np.full(lanes, shift), 0, lanes)
    return None if block is None else (block, 20, SIGN)


def _bytes(builder: Builder, address: Value, lanes: int) -> Value:
    x = ir.load(builder, ir.vector(I8, lanes), address, 1)
    return builder.zext(x, ir.vector(I32, lanes))


def _vectors(
    builder: Builder,
    n: Value,
    lanes: int,
    places: Sequence[Value],
    y: Callable[[Value, Value], Value],
) -> None:
    """Store y(a, b) at `out` for all of n bytes; places are a, b, out."""

    def vector(turn: Value, carried: Sequence[Value]) -> list[Value]:
        a, b, out = carried
        store_some(builder, y(a, b), out, builder.sub(n, builder.mul(turn, I64(lanes))))
        return [ir.offset(builder, x, lanes) for x in carried]

    count = builder.udiv(builder.add(n, I64(lanes - 1)), I64(lanes))
    ir.loop(builder, count, places, vector)


def build_line(lanes: int) -> Any:
    """Return line(a, b, n, out, left, right, constant, low, high)."""

    @ir.inline
    def line(
        builder: Builder,
        a: Value,
        b: Value,
        n: Value,
        out: Value,
        left: Value,
        right: Value,
        constant: Value,
        low: Value,
        high: Value,
    ) -> None:
        """In 32 bits."""
        left, right, constant, low, high = (
            builder.trunc(x, I32) for x in (left, right, constant, low, high)
        )

        def y(a: Value, b: Value) -> Value:
            x, z = (_bytes(builder, side, lanes) for side in (a, b))
            p = builder.mul(x, ir.broadcast(builder, left, lanes))
            q = builder.mul(z, ir.broadcast(builder, right, lanes))
            total = builder.add(builder.add(p, q), ir.broadcast(builder, constant, lanes))
            shifted = builder.ashr(total, ir.splat(total.type, LINE_SHIFT))
            return clamped(builder, shifted, low, high)

        _vectors(builder, n, lanes, [a, b, out], y)

    return line


def build_exact(lanes: int) -> Any:
    """Return exact(a, b, n, out, at, zeros, shifts, signs, minus, low, high)."""
    size = 4 * lanes * VECTORS

    @ir.inline
    def exact(
        builder: Builder,
        a: Value,
        b: Value,
        n: Value,
        out: Value,
        at: Value,
        a_zero: Value,
        b_zero: Value,
        a_left: Value,
        b_left: Value,
        a_sign: Value,
        b_sign: Value,
        minus: Value,
        low: Value,
        high: Value,
    ) -> None:
        """`at`: the parameters of a, of b and of the sum; `minus` is 0, or -1 for a difference."""
        small = (builder.trunc(x, I32) for x in (a_zero, b_zero, a_left, b_left, minus, low, high))
        a_zero, b_zero, a_left, b_left, minus, low, high = small

        def side(x: Value, zero: Value, left: Value, at: Value, sign: Value) -> Value:
            real = builder.sub(_bytes(builder, x, lanes), ir.broadcast(builder, zero, lanes))
            raised = builder.shl(real, ir.broadcast(builder, left, lanes))
            return scaled(builder, raised, at, sign)

        def y(a: Value, b: Value) -> Value:
            x = side(a, a_zero, a_left, at, a_sign)
            z = side(b, b_zero, b_left, ir.offset(builder, at, size), b_sign)
            flip = ir.broadcast(builder, minus, lanes)
            z = builder.sub(builder.xor(z, flip), flip)
            total = builder.add(x, z)
            y = scaled(builder, total, ir.offset(builder, at, 2 * size), I64(SIGN))
            return clamped(builder, y, low, high)

        _vectors(builder, n, lanes, [a, b, out], y)

    return exact
