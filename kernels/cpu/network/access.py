"""Memory by its address: single entries, and rows of them.

Numba counts references to an array wherever one is passed on, with atomic additions: for each chunk of
each step that takes as long as a small layer, and threads wait for each other's caches. So below the
call from Python there are addresses and no arrays. Memory (steps.py) says what lies where.
"""

from collections.abc import Callable, Sequence
from typing import Any

from kernels.cpu import ir
from kernels.cpu.ir import I8, I32, I64, Builder, Value

ROW = 16
"""Entries of int32 at once; LLVM splits such a vector where registers are smaller."""


def distance(builder: Builder, table: Value, place: Value) -> Value:
    """Write the reading of a table of int32."""
    at = builder.add(table, builder.mul(place, I64(4)))
    return builder.sext(ir.load(builder, I32, at, 4), I64)


@ir.valued
def int64_at(builder: Builder, address: Value) -> Value:
    """Read one."""
    return ir.load(builder, I64, address, 8)


@ir.valued
def field(builder: Builder, table: Value, number: Value) -> Value:
    """Read an int64 of a table by its number."""
    return ir.load(builder, I64, builder.add(table, builder.mul(number, I64(8))), 8)


@ir.valued
def int32_at(builder: Builder, address: Value) -> Value:
    """Read one."""
    return distance(builder, address, I64(0))


@ir.valued
def byte_at(builder: Builder, address: Value) -> Value:
    """Read one, unsigned."""
    return builder.zext(ir.load(builder, I8, address, 1), I64)


@ir.inline
def put_int64(builder: Builder, address: Value, value: Value) -> None:
    """Write one."""
    ir.store(builder, value, address, 8)


@ir.inline
def put_int32(builder: Builder, address: Value, value: Value) -> None:
    """Write its lower half."""
    ir.store(builder, builder.trunc(value, I32), address, 4)


@ir.inline
def put_byte(builder: Builder, address: Value, value: Value) -> None:
    """Write its lowest byte."""
    ir.store(builder, builder.trunc(value, I8), address, 1)


def _entries(
    builder: Builder, count: Value, width: int, work: Callable[[Value, int], None]
) -> None:
    """Write work(first, how many) for `count` entries: `width` of them at once, the last ones alone."""
    whole = builder.udiv(count, I64(width))
    done = builder.mul(whole, I64(width))
    rest = builder.sub(count, done)

    def repeat(number: Value, first: Callable[[Value], Value], size: int) -> None:
        def turn(turn: Value, _: Sequence[Value]) -> list[Value]:
            work(first(turn), size)
            return []

        some = builder.icmp_signed(">", number, I64(0))

        def all_turns() -> None:
            ir.loop(builder, number, [], turn)

        ir.when(builder, some, all_turns)

    repeat(whole, lambda turn: builder.mul(turn, I64(width)), width)
    repeat(rest, lambda turn: builder.add(done, turn), 1)


def _pairs(name: str) -> Any:
    """Return f(target, a, b, count): int32 entries of `a`, with those of `b` added or taken off."""

    @ir.inline
    def pairs(builder: Builder, target: Value, a: Value, b: Value, count: Value) -> None:
        """Row by row."""

        def work(first: Value, width: int) -> None:
            kind, away = ir.vector(I32, width), builder.mul(first, I64(4))
            x, y = (ir.load(builder, kind, builder.add(side, away), 4) for side in (a, b))
            ir.store(builder, getattr(builder, name)(x, y), builder.add(target, away), 4)

        _entries(builder, count, ROW, work)

    return pairs


add_rows, subtract_rows = _pairs("add"), _pairs("sub")


@ir.inline
def flip_bytes(builder: Builder, target: Value, source: Value, count: Value) -> None:
    """Make int8 of bytes that have 128 added, or the other way."""

    def work(first: Value, width: int) -> None:
        kind = ir.vector(I8, width)
        x = ir.load(builder, kind, builder.add(source, first), 1)
        flipped = builder.xor(x, ir.splat(kind, -128))
        ir.store(builder, flipped, builder.add(target, first), 1)

    _entries(builder, count, 4 * ROW, work)


def _gathered(name: str) -> Any:
    """Return f(sums, bytes, count): to each int32 a byte is added, or the larger of both kept."""

    @ir.inline
    def gathered(builder: Builder, sums: Value, octets: Value, count: Value) -> None:
        """Row by row."""

        def work(first: Value, width: int) -> None:
            kind = ir.vector(I32, width)
            seen = ir.load(builder, ir.vector(I8, width), builder.add(octets, first), 1)
            x, place = builder.zext(seen, kind), builder.add(sums, builder.mul(first, I64(4)))
            y = ir.load(builder, kind, place, 4)
            if name == "max":
                z = ir.call(builder, f"llvm.umax.v{width}i32", kind, x, y)
            else:
                z = builder.add(x, y)
            ir.store(builder, z, place, 4)

        _entries(builder, count, ROW, work)

    return gathered


add_bytes, keep_larger = _gathered("add"), _gathered("max")
