"""Kernels that only move entries: one does transpositions, slices, paddings, broadcasts and joins.

`move` goes over all entries of a box. In each dimension, innermost first, `plan` has seven numbers:

    size    of the box
    times, plus, apart, limit
            coordinate c reads source coordinate (c * times + plus) / apart; where that is no whole
            number from 0 to limit - 1, the entry is `value`
    source, target
            distance of neighbours there, in entries
"""

from typing import Any

from kernels.cuda.compiler import int32, int64
from kernels.cuda.network.kernel import NetworkKernel, first, network_kernel, step
from kernels.cuda.network.words import divided

PLANNED = 7
"""Numbers of the plan for each dimension."""


def _mover(source_kind: str, target_kind: str) -> NetworkKernel:
    @network_kernel(
        source_kind, "i8[]", target_kind, "n", "n", "n", "n",
        name=f"move {source_kind[:2]} {target_kind[:2]}",
    )  # fmt: skip
    def kernel(
        source: Any, plan: Any, target: Any, dimensions: Any, value: Any, start: Any, count: Any
    ) -> None:
        for i in range(first(), count, step()):
            rest, at, to = int32(i), int64(0), start
            inside = True
            for d in range(dimensions):
                p = d * PLANNED
                rest, c = divided(rest, plan[p])
                place, apart = int32(c * plan[p + 1] + plan[p + 2]), plan[p + 3]
                if apart > 1 and place > 0:
                    place, between = divided(place, apart)
                    inside = inside and between == 0
                inside = inside and place >= 0 and place < plan[p + 4]
                at += place * plan[p + 5]
                to += c * plan[p + 6]
            if inside:
                target[to] = source[at]
            else:
                target[to] = value

    return kernel


def _taker(kind: str) -> NetworkKernel:
    @network_kernel(kind, "i4[]", kind, "n", "n", "n", "n", name=f"take {kind[:2]}")
    def kernel(
        source: Any, places: Any, out: Any, chosen: Any, side: Any, inner: Any, count: Any
    ) -> None:
        """Outer x chosen x inner entries out of outer x side x inner."""
        for i in range(first(), count, step()):
            row, column = divided(i, inner)
            outer, one = divided(row, chosen)
            place = int64(outer) * side + int64(places[one])
            out[i] = source[place * inner + column]

    return kernel


MOVE = {
    (source, target): _mover(f"i{source}[]", f"i{target}[]")
    for source, target in ((1, 1), (4, 4), (1, 4))
}
"""By bytes of a source's entry and of a target's."""
TAKE = {size: _taker(f"i{size}[]") for size in (1, 4)}


@network_kernel("i4[]", "i1[]", "i1[]", "n", "n", "n", name="embed")
def embed_kernel(numbers: Any, rows: Any, out: Any, length: Any, width: Any, count: Any) -> None:
    """Row numbers[i] of `length` rows of `width` entries; outside of them, the nearest one."""
    for i in range(first(), count, step()):
        place, column = divided(i, width)
        row = min(max(int64(numbers[place]), 0), length - 1)
        out[i] = rows[row * width + column]
