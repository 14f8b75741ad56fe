"""A quantised ONNX file as a graph, or the list of all nodes that stand in the way."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from gettext import gettext as _
from typing import Any

import numpy as np

from kernels.errors import InvalidNetwork, NotImportable, Unsupported
from kernels.network.graph.graph import Graph
from kernels.network.graph.operator import Form
from kernels.network.malformed import why_not
from kernels.network.onnx.channels import Channels
from kernels.network.onnx.context import Context, Trace
from kernels.network.onnx.convert import CONVERTERS
from kernels.network.onnx.evaluate import FOLDED, evaluate
from kernels.network.onnx.evaluate.room import Room
from kernels.network.onnx.reader import End, Model, Operation, read_model
from kernels.network.onnx.values import Codes, Entries, Float, Known, Pending, Scale
from kernels.network.tflite.importer import Obstacle

CONSTANTS_USED = 32
"""How often constants may be used, in sizes of the file: work and memory follow it."""
FOLDED_BYTES = 32
"""Room for folded constants, in sizes of the file."""
MOST_OF_WHOLE = 256
"""Numbers of an int32 input that a function of it is computed for; others count as the nearest."""


@dataclass(frozen=True, slots=True, eq=False)
class Imported:
    """A graph, which of the file's tensors its values are, and the file's model."""

    graph: Graph
    traces: tuple[Trace, ...]
    model: Model


def import_onnx(content: bytes, name: str = "", sizes: Mapping[str, int] | None = None) -> Imported:
    """Return the graph of a quantised ONNX file; `sizes` are those of sides that it only names.

    A first side without a size is 1. Raise NotImportable, or InvalidNetwork for a damaged file.
    """
    model = read_model(content)
    context = Context(model)
    obstacles = []
    for end in model.inputs:
        try:
            take_input(context, end, fixed(end, sizes or {}))
        except InvalidNetwork as error:
            obstacles.append(Obstacle(-1, "Input", end.name[:60], str(error)))
    return convert(context, len(content), name, obstacles)


def fixed(end: End, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """Return an input's shape as numbers. Raise Unsupported."""
    if end.shape is None:
        raise Unsupported(_("an input without a shape"))
    sides = []
    for place, side in enumerate(end.shape):
        size = side if isinstance(side, int) else sizes.get(side or "", 0 if place else 1)
        if size < 1:
            raise Unsupported(
                _("its side {place} ({name}) has no size").format(place=place, name=side or "?")
            )
        sides.append(size)
    return tuple(sides)


def take_input(context: Context, end: End, shape: tuple[int, ...], most: int | None = None) -> None:
    """Make an input of the graph, and say what it means. Raise Unsupported."""
    place = len(context.forms)
    whole = end.dtype in ("int32", "int64", "bool")
    if not whole and end.dtype not in ("float32", "float16", "float64", "int8", "uint8"):
        raise Unsupported(_("an input of {dtype} is not possible").format(dtype=end.dtype))
    if end.name in context.values or place != len(context.values):
        raise Unsupported(_("an input has the name of another tensor"))
    form = Form(shape, 4 if whole else 1)
    if whole:
        reals = np.arange(MOST_OF_WHOLE if most is None else most + 1)
        context.values[end.name] = Entries(place, shape, reals=reals, whole=True)
    elif end.dtype in ("int8", "uint8"):
        context.values[end.name] = Codes(place, shape, unsigned=end.dtype == "uint8")
    else:
        context.values[end.name] = Float(place, shape, name=end.name)
    context.forms.append(form)


def convert(
    context: Context, size: int, name: str, obstacles: list[Obstacle] | None = None
) -> Imported:
    """Convert all operations of a file of this size. Raise NotImportable, InvalidNetwork."""
    model, found = context.model, obstacles or []
    for tensor, value in model.constants.items():
        context.values.setdefault(tensor, Known(value))
    context.room = Room(FOLDED_BYTES * (size + (1 << 20)))
    context.uses = Counter(name for one in model.operations for name in one.inputs)
    context.uses.update(end.name for end in model.outputs)
    consumers: dict[str, list[tuple[Operation, int]]] = {}
    for one in model.operations:
        for at, tensor in enumerate(one.inputs):
            consumers.setdefault(tensor, []).append((one, at))
    for end in model.outputs:  # nobody who could undo a factor
        consumers.pop(end.name, None)
    context.channels = Channels(context.channels.spans, consumers, context.known_array)
    taken = len(context.forms)
    unknown = {end.name for end in model.inputs if end.name not in context.values}
    budget = CONSTANTS_USED * (size + (1 << 20))
    for number, operation in enumerate(model.operations):
        constants = context.constants(operation)
        budget -= sum(one.nbytes for one in constants if one is not None)
        if budget < 0:
            raise InvalidNetwork(_("the file uses its constants more often than a network would"))
        outputs = [one for one in operation.outputs if one]
        if any(one in context.values for one in outputs):
            raise InvalidNetwork(_("two nodes of the file compute the same tensor"))
        if unknown.intersection(operation.inputs):
            unknown.update(outputs)  # it follows from what was said already
            if operation.kind in CONVERTERS or operation.kind in FOLDED:
                continue
        reason = _convert(context, operation)
        if reason is not None:
            unknown.update(outputs)
            label = operation.name or (outputs[0] if outputs else "")
            found.append(Obstacle(number, operation.kind, label[:60], reason))
    graph_outputs, said = _outputs(context, found)
    if found:
        raise NotImportable(found)
    if not context.nodes:
        raise InvalidNetwork(_("the file's graph computes nothing"))
    about = {
        "name": name, "source": "ONNX",
        "inputs": [_about(end, context.borders.get(end.name)) for end in model.inputs],
        "outputs": said,
    }  # fmt: skip
    graph = Graph(tuple(context.forms[:taken]), tuple(context.nodes), graph_outputs, about)
    return Imported(graph, tuple(context.traces), model)


def _convert(context: Context, operation: Operation) -> str | None:
    """Convert one operation, or compute it where all is constant; return why not."""
    if not operation.outputs or not operation.outputs[0]:
        return _("it has no output")
    missing = [name for name in operation.inputs if name and name not in context.values]
    if missing:
        return _("nothing before it computes {name!r}").format(name=missing[0][:60])
    context.name, context.kind = operation.outputs[0][:60], operation.kind
    return why_not(lambda: _do(context, operation))


def _do(context: Context, operation: Operation) -> None:
    whole = all(isinstance(context.values[name], Known) for name in operation.inputs if name)
    if whole and operation.kind in FOLDED:
        made = evaluate(operation, context.constants(operation), context.room)
        for name, value in zip(operation.outputs, made, strict=False):
            context.values[name] = Known(value)
        return
    converter = CONVERTERS.get(operation.kind)
    if converter is None:
        raise Unsupported(_("there is no such operator here"))
    converter(context, operation)


def _outputs(
    context: Context, found: list[Obstacle]
) -> tuple[tuple[int, ...], list[dict[str, Any]]]:
    """Return the outputs' values, in ONNX's order of sides, and what is said of them."""
    places, said = [], []
    for end in context.model.outputs:
        context.name = end.name[:60]
        value = context.values.get(end.name)
        try:
            if value is None or isinstance(value, Known | Float):
                if not found:
                    raise Unsupported(_("an output that no node computes"))
                continue
            if isinstance(value, Pending) or (isinstance(value, Entries) and not value.whole):
                value = context.settled(end.name)
            plain = context.plain(value)
        except InvalidNetwork as error:
            found.append(Obstacle(-1, "Output", end.name[:60], str(error)))
            continue
        context.trace(end.name, plain, plain.scale)
        places.append(plain.place)
        said.append(_about(end, plain.scale))
    return tuple(places), said


def _about(end: End, scale: Scale | None) -> dict[str, Any]:
    said: dict[str, Any] = {"name": end.name[:60], "type": end.dtype}
    return said if scale is None else said | {"scale": scale[0], "zero": scale[1]}
