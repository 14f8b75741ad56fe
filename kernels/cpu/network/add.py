"""Additions of two values of bytes, in one of two ways that give the same bits.

`line`: y = (a left + b right + constant) >> LINE_SHIFT in 32 bits. Whoever prepares it has tried it on
all 65,536 pairs of bytes. `exact`: LiteRT's three roundings, each as in requantise.py. A side is
(x - zero) 2^20; where its shift is 0 no sign counts.

    parameters of a side:  as in requantise.py, the same in all lanes
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.cpu import ir
from kernels.cpu.ir import I8, I32, I64, Builder, Value
from kernels.cpu.network import pack
from kernels.cpu.network.requantise import (
    FIRST,
    VECTORS,
    blocks,
    load_parameters,
    parameters,
    scaled,
    upper_halves,
)

LINE_SHIFT = 22
RAISED = 20
"""Bits that a side is shifted by."""


def side_parameters(
    multiplier: int, shift: int, lanes: int
) -> tuple[npt.NDArray[np.uint8], int] | None:
    """Return the parameters, and a mask for the sign, of a side; None: out of range."""
    m = np.full(lanes, multiplier)
    if shift == 0:
        return blocks(m, np.full(lanes, 2 * FIRST), np.full(lanes, 0), lanes), 0
    block = parameters(m, np.full(lanes, shift), 0, lanes, signed=True)
    return None if block is None else (block, -1)


def _bytes(builder: Builder, address: Value, lanes: int) -> Value:
    x = ir.load(builder, ir.vector(I8, lanes), address, 1)
    return builder.zext(x, ir.vector(I32, lanes))


def _vectors(
    builder: Builder,
    n: Value,
    lanes: int,
    places: Sequence[Value],
    ends: tuple[Value, Value, Value],
    y: Callable[[Value, Value], Value],
) -> None:
    """Store y(a, b) at `out` for all of n bytes; places are a, b, out, `ends` low, high, free."""
    width = pack.TOGETHER * lanes
    low, high, free = ends

    def vector(turn: Value, carried: Sequence[Value]) -> list[Value]:
        a, b, out = carried
        some = [
            y(ir.offset(builder, a, lanes * i), ir.offset(builder, b, lanes * i))
            for i in range(pack.TOGETHER)
        ]
        octets = pack.in_order(builder, pack.packed(builder, some))
        left = builder.sub(n, builder.mul(turn, I64(width)))
        octets = pack.limited(builder, octets, low, high)
        pack.store_first(builder, [octets], [out], left, free, lanes)
        return [ir.offset(builder, x, width) for x in carried]

    count = builder.udiv(builder.add(n, I64(width - 1)), I64(width))
    ir.loop(builder, count, places, vector)


def build_line(lanes: int) -> Any:
    """Return line(a, b, n, out, left, right, constant, low, high, free)."""

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
        free: Value,
    ) -> None:
        """In 32 bits."""
        left, right, constant = (builder.trunc(x, I32) for x in (left, right, constant))

        def y(a: Value, b: Value) -> Value:
            x, z = (_bytes(builder, side, lanes) for side in (a, b))
            p = builder.mul(x, ir.broadcast(builder, left, lanes))
            q = builder.mul(z, ir.broadcast(builder, right, lanes))
            total = builder.add(builder.add(p, q), ir.broadcast(builder, constant, lanes))
            return builder.ashr(total, ir.splat(total.type, LINE_SHIFT))

        _vectors(builder, n, lanes, [a, b, out], (low, high, free), y)

    return line


def build_exact(lanes: int) -> Any:
    """Return exact(a, b, n, out, at, zeros, signs, minus, low, high, free)."""
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
        a_sign: Value,
        b_sign: Value,
        minus: Value,
        low: Value,
        high: Value,
        free: Value,
    ) -> None:
        """`at`: the parameters of a, of b and of the sum; `minus` is 0, or -1 for a difference."""
        small = (builder.trunc(x, I32) for x in (a_zero, b_zero, a_sign, b_sign, minus))
        a_zero, b_zero, a_sign, b_sign, minus = small

        def side(x: Value, zero: Value, sign: Value, at: Value) -> Value:
            given = load_parameters(builder, at, lanes)
            real = builder.sub(_bytes(builder, x, lanes), ir.broadcast(builder, zero, lanes))
            doubled = builder.shl(real, ir.splat(real.type, RAISED + 1))
            negative = builder.ashr(real, ir.splat(real.type, 31))
            taken = builder.and_(negative, ir.broadcast(builder, sign, lanes))
            whole = builder.add(upper_halves(builder, doubled, given), taken)
            return builder.ashr(whole, given[-1])

        def y(a: Value, b: Value) -> Value:
            x = side(a, a_zero, a_sign, at)
            z = side(b, b_zero, b_sign, ir.offset(builder, at, size))
            flip = ir.broadcast(builder, minus, lanes)
            total = builder.add(x, builder.sub(builder.xor(z, flip), flip))
            to = load_parameters(builder, ir.offset(builder, at, 2 * size), lanes)
            return scaled(builder, total, to, signed=True)

        _vectors(builder, n, lanes, [a, b, out], (low, high, free), y)

    return exact
