"""A panel in vector registers: the loops that VNNI and pairs share.

`rows` x `vectors` sums stay in registers for the whole of k. Each turn loads 32 bits of each row of
B, a quad of int8 or a pair of int16, as `vectors` vectors of `lanes` int32, and for each row of A
its 32 bits, in all lanes at once. How many rows go together is a matter of how many registers there
are (32 with AVX-512, else 16): each sum wants its own, and the more rows share a load of B, the
fewer loads there are.

Entries of int16 are twice as long, and a piece of a panel then fills the L1 cache. So both operands
lie in the order in which they are read, one register tile's rows (or columns) after the other's:

    A[group][quad][2 pairs][rows][2]        B[group][quad][2 pairs][vectors * lanes][2]

A turn takes one pair and no more: given several, LLVM adds up their products first, and has no
registers left for the sums.
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
    entry_bytes: int = 1
    """2: entries are int16, and lie group by group."""

    @property
    def columns(self) -> int:
        """Columns of a group."""
        return self.lanes * self.vectors


Dot = Callable[[Builder, Value, Value, Value], Value]
"""dot(builder, sums, a, b) -> sums, for 32 bits of a row and a column in each lane."""


def load_columns(builder: Builder, tile: RegisterTile, b: Value) -> list[Value]:
    """`vectors` vectors of `lanes` int32."""
    kind, width = ir.vector(I32, tile.lanes), 4 * tile.lanes
    places = [ir.offset(builder, b, width * j) for j in range(tile.vectors)]
    return [ir.load(builder, kind, place, width) for place in places]


def multiply_panel(
    builder: Builder, tile: RegisterTile, arguments: Sequence[Value], dot: Dot
) -> None:
    """Write the body of a microkernel: all vectors of columns, all groups of rows, all of k."""
    a, b, c, quads, starts = arguments
    width, quad_bytes = 4 * tile.lanes, 4 * tile.entry_bytes
    grouped = tile.entry_bytes > 1
    fresh = builder.icmp_unsigned("!=", starts, I64(0))

    def along(start: Value, number: Value, size: int) -> Value:
        """The address of a row or a column."""
        distance = builder.mul(number, I64(size))
        return builder.add(start, builder.mul(distance, quads) if grouped else distance)

    def group(rows: int, row: Value, column: Value) -> None:
        a_here, b_here = along(a, row, quad_bytes), along(b, column, quad_bytes)
        left = builder.mul(column, I64(4))
        c_here = builder.add(builder.add(c, builder.mul(row, I64(QUAD_BYTES))), left)
        start = builder.add(starts, left)
        a_step = 4 * (rows if grouped else PANEL)
        b_step = 4 * (tile.columns if grouped else PANEL)

        def places(i: int, j: int) -> Value:
            return ir.offset(builder, c_here, QUAD_BYTES * i + width * j)

        def begin() -> list[Value]:
            return load_columns(builder, tile, start) * rows

        def go_on() -> list[Value]:
            return [x for i in range(rows) for x in load_columns(builder, tile, places(i, 0))]

        def turn(_: Value, carried: Sequence[Value]) -> list[Value]:
            a_here, b_here, *sums = carried
            columns = load_columns(builder, tile, b_here)
            for i in range(rows):
                entries = ir.load(builder, I32, ir.offset(builder, a_here, 4 * i), 4)
                row = ir.broadcast(builder, entries, tile.lanes)
                for j, column in enumerate(columns, i * tile.vectors):
                    sums[j] = dot(builder, sums[j], row, column)
            return [
                ir.offset(builder, a_here, a_step),
                ir.offset(builder, b_here, b_step),
                *sums,
            ]

        sums = ir.choose(builder, fresh, begin, go_on)
        turns = builder.mul(quads, I64(tile.entry_bytes))
        _, _, *sums = ir.loop(builder, turns, [a_here, b_here, *sums], turn)
        for number, value in enumerate(sums):
            ir.store(builder, value, places(*divmod(number, tile.vectors)), width)

    def columns(turn: Value, _: Sequence[Value]) -> list[Value]:
        column = builder.mul(turn, I64(tile.columns))
        for_row_groups(builder, tile, lambda rows, row: group(rows, row, column))
        return []

    ir.loop(builder, I64(PANEL // tile.columns), [], columns)


def for_row_groups(
    builder: Builder, tile: RegisterTile, work: Callable[[int, Value], None]
) -> None:
    """Write work(rows, first row) for each group of rows: code once for groups of as many."""
    first = 0
    for rows, alike in groupby(tile.rows):

        def group(
            turn: Value, _: Sequence[Value], first: int = first, rows: int = rows
        ) -> list[Value]:
            work(rows, builder.add(I64(first), builder.mul(turn, I64(rows))))
            return []

        count = len(list(alike))
        ir.loop(builder, I64(count), [], group)
        first += count * rows
