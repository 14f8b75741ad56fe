"""A batch through a graph, a group of samples at a time, so that memory stays bounded."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from kernels.network.graph.backend import Backend
from kernels.network.graph.graph import Graph, Node
from kernels.network.graph.operator import Values

Rows = npt.NDArray[np.signedinteger]


def run_graph(graph: Graph, samples: npt.NDArray[np.int8], do: Backend, group: int) -> Rows:
    """Return the outputs, N x columns, of N samples, each as many bytes as its inputs have."""
    rows = samples.reshape(len(samples), -1)
    out = np.empty((len(rows), graph.columns), f"i{graph.entry_bytes}")
    for first in range(0, len(rows), group):
        some = rows[first : first + group]
        values = run_values(
            graph, inputs_of(graph, some), lambda _place, node, x: node.operator.run(do, *x)
        )
        out[first : first + len(some)] = outputs_row(graph, values, len(some))
    return out


def inputs_of(graph: Graph, rows: npt.NDArray[np.int8]) -> list[Values]:
    """Return each input of these samples."""
    cuts = np.cumsum([form.size for form in graph.inputs])[:-1]
    return [
        np.ascontiguousarray(part).view(form.dtype).reshape(len(rows), *form.shape)
        for part, form in zip(np.split(rows, cuts, axis=1), graph.inputs, strict=True)
    ]


def run_values[Value](
    graph: Graph, inputs: list[Value], step: Callable[[int, Node, tuple[Value, ...]], Value]
) -> list[Value]:
    """Return the outputs; `step` computes the node at a place from its inputs, wherever values lie.

    A value is dropped after its last use.
    """
    values: dict[int, Value] = dict(enumerate(inputs))
    for place, node in enumerate(graph.nodes):
        values[len(graph.inputs) + place] = step(place, node, tuple(values[i] for i in node.inputs))
        for i in {*node.inputs, len(graph.inputs) + place}:
            if graph.last_use[i] == place:
                del values[i]
    return [values[i] for i in graph.outputs]


def outputs_row(graph: Graph, values: list[Values], n: int) -> Rows:
    """Return the outputs of n samples, side by side."""
    dtype = np.dtype(f"i{graph.entry_bytes}")
    whole = [np.broadcast_to(x, (n, *x.shape[1:])).reshape(n, -1) for x in values]
    return np.concatenate([x.astype(dtype) for x in whole], axis=1)
