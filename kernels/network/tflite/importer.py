"""A TFLite file as a graph, or the list of all nodes that stand in the way."""

from dataclasses import dataclass
from gettext import gettext as _
from typing import Any

from kernels.errors import InvalidNetwork, NotImportable, Unsupported
from kernels.network.graph.graph import Graph
from kernels.network.graph.operator import Form
from kernels.network.malformed import why_not
from kernels.network.tflite.context import QUANTISED, Context
from kernels.network.tflite.convert import CONVERTERS, variables
from kernels.network.tflite.convert.variables import states_now, take_states
from kernels.network.tflite.reader import Operation, Tensor, read_model

CONSTANTS_USED = 8
"""How often a file's constants may be used, all together: work and memory follow the file's size."""
FLOAT_BORDERS = {"QUANTIZE", "DEQUANTIZE", "RESHAPE", "SHAPE"}


@dataclass(frozen=True, slots=True)
class Obstacle:
    """A node that cannot be imported, and why."""

    number: int
    kind: str
    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.number} {self.kind} ({self.name}): {self.reason}"


def import_tflite(content: bytes, name: str = "") -> Graph:
    """Return the graph of a TFLite file. Raise NotImportable, or InvalidNetwork for a damaged file."""
    model = read_model(content)
    context = Context(model)
    for i, tensor in enumerate(model.tensors):
        if tensor.data is not None:
            context.constants[i] = tensor.data
    obstacles = [one for i in model.inputs if (one := _take_input(context, i)) is not None]
    if not obstacles and (reason := why_not(lambda: take_states(context))) is not None:
        obstacles.append(Obstacle(-1, "CALL_ONCE", "", reason))
    unknown: set[int] = set()
    budget = CONSTANTS_USED * (len(content) + (1 << 20))
    for number, operation in enumerate(model.operations):
        budget -= sum(
            context.constants[i].nbytes for i in operation.inputs if i in context.constants
        )
        if budget < 0:
            raise InvalidNetwork(_("the file uses its constants more often than a network would"))
        if unknown.intersection(operation.inputs):
            unknown.update(operation.outputs)  # it follows from what was said already
            if operation.kind in CONVERTERS:
                continue
        reason = _convert(context, operation)
        if reason is not None:
            unknown.update(operation.outputs)
            label = model.tensors[operation.outputs[0]].name if operation.outputs else ""
            obstacles.append(Obstacle(number, operation.kind, label[:60], reason))
    if obstacles:
        raise NotImportable(obstacles)
    missing = [i for i in model.outputs if i not in context.values]
    if missing or not model.outputs or not model.inputs:
        raise InvalidNetwork(_("the file's graph has no input, or an output that nothing computes"))
    if not context.nodes:
        raise InvalidNetwork(_("the file's graph computes nothing"))
    outputs = (*(context.values[i] for i in model.outputs), *states_now(context))
    inputs = tuple(context.forms[: len(model.inputs) + len(context.states)])
    return Graph(inputs, tuple(context.nodes), outputs, _about(context, name), context.starts)


def _take_input(context: Context, i: int) -> Obstacle | None:
    tensor = context.model.tensors[i] if i >= 0 else None
    if (
        tensor is None
        or tensor.dtype not in {*QUANTISED, "FLOAT32", "INT32"}
        or i in context.values
    ):
        kind = "?" if tensor is None else tensor.dtype
        reason = _("an input of {dtype} is not possible").format(dtype=kind)
        return Obstacle(-1, "INPUT", "" if tensor is None else tensor.name[:60], reason)
    context.values[i] = len(context.forms)
    context.forms.append(Form(tensor.shape, 4 if tensor.dtype == "INT32" else 1))
    return None


def _convert(context: Context, operation: Operation) -> str | None:
    """Convert one operation; return why not, where it cannot be."""
    converter = CONVERTERS.get(operation.kind)
    if converter is None:
        return _("there is no such operator here")
    stateful = operation.kind in variables.CONVERTERS
    ends = (operation.inputs, operation.outputs)
    if (not all(ends) and not stateful) or min(operation.outputs, default=0) < 0:
        return _("it has no input or no output")
    tensors = [context.model.tensors[i] for i in (*operation.inputs, *operation.outputs) if i >= 0]
    if operation.kind not in FLOAT_BORDERS and any(one.dtype == "FLOAT32" for one in tensors):
        return _("it computes in {dtype}, not in int8").format(dtype="FLOAT32")
    context.name = "".join(context.model.tensors[i].name[:60] for i in operation.outputs[:1])
    return why_not(lambda: converter(context, operation))


def _about(context: Context, name: str) -> dict[str, Any]:
    """Return the ends' names and scales, for people and for `models verify`."""
    model = context.model
    about = {
        "name": name,
        "source": "TFLite",
        "inputs": [_end(context, i) for i in model.inputs],
        "outputs": [_end(context, i) for i in model.outputs],
    }
    if context.states:
        about["states"] = [
            {"name": one[:60], "tensor": context.assigned.get(one, -1)} for one in context.states
        ]
    return about


def _end(context: Context, i: int) -> dict[str, Any]:
    tensor: Tensor = context.model.tensors[i]
    said: dict[str, Any] = {"name": tensor.name[:60], "type": tensor.dtype.lower()}
    scale = context.borders.get(i)
    if scale is None and tensor.dtype in QUANTISED:
        try:
            scale = context.scale(i)
        except Unsupported:
            scale = None
    if scale is not None:
        said |= {"scale": float(scale[0]), "zero": scale[1]}
    return said
