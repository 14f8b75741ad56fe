"""Model files on the user's disk: TFLite files imported, graphs written and shown."""

import hashlib
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path

from engine.runtime.errors import BadInput
from kernels.errors import InvalidNetwork
from kernels.network.graph.fields import Array, declared
from kernels.network.graph.graph import Graph
from kernels.network.model import decode_network, encode_network
from kernels.network.tflite.importer import import_tflite
from kernels.network.tflite.reader import MAX_FILE_BYTES

TFLITE = ".tflite"


@dataclass(frozen=True, slots=True)
class Layer:
    """A node, as `models show` says it."""

    number: int
    op: str
    name: str
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    cost: int
    """Multiply-adds of one sample."""
    parameter_bytes: int
    """Weights and tables."""


def import_file(path: Path) -> Graph:
    """Return the graph of a TFLite file. Raise BadInput, naming every node in the way."""
    content = _read(path)
    try:
        return import_tflite(content, path.stem[:60])
    except InvalidNetwork as error:
        raise BadInput(
            _("{path} cannot be imported: {error}").format(path=path, error=error),
            advice=error.advice,
        ) from error


def load_graph(path: Path) -> Graph:
    """Return the graph in a model file or a TFLite file. Raise BadInput."""
    if path.suffix == TFLITE:
        return import_file(path)
    try:
        network = decode_network(_read(path))
    except InvalidNetwork as error:
        raise BadInput(
            _("{model} is not a valid network: {error}").format(model=path, error=error)
        ) from error
    if not isinstance(network, Graph):
        raise BadInput(
            _("{model} is a chain of layers, version 1; only graphs are shown").format(model=path)
        )
    return network


def write_model(graph: Graph, path: Path) -> tuple[int, str]:
    """Write the graph's file; return its size and SHA-256. Raise BadInput."""
    content = encode_network(graph)
    try:
        path.write_bytes(content)
    except OSError as error:
        raise BadInput(
            _("{path} cannot be written: {error}").format(path=path, error=error.strerror),
            advice=_("Name another file with --output."),
        ) from error
    return len(content), hashlib.sha256(content).hexdigest()


def layers_of(graph: Graph) -> list[Layer]:
    """Return what each node is, gives and costs."""
    layers = []
    for number, node in enumerate(graph.nodes):
        parameters = sum(
            getattr(node.operator, part.name).nbytes
            for part, holds in declared(type(node.operator))
            if isinstance(holds, Array)
        )
        form = graph.forms[len(graph.inputs) + number]
        layers.append(
            Layer(
                number,
                node.operator.op,
                node.name,
                node.inputs,
                form.shape,
                graph.costs[number],
                parameters,
            )
        )
    return layers


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise BadInput(
            _("the model {path} cannot be read: {error}").format(path=path, error=error.strerror)
        ) from error
    return content
