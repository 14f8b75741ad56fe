"""Variables, which a streaming model keeps from one sample to the next: states of the graph.

A graph has its inputs before its nodes, so `take_states` finds variables before anything is converted.
"""

from collections.abc import Iterator
from gettext import gettext as _

import numpy as np
import numpy.typing as npt

from kernels.errors import Unsupported
from kernels.network.graph.moves import Reshape
from kernels.network.graph.operator import Form
from kernels.network.tflite.context import Context, Converter
from kernels.network.tflite.reader import Model, Operation


def take_states(context: Context) -> None:
    """Make an input of each variable that CALL_ONCE fills with one value. Raise Unsupported."""
    starts = []
    for called in context.model.called_once:
        for name, known in _assigned(called):
            if known.dtype != np.int8 or known.size == 0 or np.ptp(known.astype(np.int16)):
                raise Unsupported(_("a state must start as one int8 throughout"))
            if name in context.states:
                raise Unsupported(_("a state starts twice"))
            context.states[name] = len(context.forms)
            context.forms.append(Form(known.shape))
            starts.append(int(known.flat[0]))
    context.starts = tuple(starts)


def states_now(context: Context) -> list[int]:
    """Return the values that the states have after the last operation; each is a node's."""
    first = len(context.model.inputs)
    values = []
    for place, value in enumerate(context.states.values()):
        kept = value == first + place  # nothing is assigned to it
        same = Reshape(shape=context.forms[value].shape)
        values.append(context.emit(same, value) if kept else value)
    return values


def _assigned(called: Model) -> Iterator[tuple[str, npt.NDArray[np.int8]]]:
    handles: dict[int, str] = {}
    for operation in called.operations:
        if operation.kind == "VAR_HANDLE":
            handles[operation.outputs[0]] = _name(operation)
        elif operation.kind == "ASSIGN_VARIABLE":
            handle, source = operation.inputs
            known = called.tensors[source].data
            if handle not in handles or known is None:
                raise Unsupported(_("a state must start as a constant"))
            yield handles[handle], known
        else:
            raise Unsupported(
                _("{kind} where only states are given a start").format(kind=operation.kind)
            )


def _name(operation: Operation) -> str:
    import tflite

    options = operation.options(tflite.VarHandleOptions)
    parts = (options.Container() or b"", options.SharedName() or b"")
    return "/".join(part.decode("utf-8", "replace")[:200] for part in parts)


def call_once(context: Context, operation: Operation) -> None:
    """CALL_ONCE: `take_states` has read what it calls."""


def handle_of(context: Context, operation: Operation) -> None:
    """VAR_HANDLE of a variable that has a start."""
    name = _name(operation)
    if name not in context.states:
        raise Unsupported(_("a state without a start"))
    context.handles[operation.outputs[0]] = name


def read(context: Context, operation: Operation) -> None:
    """READ_VARIABLE: what it has now."""
    name = _variable(context, operation)
    if context.tensor(operation.outputs[0]).dtype != "INT8":
        raise Unsupported(_("a state must be int8"))
    context.give(operation, context.states[name])


def assign(context: Context, operation: Operation) -> None:
    """ASSIGN_VARIABLE: what it has from now on."""
    name = _variable(context, operation)
    value = context.value(operation.inputs[1])
    if context.forms[value] != context.forms[context.states[name]]:
        raise Unsupported(_("a state keeps its shape"))
    context.states[name], context.assigned[name] = value, operation.inputs[1]


def _variable(context: Context, operation: Operation) -> str:
    if not operation.inputs or operation.inputs[0] not in context.handles:
        raise Unsupported(_("a state without a start"))
    return context.handles[operation.inputs[0]]


CONVERTERS: dict[str, Converter] = {
    "CALL_ONCE": call_once,
    "VAR_HANDLE": handle_of,
    "READ_VARIABLE": read,
    "ASSIGN_VARIABLE": assign,
}
