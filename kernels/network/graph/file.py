"""Version 2 of the model file: safetensors, the graph as JSON in the metadata. docs/jobs.md has it.

    {"version": 2, "inputs": [{"type": "int8", "shape": [1, 32, 32, 3]}], "outputs": [12], "about": {},
     "nodes": [{"op": "conv2d", "name": "...", "inputs": [0], "stride": [1, 1], ...}, ...]}

A node's tensors are called "n<its number>.<field>".
"""

from gettext import gettext as _
from typing import Any

from kernels.errors import InvalidNetwork
from kernels.network.graph import (
    convolutions,
    elementwise,
    moves,
    normal,
    products,
    softmax,
    windows,
)
from kernels.network.graph.fields import Array, Numbers, declared
from kernels.network.graph.graph import MAX_ENDS, MAX_NODES, Graph, Node
from kernels.network.graph.operator import Form, Operator
from kernels.network.safetensors import Tensor

VERSION = 2
TYPES = {"int8": 1, "int32": 4}
OPERATORS: dict[str, type[Operator]] = {
    kind.op: kind
    for kind in (
        convolutions.Conv2D,
        convolutions.DepthwiseConv2D,
        products.FullyConnected,
        products.WideFullyConnected,
        products.BatchMatMul,
        elementwise.Add,
        elementwise.Multiply,
        elementwise.Larger,
        elementwise.Table,
        elementwise.ChannelTable,
        moves.Constant,
        moves.Reshape,
        moves.Transpose,
        moves.Slice,
        moves.Pad,
        moves.Spread,
        moves.Concatenate,
        moves.Take,
        moves.Embed,
        windows.MaxPool,
        windows.AveragePool,
        windows.Sum,
        windows.ResizeBilinear,
        windows.ArgMax,
        softmax.Softmax,
        normal.LayerNorm,
        normal.ChannelNorm,
        normal.WideNorm,
    )
}


def graph_of(described: dict[str, Any], tensors: dict[str, Tensor]) -> Graph:
    """Return the graph of a file's JSON and tensors. Raise InvalidNetwork."""
    if set(described) - {"states"} != {"version", "inputs", "nodes", "outputs", "about"}:
        raise InvalidNetwork(
            _("a network of version 2 has version, inputs, nodes, outputs and about")
        )
    inputs = tuple(_form(entry) for entry in _list(described, "inputs", MAX_ENDS))
    unused = dict(tensors)
    nodes = tuple(
        _node(entry, number, unused)
        for number, entry in enumerate(_list(described, "nodes", MAX_NODES))
    )
    if unused:
        raise InvalidNetwork(_("no layer uses the tensor {name!r}").format(name=min(unused)[:60]))
    if not isinstance(described["about"], dict):
        raise InvalidNetwork(_("about must be an object"))
    outputs = tuple(_list(described, "outputs", MAX_ENDS))
    states = tuple(_list(described, "states", MAX_ENDS)) if "states" in described else ()
    return Graph(inputs, nodes, outputs, described["about"], states)


def describe_graph(graph: Graph) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return JSON and tensors; the same graph gives the same."""
    tensors: dict[str, Tensor] = {}
    names = {size: name for name, size in TYPES.items()}
    described = {
        "version": VERSION,
        "inputs": [
            {"type": names[form.entry_bytes], "shape": list(form.shape)} for form in graph.inputs
        ],
        "nodes": [_describe(node, number, tensors) for number, node in enumerate(graph.nodes)],
        "outputs": list(graph.outputs),
        "about": dict(graph.about),
    }
    return described | ({"states": list(graph.states)} if graph.states else {}), tensors


def _node(entry: object, place: int, unused: dict[str, Tensor]) -> Node:
    if not isinstance(entry, dict):
        raise InvalidNetwork(_("a layer must be an object"))
    fields = dict(entry)
    name, inputs = fields.pop("name", ""), fields.pop("inputs", None)
    op = fields.pop("op", None)
    kind = OPERATORS.get(op) if isinstance(op, str) else None
    if kind is None:
        raise InvalidNetwork(_("there is no layer {kind!r}").format(kind=str(op)[:40]))
    if not isinstance(name, str) or not isinstance(inputs, list) or len(inputs) > kind.most_inputs:
        raise InvalidNetwork(
            _("node {place} needs a name and a list of inputs").format(place=place)
        )
    values: dict[str, Any] = {}
    for part, holds in declared(kind):
        if isinstance(holds, Array):
            values[part.name] = unused.pop(f"n{place}.{part.name}", None)
        else:
            value = fields.pop(part.name, None)
            listed = isinstance(holds, Numbers) and isinstance(value, list)
            values[part.name] = tuple(value) if listed else value
    if fields:
        raise InvalidNetwork(
            _("a {kind} layer has no field {name!r}").format(kind=op, name=min(fields)[:40])
        )
    try:
        return Node(kind(**values), tuple(inputs), name)
    except InvalidNetwork as error:
        raise InvalidNetwork(f"{place} ({name[:60] or op}): {error}") from error


def _describe(node: Node, place: int, tensors: dict[str, Tensor]) -> dict[str, Any]:
    described: dict[str, Any] = {"op": node.operator.op, "inputs": list(node.inputs)}
    if node.name:
        described["name"] = node.name
    for part, holds in declared(type(node.operator)):
        value = getattr(node.operator, part.name)
        if isinstance(holds, Array):
            tensors[f"n{place}.{part.name}"] = value
        else:
            described[part.name] = list(value) if isinstance(holds, Numbers) else value
    return described


def _form(entry: object) -> Form:
    if (
        not isinstance(entry, dict)
        or set(entry) != {"type", "shape"}
        or not isinstance(entry["type"], str)
        or entry["type"] not in TYPES
        or not isinstance(entry["shape"], list)
        or any(type(side) is not int for side in entry["shape"])
    ):
        raise InvalidNetwork(_("an input has a type, int8 or int32, and a shape"))
    return Form(tuple(entry["shape"]), TYPES[entry["type"]])


def _list(described: dict[str, Any], name: str, most: int) -> list[Any]:
    value = described[name]
    if not isinstance(value, list) or len(value) > most:
        raise InvalidNetwork(
            _("{name} must be a list of at most {most}").format(name=name, most=most)
        )
    return value
