"""A tile of a convolution's product: some places by some vectors of outputs, all of k in registers.

What a window sees is never laid out. A place's row of A is `segments` stretches of the padded image,
one for each row of the window (with dilation, one for each entry), at distances that are the same
for every place; so a place is one address. A stretch is read in quads, past its end where its
length is no multiple of 4: the weights there are 0.

    weights[segment][quad][part][vectors][lanes][4 bytes]
"""

from collections.abc import Sequence
from typing import Any

from kernels.cpu import ir
from kernels.cpu.ir import I32, I64, Builder, Value
from kernels.cpu.network.dots import Dots


def build_tile(dots: Dots, vectors: int, rows: int) -> Any:
    """Return tile(image, places, segments, count, quads, weights, starts, sums, pitch).

    `places` and `segments` are addresses of int32 distances, of `rows` and `count` of them; `starts`
    that of what the sums start from, and `sums` that of where they go, rows `pitch` bytes apart.
    """
    kind, width = ir.vector(I32, dots.lanes), 4 * dots.lanes

    @ir.inline
    def tile(
        builder: Builder,
        image: Value,
        places: Value,
        segments: Value,
        count: Value,
        quads: Value,
        weights: Value,
        starts: Value,
        sums: Value,
        pitch: Value,
    ) -> None:
        """Rows of quads, broadcast, times vectors of weights."""

        def distance(table: Value, place: Value) -> Value:
            at = builder.add(table, builder.mul(place, I64(4)))
            return builder.sext(ir.load(builder, I32, at, 4), I64)

        starting = [builder.add(image, distance(places, I64(i))) for i in range(rows)]
        first = [
            ir.load(builder, kind, ir.offset(builder, starts, width * j), 4) for j in range(vectors)
        ]

        def segment(turn: Value, carried: Sequence[Value]) -> list[Value]:
            away = distance(segments, turn)
            here = [builder.add(x, away) for x in starting]

            def quad(turn: Value, carried: Sequence[Value]) -> list[Value]:
                weights, *sums = carried
                w = [
                    [
                        ir.load(
                            builder, kind, ir.offset(builder, weights, width * (p * vectors + j)), 4
                        )
                        for p in range(dots.parts)
                    ]
                    for j in range(vectors)
                ]
                right = builder.mul(turn, I64(4))
                for i in range(rows):
                    entries = ir.load(builder, I32, builder.add(here[i], right), 1)
                    a = ir.broadcast(builder, entries, dots.lanes)
                    for j in range(vectors):
                        sums[i * vectors + j] = dots.step(builder, sums[i * vectors + j], a, w[j])
                return [ir.offset(builder, weights, width * dots.parts * vectors), *sums]

            return ir.loop(builder, quads, list(carried), quad)

        _, *results = ir.loop(builder, count, [weights, *first * rows], segment)
        for i in range(rows):
            line = builder.add(sums, builder.mul(pitch, I64(i)))
            for j in range(vectors):
                ir.store(builder, results[i * vectors + j], ir.offset(builder, line, width * j), 4)

    return tile
