"""A panel in vector registers: the loops that VNNI and pairs share.

`rows` x `vectors` sums stay in registers for the whole of k. Each turn loads a quad of B, `vectors`
vectors of `lanes` int32, and for each row one quad of A, in all lanes at once. How many rows go
together is a matter of how many registers there are (32 with AVX-512, else 16): each sum wants its
own, and the more rows share a load of B, the fewer loads there are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from kernels.cpu import ir
from kernels.cpu.ir import I32, I64, Builder, Value
from kernels.cpu.product.microkernel import PANEL, QUAD_BYTES


@dataclass(frozen=True, slots=True)
class RegisterTile:
    """How a panel is cut: `rows` sums to 32, and `vectors` * `lanes` divides 32."""

    lanes: int
    vectors: int
    rows: tuple[int, ...]


Step = Callable[[Builder, int, Value, Value, Sequence[Value]], list[Value]]
"""step(builder, rows, a, b, sums) -> sums, for one quad; sums row by row."""


def load_columns(builder: Builder, tile: RegisterTile, b: Value) -> list[Value]:
    """One quad of B: `vectors` vectors of `lanes` int32."""
    kind, width = ir.vector(I32, tile.lanes), 4 * tile.lanes
    places = [ir.offset(builder, b, width * j) for j in range(tile.vectors)]
    return [ir.load(builder, kind, place, width) for place in places]


def multiply_panel(
    builder: Builder, tile: RegisterTile, arguments: Sequence[Value], a_quad_bytes: int, step: Step
) -> None:
    """Write the body of a microkernel: all groups of rows, all vectors of columns, all of k."""
    a, b, c, quads, starts = arguments
    vector = ir.vector(I32, tile.lanes)
    width = 4 * tile.lanes
    fresh = builder.icmp_unsigned("!=", starts, I64(0))

    def group(first: int, rows: int, turn: Value) -> None:
        row = builder.add(I64(first), builder.mul(turn, I64(rows)))
        a_here = builder.add(a, builder.mul(row, I64(4)))
        c_row = builder.add(c, builder.mul(row, I64(QUAD_BYTES)))

        def columns(turn: Value, _: Sequence[Value]) -> list[Value]:
            left = builder.mul(turn, I64(tile.vectors * width))
            b_here, c_here, start = (builder.add(x, left) for x in (b, c_row, starts))

            def places(i: int, j: int) -> Value:
                return ir.offset(builder, c_here, QUAD_BYTES * i + width * j)

            def begin() -> list[Value]:
                first_row = [
                    ir.load(builder, vector, ir.offset(builder, start, width * j), width)
                    for j in range(tile.vectors)
                ]
                return first_row * rows

            def go_on() -> list[Value]:
                return [
                    ir.load(builder, vector, places(i, j), width)
                    for i in range(rows)
                    for j in range(tile.vectors)
                ]

            def one_quad(_: Value, carried: Sequence[Value]) -> list[Value]:
                a_quad, b_quad, *sums = carried
                sums = step(builder, rows, a_quad, b_quad, sums)
                return [
                    ir.offset(builder, a_quad, a_quad_bytes),
                    ir.offset(builder, b_quad, QUAD_BYTES),
                    *sums,
                ]

            sums = ir.choose(builder, fresh, begin, go_on)
            _, _, *sums = ir.loop(builder, quads, [a_here, b_here, *sums], one_quad)
            for number, value in enumerate(sums):
                ir.store(builder, value, places(*divmod(number, tile.vectors)), width)
            return []

        ir.loop(builder, I64(PANEL // (tile.vectors * tile.lanes)), [], columns)

    first = 0
    for rows, alike in groupby(tile.rows):
        count = len(list(alike))

        def groups(
            turn: Value, _: Sequence[Value], first: int = first, rows: int = rows
        ) -> list[Value]:
            group(first, rows, turn)
            return []

        ir.loop(builder, I64(count), [], groups)
        first += count * rows
