"""Inputs whose first step is a transpose: it is done before the program, which has no step for it.

Models from ONNX have their channels first (N, C, H, W), and programs have them last.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from kernels.network.graph.graph import Graph, Node
from kernels.network.graph.moves import Transpose
from kernels.network.graph.operator import Form

Bytes = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Entry:
    """How samples of a graph become samples of what is left of it."""

    _inputs: tuple[Form, ...]
    _orders: tuple[tuple[int, ...] | None, ...]

    def __call__(self, samples: Bytes) -> Bytes:
        """Return the samples, N x sample_bytes, as what is left takes them."""
        if not any(self._orders):
            return samples
        out, at = np.empty(samples.shape, np.int8), 0
        for form, order in zip(self._inputs, self._orders, strict=True):
            part = samples[:, at : at + form.size].reshape(-1, *form.shape, form.entry_bytes)
            if order is not None:
                part = part.transpose(0, *(1 + i for i in order), 1 + len(order))
            out[:, at : at + form.size] = part.reshape(len(samples), form.size)
            at += form.size
        return out


def entry_of(graph: Graph) -> tuple[Graph, Entry]:
    """Take the transposes off inputs that nothing else reads: what is left, and the way to it."""
    count = len(graph.inputs)
    orders: list[tuple[int, ...] | None] = [None] * count
    taken: dict[int, int] = {}
    """Of each node that goes: the input that its value is."""
    for place, node in enumerate(graph.nodes):
        if not isinstance(node.operator, Transpose):
            continue
        first = node.inputs[0]
        if first < count - len(graph.states) and _readers(graph, first) == 1:
            orders[first], taken[place] = node.operator.order, first
    if not taken or len(taken) == len(graph.nodes):
        return graph, Entry(graph.inputs, (None,) * count)
    return _without(graph, taken), Entry(graph.inputs, tuple(orders))


def _readers(graph: Graph, value: int) -> int:
    read = [i for node in graph.nodes for i in node.inputs]
    return read.count(value) + graph.outputs.count(value)


def _without(graph: Graph, taken: dict[int, int]) -> Graph:
    inputs, numbers, nodes = list(graph.inputs), list(range(len(graph.inputs))), list[Node]()
    for place, node in enumerate(graph.nodes):
        if place in taken:
            inputs[taken[place]] = graph.forms[len(inputs) + place]
            numbers.append(taken[place])
        else:
            numbers.append(len(inputs) + len(nodes))
            nodes.append(replace(node, inputs=_renamed(node.inputs, numbers)))
    outputs = _renamed(graph.outputs, numbers)
    return Graph(tuple(inputs), tuple(nodes), outputs, graph.about, graph.states)


def _renamed(values: Sequence[int], numbers: Sequence[int]) -> tuple[int, ...]:
    return tuple(numbers[i] for i in values)
