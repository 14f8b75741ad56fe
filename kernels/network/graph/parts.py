"""Parts of a result that commits to its layers: some layers, each checked from the sums before it.

    parts = Units(graph).drawn(samples, share, random_bytes)    # a part for each sample

A unit is a product layer, or the outputs (None). What a layer sees follows from the committed sums of
the product layers before it. So a unit is checked by itself: these sums are taken as they are, and what
lies between is computed.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kernels.network.graph.graph import Graph
from kernels.network.graph.layers import product_layers
from kernels.network.graph.single_entry import needs_of
from kernels.seeded import draw

SEED_BYTES = 32


@dataclass(frozen=True, slots=True)
class Part:
    """`tested`: product layers whose sums are checked. `computed`: all nodes that this takes."""

    tested: frozenset[int]
    outputs: bool
    computed: frozenset[int]
    inputs: bool
    """Whether any of them takes the sample itself."""


class Units:
    """The units of a graph."""

    def __init__(self, graph: Graph) -> None:
        self.all: tuple[int | None, ...] = (*product_layers(graph), None)
        first = len(graph.inputs)
        self._taken = {unit: {*needs_of(graph, unit).between} for unit in self.all}
        self._of_sample = {
            unit
            for unit, between in self._taken.items()
            if any(
                i < first
                for place in (*between, *(() if unit is None else (unit,)))
                for i in graph.nodes[place].inputs
            )
            or (unit is None and min(graph.outputs) < first)
        }

    @property
    def whole(self) -> Part:
        """All of them."""
        return self.part(self.all)

    def part(self, units: Iterable[int | None]) -> Part:
        """Return the part that checks these units."""
        chosen = set(units)
        tested = frozenset(unit for unit in chosen if unit is not None)
        computed = tested.union(*(self._taken[unit] for unit in chosen))
        return Part(tested, None in chosen, computed, bool(chosen & self._of_sample))

    def drawn(self, samples: int, share: float, random_bytes: Callable[[int], bytes]) -> list[Part]:
        """Return a part for each of so many samples, of this share of all units, rounded up.

        The units are in an order that is drawn once, and a sample goes on in it where the one before
        ended: so each unit is checked in `samples * share` of the samples, give or take one.
        """
        of = len(self.all)
        count = min(of, max(1, math.ceil(share * of)))
        if count == of:
            return [self.whole] * samples
        order = draw(random_bytes(SEED_BYTES), of, of)
        return [
            self.part(self.all[order[(count * i + j) % of]] for j in range(count))
            for i in range(samples)
        ]
