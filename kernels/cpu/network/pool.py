"""A max pool: the largest byte under each tap, 4 * `lanes` bytes at once.

Runs are those of depthwise.py. What lies outside the image is 0 there, and never the largest.
"""

from collections.abc import Sequence
from typing import Any

from kernels.cpu import ir
from kernels.cpu.ir import I8, I64, Builder, Value
from kernels.cpu.network import pack
from kernels.cpu.network.access import distance


def build_largest(lanes: int) -> Any:
    """Return largest(image, taps, count, run, out, low, high, free), one run.

    `image` is the run's first byte under the window's first entry, `taps` the address of int32
    distances from it; `free`: pack.store_first.
    """
    width = 4 * lanes
    line = ir.vector(I8, width)

    @ir.inline
    def largest(
        builder: Builder,
        image: Value,
        taps: Value,
        count: Value,
        run: Value,
        out: Value,
        low: Value,
        high: Value,
        free: Value,
    ) -> None:
        """Vector after vector."""

        def vector(turn: Value, carried: Sequence[Value]) -> list[Value]:
            image, out = carried

            def tap(number: Value, carried: Sequence[Value]) -> list[Value]:
                at = builder.add(image, distance(builder, taps, number))
                seen = ir.load(builder, line, at, 1)
                return [ir.call(builder, f"llvm.umax.v{width}i8", line, carried[0], seen)]

            (most,) = ir.loop(builder, count, [ir.splat(line, 0)], tap)
            octets = pack.limited(builder, most, low, high)
            left = builder.sub(run, builder.mul(turn, I64(width)))
            pack.store_first(builder, [octets], [out], left, free, lanes)
            return [ir.offset(builder, x, width) for x in carried]

        count_of = builder.udiv(builder.add(run, I64(width - 1)), I64(width))
        ir.loop(builder, count_of, [image, out], vector)

    return largest
