"""Model files on the user's disk: TFLite and ONNX files imported, graphs written and shown."""

import hashlib
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from gettext import gettext as _
from gettext import ngettext
from pathlib import Path

from engine.runtime.errors import BadInput
from kernels.errors import InvalidNetwork
from kernels.network.graph.fields import Array, declared
from kernels.network.graph.graph import Graph
from kernels.network.model import decode_network, encode_network
from kernels.network.onnx.importer import Imported, import_onnx
from kernels.network.tflite.importer import import_tflite
from kernels.network.tflite.reader import MAX_FILE_BYTES

TFLITE, ONNX, ARCHIVE = ".tflite", ".onnx", ".zip"
DAMAGED = (zipfile.BadZipFile, zlib.error, ValueError, EOFError, NotImplementedError, RuntimeError)


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


def import_file(path: Path, sizes: Mapping[str, int] | None = None) -> Graph:
    """Return the graph of a TFLite or quantised ONNX file. Raise BadInput, naming nodes in the way."""
    if path.suffix == ONNX:
        return import_onnx_file(path, sizes).graph
    if sizes:
        raise BadInput(_("only an ONNX file has named dimensions"), advice=_("Leave out --dim."))
    return _imported(path, import_tflite)


def import_onnx_file(path: Path, sizes: Mapping[str, int] | None = None) -> Imported:
    """Return a quantised ONNX file imported. Raise BadInput, naming every node in the way."""
    return _imported(path, lambda content, name: import_onnx(content, name, sizes))


def _imported[Made](path: Path, read: Callable[[bytes, str], Made]) -> Made:
    content = read_file(path)
    try:
        return read(content, path.stem[:60])
    except InvalidNetwork as error:
        raise BadInput(
            _("{path} cannot be imported: {error}").format(path=path, error=error),
            advice=error.advice,
        ) from error


def load_graph(path: Path) -> Graph:
    """Return the graph in a model file, or in a TFLite or ONNX file. Raise BadInput."""
    if path.suffix in (TFLITE, ONNX, ARCHIVE):
        return import_file(path)
    try:
        network = decode_network(read_file(path))
    except InvalidNetwork as error:
        raise BadInput(
            _("{model} is not a valid network: {error}").format(model=path, error=error)
        ) from error
    if not isinstance(network, Graph):
        raise BadInput(
            _("{model} is a chain of layers, version 1; only graphs are shown").format(model=path)
        )
    return network


def with_words(graph: Graph, labels: str | None, pixels: bool) -> Graph:
    """Return the graph with a name for each output, and 128 to be taken from each pixel, 0 to 255.

    Raise BadInput where the names are not as many as the outputs.
    """
    about = dict(graph.about)
    if labels is not None:
        names = [name.strip() for name in labels.split(",")]
        if len(names) != graph.columns - graph.state_entries or not all(names):
            raise BadInput(
                ngettext(
                    "the model has {count} output: give as many labels, with commas between",
                    "the model has {count} outputs: give as many labels, with commas between",
                    graph.columns - graph.state_entries,
                ).format(count=graph.columns - graph.state_entries)
            )
        about["labels"] = names
    if pixels:
        about["pixels"] = {"most": 255, "times": 1, "plus": -128}
    return replace(graph, about=about)


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


def read_file(path: Path) -> bytes:
    """Return a model file's bytes, one more than are possible at most. Raise BadInput.

    Of a .zip archive it is the only .tflite file in it.
    """
    try:
        if path.suffix == ARCHIVE:
            with zipfile.ZipFile(path) as archive:
                (name,) = (one for one in archive.namelist() if one.endswith(TFLITE))
                with archive.open(name) as member:
                    return member.read(MAX_FILE_BYTES + 1)
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise BadInput(
            _("the model {path} cannot be read: {error}").format(path=path, error=error.strerror)
        ) from error
    except DAMAGED as error:
        raise BadInput(
            _("{path} is not an archive with one .tflite file in it").format(path=path)
        ) from error
