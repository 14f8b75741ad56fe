"""A depthwise convolution: each channel by itself, `lanes` of them at once, four taps at a time.

The four bytes of a channel under four taps are brought side by side, and then one step (dots.py)
adds their products up in the channel's lane.

    weights[vector of channels][group of 4 taps][part][lanes][4 bytes]
"""

from collections.abc import Sequence
from typing import Any

from kernels.cpu import ir
from kernels.cpu.ir import I8, I32, I64, Builder, Value
from kernels.cpu.network.dots import Dots

ROWS = 4
"""Places that share a load of weights."""


def build_depthwise(dots: Dots) -> Any:
    """Return depthwise(image, places, taps, groups, weights, starts, sums, pitch), one vector.

    `places` and `taps` are addresses of int32 distances: of ROWS places, and of 4 * groups taps.
    """
    lanes = dots.lanes
    kind, width, line = ir.vector(I32, lanes), 4 * lanes, ir.vector(I8, lanes)

    def side_by_side(builder: Builder, taps: list[Value]) -> Value:
        """Return quads of 4 taps, from vectors of bytes: dwords of all taps, then bytes in each."""
        two = [_joined(builder, taps[i], taps[i + 1]) for i in (0, 2)]
        four = _joined(builder, *two)
        if lanes == 16:
            dwords = ir.lanes_from(kind, [i // 4 + 4 * (i % 4) for i in range(16)])
            order = [i // 16 * 16 + i % 16 // 4 + 4 * (i % 4) for i in range(64)]
            x = builder.bitcast(four, kind)
            x = ir.call(builder, "llvm.x86.avx512.permvar.si.512", kind, x, dwords)
            places = ir.lanes_from(four.type, [i % 16 for i in order])
            x = builder.bitcast(x, four.type)
            x = ir.call(builder, "llvm.x86.avx512.pshuf.b.512", four.type, x, places)
            return builder.bitcast(x, kind)
        order = [i // 4 + lanes * (i % 4) for i in range(4 * lanes)]
        places = ir.lanes_from(ir.vector(I32, 4 * lanes), order)
        return builder.bitcast(builder.shuffle_vector(four, four, places), kind)

    @ir.inline
    def depthwise(
        builder: Builder,
        image: Value,
        places: Value,
        taps: Value,
        groups: Value,
        weights: Value,
        starts: Value,
        sums: Value,
        pitch: Value,
    ) -> None:
        """Group after group, ROWS places at once."""

        def distance(table: Value, i: int) -> Value:
            return builder.sext(ir.load(builder, I32, ir.offset(builder, table, 4 * i), 4), I64)

        here = [builder.add(image, distance(places, i)) for i in range(ROWS)]
        start = ir.load(builder, kind, starts, 4)

        def group(_turn: Value, carried: Sequence[Value]) -> list[Value]:
            weights, taps, *sums = carried
            w = [
                ir.load(builder, kind, ir.offset(builder, weights, width * p), 4)
                for p in range(dots.parts)
            ]
            away = [distance(taps, i) for i in range(4)]
            for i in range(ROWS):
                seen = [ir.load(builder, line, builder.add(here[i], x), 1) for x in away]
                sums[i] = dots.step(builder, sums[i], side_by_side(builder, seen), w)
            return [
                ir.offset(builder, weights, width * dots.parts),
                ir.offset(builder, taps, 16),
                *sums,
            ]

        _, _, *results = ir.loop(builder, groups, [weights, taps, *[start] * ROWS], group)
        for i, result in enumerate(results):
            ir.store(builder, result, builder.add(sums, builder.mul(pitch, I64(i))), 4)

    return depthwise


def _joined(builder: Builder, a: Value, b: Value) -> Value:
    """Return both vectors, one after the other."""
    places = range(2 * a.type.count)
    return builder.shuffle_vector(a, b, ir.lanes_from(ir.vector(I32, len(places)), places))
