"""One entry of a result that commits to its layers, checked by itself: no product is computed.

    needs = needs_of(graph, node)                    # node None: the outputs
    entry_of(graph, needs, sample, sums, column)     # what the entry must be

The inputs of a layer follow from the sums of the product layers before it, which are committed to, too.
So whoever has those sums, and the sample, computes what lies between, and one sum of products. If the
entry that is committed to is another one, the result contradicts itself, whatever else is in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kernels.network import Activations
from kernels.network.graph.backend import REFERENCE
from kernels.network.graph.graph import Graph
from kernels.network.graph.layers import PRODUCTS, columns_of_layers, product_layers
from kernels.network.graph.operator import Values
from kernels.network.graph.products import BatchMatMul
from kernels.network.graph.run import inputs_of, outputs_row

Sums = Mapping[int, npt.NDArray[np.signedinteger]]
"""Of one sample, by node."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What an entry of `node` (None: of the outputs) follows from.

    `feeders`: product layers whose sums are taken as they are. `between`: nodes to compute, in order,
    the feeders among them.
    """

    node: int | None
    feeders: tuple[int, ...]
    between: tuple[int, ...]


def needs_of(graph: Graph, node: int | None) -> Needs:
    """Return what is needed for entries of a product layer's sums, or of the outputs."""
    first, products = len(graph.inputs), set(product_layers(graph))
    wanted = set(graph.outputs if node is None else graph.nodes[node].inputs)
    feeders, between = [], []
    for place in range(len(graph.nodes) - 1, -1, -1):
        if first + place not in wanted:
            continue
        between.append(place)
        if place in products:
            feeders.append(place)
            if not isinstance(graph.nodes[place].operator, BatchMatMul):
                continue  # its sums say all; those of a product of two values lack the zero points
        wanted |= set(graph.nodes[place].inputs)
    return Needs(node, tuple(reversed(feeders)), tuple(reversed(between)))


def entry_of(graph: Graph, needs: Needs, sample: Activations, sums: Sums, column: int) -> int:
    """Return entry `column` of a layer's sums, or of the outputs, that follows from these sums.

    `sample`: 1 x entries. `sums`: those of the feeders.
    """
    values: dict[int, Values] = dict(enumerate(inputs_of(graph, sample.reshape(1, -1))))
    first, feeders = len(graph.inputs), set(needs.feeders)
    for place in needs.between:
        node = graph.nodes[place]
        x = tuple(_value(graph, values, i) for i in node.inputs)
        operator = node.operator
        if place in feeders and isinstance(operator, PRODUCTS):
            width = graph.forms[first + place].shape[-1]
            given = np.ascontiguousarray(sums[place], np.int32).reshape(-1, width)
            values[first + place] = operator.finish(REFERENCE, x, given)
        else:
            values[first + place] = operator.run(REFERENCE, *x)
    if needs.node is None:
        outputs = [values[i] for i in graph.outputs]
        return int(outputs_row(graph, outputs, 1)[0, column])
    node = graph.nodes[needs.node]
    operator = node.operator
    assert isinstance(operator, PRODUCTS)
    operands = operator.operands(REFERENCE, *(values[i] for i in node.inputs))
    pair, rest = divmod(column, len(operands[0][0]) * len(operands[0][1]))
    A, B = operands[pair]
    i, j = divmod(rest, len(B))
    return int(A[i].astype(np.int64) @ B[j].astype(np.int64))


def first_difference(
    graph: Graph,
    rows: npt.NDArray[np.signedinteger],
    right: npt.NDArray[np.signedinteger],
) -> tuple[int | None, int, int] | None:
    """Return node, row and column of the first layer that is not right; None where all is.

    The outputs, node None, come last. The column is that of the whole row.
    """
    parts = [(one.node, one.first, one.count) for one in columns_of_layers(graph)]
    for node, first, count in [*parts, (None, 0, graph.columns)]:
        found = np.argwhere(rows[:, first : first + count] != right[:, first : first + count])
        if len(found):
            row, column = found[0].tolist()
            return node, row, first + column
    return None


def _value(graph: Graph, values: Mapping[int, Values], i: int) -> Values:
    """Return a value; zeros for one of which only the shape matters."""
    if i in values:
        return values[i]
    return np.broadcast_to(np.int8(0), (1, *graph.forms[i].shape))
