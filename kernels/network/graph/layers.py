"""A result that commits to every product layer of a graph, and its check without doing the products.

    rows = run_layers(graph, samples, do, group)     # N x (outputs, sums of each product layer), int32
    check_layers(graph, samples[drawn], rows[drawn]) # or WrongResult, which names the layer

The checker goes through the graph from the sample on. At a product layer it does not multiply: it takes
the sums that were committed to, checks them by Freivalds modulo 2^64 (kernels.freivalds) against what
the layer sees, and goes on from them. Everything else it computes itself, in numpy. So a sample passes
with a wrong entry anywhere with probability 2^-66 at most for each product.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from gettext import gettext as _
from typing import TYPE_CHECKING

import numpy as np

from kernels.commit.rows import MatrixForm, MatrixTree
from kernels.errors import WrongResult
from kernels.freivalds import VECTORS, check_product
from kernels.network import Activations
from kernels.network.graph.backend import REFERENCE, Backend
from kernels.network.graph.convolutions import Conv2D
from kernels.network.graph.graph import Graph, Node
from kernels.network.graph.kernels import Sums
from kernels.network.graph.operator import Values
from kernels.network.graph.products import CALL_COST, BatchMatMul, FullyConnected
from kernels.network.graph.run import Rows, inputs_of, outputs_row, run_values

if TYPE_CHECKING:
    from kernels.network.graph.parts import Part

PRODUCTS = (Conv2D, FullyConnected, BatchMatMul)
GROUP_BYTES = 16 << 20
"""Activations of the samples that are checked together: numpy's int64 takes eight times as much."""


def product_layers(graph: Graph) -> tuple[int, ...]:
    """Return the nodes that are products of something that depends on the sample."""
    varies = [True] * len(graph.inputs)
    for node in graph.nodes:
        varies.append(any(varies[i] for i in node.inputs))
    first = len(graph.inputs)
    return tuple(
        place
        for place, node in enumerate(graph.nodes)
        if varies[first + place] and isinstance(node.operator, PRODUCTS)
    )


@dataclass(frozen=True, slots=True)
class LayerColumns:
    """Where the sums of a product layer lie in a row: `count` columns from `first` on."""

    node: int
    first: int
    count: int


def columns_of_layers(graph: Graph) -> list[LayerColumns]:
    """Return the columns of each product layer, in order."""
    found, first = [], graph.columns
    for place in product_layers(graph):
        count = graph.forms[len(graph.inputs) + place].entries
        found.append(LayerColumns(place, first, count))
        first += count
    return found


def layer_columns(graph: Graph) -> int:
    """Return how many sums of one sample are committed to."""
    return sum(layer.count for layer in columns_of_layers(graph))


def layer_roots(layers: Sequence[LayerColumns], rows: Rows) -> list[bytes]:
    """Return the commitment to each layer's columns, as if they were a matrix of their own."""
    parts = (rows[:, layer.first : layer.first + layer.count] for layer in layers)
    return [MatrixTree(MatrixForm(len(rows), part.shape[1], 4), part).result_hash for part in parts]


def check_cost(graph: Graph) -> int:
    """Return what the check of one sample takes: multiply-adds, or entries touched."""
    cost, layers = 0, set(product_layers(graph))
    for place, node in enumerate(graph.nodes):
        entries = graph.forms[len(graph.inputs) + place].entries
        if place not in layers:
            cost += graph.costs[place] + entries
            continue
        if isinstance(node.operator, BatchMatMul):
            (m, k), n = (
                graph.forms[node.inputs[0]].shape[-2:],
                graph.forms[node.inputs[1]].shape[-1],
            )
            each = VECTORS * (m * k + k * n + m * n) + 2 * m * n + CALL_COST
            cost += entries // (m * n) * each
            continue
        seen = graph.costs[place] // entries  # the length of a sum
        outputs = graph.forms[len(graph.inputs) + place].shape[-1]
        cost += VECTORS * (entries // outputs * seen + entries) + 2 * entries
    return cost


def run_layers(graph: Graph, samples: Activations, do: Backend, group: int) -> Rows:
    """Return a row for each sample: its outputs, then the sums of each product layer, all int32."""
    layers = set(product_layers(graph))
    flat = samples.reshape(len(samples), -1)
    out = np.empty((len(flat), graph.columns + layer_columns(graph)), np.int32)
    for first in range(0, len(flat), group):
        some = flat[first : first + group]
        kept: list[Sums] = []

        def step(place: int, node: Node, x: tuple[Values, ...], kept: list[Sums] = kept) -> Values:
            operator = node.operator
            if place not in layers or not isinstance(operator, PRODUCTS):
                return operator.run(do, *x)
            kept.append(operator.sums(do, *x))
            return operator.finish(do, x, kept[-1])

        values = run_values(graph, inputs_of(graph, some), step)
        parts = [sums.reshape(len(some), -1) for sums in kept]
        outputs = outputs_row(graph, values, len(some)).astype(np.int32)
        out[first : first + len(some)] = np.concatenate([outputs, *parts], axis=1)
    return out


def check_layers(
    graph: Graph,
    samples: Activations,
    rows: Rows,
    random_bytes: Callable[[int], bytes] = os.urandom,
    parts: "Sequence[Part] | None" = None,
    do: Backend = REFERENCE,
) -> None:
    """Raise WrongResult where a row is not what `run_layers` gives for its sample.

    `parts`: what is looked at of each sample; None: all of it. `do` computes what is no product.
    """
    flat = samples.reshape(len(samples), -1)
    group = 1 if parts else max(1, GROUP_BYTES // graph.sample_bytes)
    for first in range(0, len(flat), group):
        some = slice(first, first + group)
        claimed = np.ascontiguousarray(rows[some], np.int32)
        _check(graph, flat[some], claimed, random_bytes, parts[first] if parts else None, do)


def _check(
    graph: Graph,
    samples: Activations,
    rows: Rows,
    random_bytes: Callable[[int], bytes],
    part: "Part | None",
    do: Backend,
) -> None:
    layers = set(product_layers(graph))
    at = graph.columns

    def step(place: int, node: Node, x: tuple[Values, ...]) -> Values:
        nonlocal at
        operator, form = node.operator, graph.forms[len(graph.inputs) + place]
        claimed = rows[:, at : at + form.entries]
        at += form.entries if place in layers else 0
        if part is not None and place not in part.computed:
            return np.broadcast_to(np.int8(0), (len(samples), *form.shape))  # its shape may matter
        if place not in layers or not isinstance(operator, PRODUCTS):
            return operator.run(do, *x)
        if part is None or place in part.tested:
            try:
                _check_sums(operator.operands(do, *x), claimed, random_bytes)
            except WrongResult as error:
                raise WrongResult(f"{place} ({node.name or operator.op}): {error}") from error
        sums = np.ascontiguousarray(claimed.reshape(-1, form.shape[-1]))
        return operator.finish(do, x, sums)

    values = run_values(graph, inputs_of(graph, samples), step)
    if part is not None and not part.outputs:
        return
    outputs = outputs_row(graph, values, len(samples))
    if not np.array_equal(outputs, rows[:, : graph.columns]):
        raise WrongResult(_("the outputs are not what follows from the layers"))


def _check_sums(
    operands: Sequence[tuple[Activations, Activations]],
    claimed: Sums,
    random_bytes: Callable[[int], bytes],
) -> None:
    """Raise WrongResult unless these sums are the products, one after the other."""
    sums = claimed.reshape(-1, operands[0][1].shape[0])
    step = len(sums) // len(operands)
    for i, (A, B) in enumerate(operands):
        check_product(A, B.T, sums[i * step : (i + 1) * step], random_bytes)
