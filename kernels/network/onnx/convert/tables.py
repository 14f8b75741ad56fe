"""Functions of one entry: a table of what each code becomes, computed when somebody needs the value."""

from dataclasses import replace
from gettext import gettext as _

import numpy as np

from kernels.errors import Unsupported
from kernels.network.onnx.context import Context, Converter
from kernels.network.onnx.convert.moves import expanded
from kernels.network.onnx.evaluate import elementwise, evaluate
from kernels.network.onnx.evaluate.elementwise import bounds_of
from kernels.network.onnx.evaluate.room import Room
from kernels.network.onnx.reader import Operation
from kernels.network.onnx.values import Array, Entries, Known, Pending, Value

ROOM = 1 << 30


def uniform(value: Value) -> Array | None:
    """Return a constant's entry where all are the same, as an array of one."""
    if not isinstance(value, Known) or value.value.size == 0:
        return None
    flat = value.value.reshape(-1)
    return flat[:1] if (flat == flat[0]).all() else None


def function_of(context: Context, operation: Operation) -> Entries | None:
    """Return the operation as a function of the codes of one value; None where it is none.

    All its inputs are functions of the same value, of one shape and order, or constants with one entry.
    """
    values = [
        context.get(operation, i) for i in range(len(operation.inputs)) if operation.inputs[i]
    ]
    sources = [one for one in values if isinstance(one, Entries)]
    if not sources or len({(s.place, s.shape, s.channels_last) for s in sources}) > 1:
        return None
    shape = np.broadcast_shapes(*(one.shape for one in values))
    inputs: list[Array] = []
    for one in values:
        part = one.reals if isinstance(one, Entries) else uniform(one)
        if part is None:
            return None
        inputs.append(part)
    source = sources[0]
    made = evaluate(operation, inputs, Room(ROOM))[0]
    reals = np.broadcast_to(made, source.reals.shape)
    if shape != source.shape:
        if source.reals.ndim > 1:
            raise Unsupported(_("a constant makes its output larger"))
        source = expanded(context, source, shape)
    return replace(source, reals=reals, scale=None, factors=None)


def unary(context: Context, operation: Operation) -> None:
    """A function of one entry."""
    if isinstance(context.get(operation, 0), Pending):
        context.entries(operation, 0, by_channel=True)
    made = function_of(context, operation)
    if made is None:
        raise Unsupported(_("it computes in float: its input is not quantised"))
    context.give(operation, made)


def relu(context: Context, operation: Operation) -> None:
    """Relu."""
    clamp(context, operation, 0.0, float("inf"))


def clip(context: Context, operation: Operation) -> None:
    """Clip."""
    low, high = bounds_of(operation.attributes, context.constants(operation))
    clamp(context, operation, low, high)


def clamp(context: Context, operation: Operation, low: float, high: float) -> None:
    """Bound a value: with the scaling of the layer before, where that is still to be computed."""
    value = context.get(operation, 0)
    if not isinstance(value, Pending):
        unary(context, operation)
        return
    least, most = max(value.low, low), min(value.high, high)
    if least > most or np.isnan(low) or np.isnan(high):
        raise Unsupported(_("its bounds must be numbers"))
    context.give(operation, replace(value, low=least, high=most, linear=None, terms=()))


def identity(context: Context, operation: Operation) -> None:
    """Identity, Dropout: the same value under another name."""
    value = context.get(operation, 0)
    if isinstance(value, Pending):
        context.give(operation, value)
    else:
        context.values[operation.outputs[0]] = value


def cast(context: Context, operation: Operation) -> None:
    """Cast between float types, and of what depends on one code."""
    value = context.get(operation, 0)
    to = operation.attributes.get("to")
    real = isinstance(value, Entries) and value.reals.dtype.kind == "f"
    if to in (1, 10, 11) and (isinstance(value, Pending) or real):
        identity(context, operation)
    else:
        unary(context, operation)


def is_nan(context: Context, operation: Operation) -> None:
    """IsNaN: no integer is."""
    value = context.entries(operation, 0)
    nothing = np.zeros(value.reals.shape, bool)
    context.give(operation, replace(value, reals=nothing, scale=None))


def where(context: Context, operation: Operation) -> None:
    """Where, by a condition that is always the same, or of one value."""
    condition = context.get(operation, 0)
    reals = condition.reals if isinstance(condition, Entries) else uniform(condition)
    if reals is not None and (reals.all() or not reals.any()):
        value = context.get(operation, 1 if reals.all() else 2)
        shapes = [context.get(operation, i).shape for i in range(3)]
        if value.shape == np.broadcast_shapes(*shapes):
            context.values[operation.outputs[0]] = value
            return
    made = function_of(context, operation)
    if made is None:
        raise Unsupported(_("a choice between two values"))
    context.give(operation, made)


CONVERTERS: dict[str, Converter] = {
    **dict.fromkeys(elementwise.UNARY, unary),
    "Pow": unary,
    "And": unary,
    "Or": unary,
    "Equal": unary,
    "Greater": unary,
    "Less": unary,
    "GreaterOrEqual": unary,
    "LessOrEqual": unary,
    "Max": unary,
    "Min": unary,
    "Relu": relu,
    "Clip": clip,
    "Cast": cast,
    "IsNaN": is_nan,
    "Where": where,
    "Identity": identity,
    "Dropout": identity,
}
