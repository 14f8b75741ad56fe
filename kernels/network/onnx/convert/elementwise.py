"""Add, Sub, Mul, Div of two values, or of one and a constant."""

from dataclasses import replace
from gettext import gettext as _

import numpy as np

from kernels.errors import Unsupported
from kernels.network.graph import elementwise
from kernels.network.graph.moves import Reshape
from kernels.network.onnx.context import MASKED, Context, Converter
from kernels.network.onnx.convert.products import by_output, changed
from kernels.network.onnx.convert.tables import function_of, uniform
from kernels.network.onnx.reader import Operation
from kernels.network.onnx.values import Entries, Known, Pending, Scale, Value
from kernels.network.tflite.scales import multiplier_of

ADD_SHIFT = 20
SOFTMAX_REACH = 8.0
"""exp(-8) is nothing beside the 8 bits of a softmax."""


def add(sign: int) -> Converter:
    """Return the converter of Add (1) or Sub (-1)."""

    def convert(context: Context, operation: Operation) -> None:
        a, b = (context.get(operation, i) for i in (0, 1))
        layer, other = (a, b) if isinstance(a, Pending) else (b, a)
        if isinstance(layer, Pending) and isinstance(other, Known) and (sign > 0 or layer is a):
            offset = by_output(layer, other)
            if offset is not None and layer.linear is not None:
                ones = np.ones(len(offset))
                context.give(operation, changed(layer, ones, sign * offset))
                return
        made = function_of(context, operation)
        context.give(operation, made or total(context, operation, sign))

    return convert


def total(context: Context, operation: Operation, sign: int) -> Pending:
    """Return a sum of two values that waits for its scale."""
    values = [context.get(operation, i) for i in (0, 1)]
    names = operation.inputs[:2]
    shape = np.broadcast_shapes(values[0].shape, values[1].shape)
    if context.ranges is None:
        values = [context.settle(value, name) for value, name in zip(values, names, strict=True)]
    masks = [i for i, value in enumerate(values) if is_mask(value)]
    span = None
    if len(masks) == 1 and sign > 0:
        # Both on one grid, so that the sum is not rounded again; nothing far below a row's largest.
        low, high = context.range_of(names[1 - masks[0]])
        target = operation.outputs[0]
        span = context.row_most.get(target, min(low, high) + SOFTMAX_REACH) - SOFTMAX_REACH, high
        values[masks[0]] = reaching(values[masks[0]], high - span[0])
        other = values[1 - masks[0]]
        if isinstance(other, Pending):
            values[1 - masks[0]] = replace(other, span=span)

    def finish(context: Context, scale: Scale, low: int, high: int) -> int:
        settled = [context.settle(value, name) for value, name in zip(values, names, strict=True)]
        a, b = together(context, settled)
        return added(context, a, b, sign, scale, (low, high))

    terms = tuple(one for one in values if isinstance(one, Entries | Pending | Known))
    whole = sign > 0 and len(terms) == 2 and all(one.shape == shape for one in terms)
    return Pending(
        shape,
        finish,
        any(lies_last(one) for one in values),
        terms=terms if whole else (),
        span=span,
    )


def is_mask(value: Value) -> bool:
    """Return whether a value adds minus infinity, or something like it, for some codes."""
    return isinstance(value, Entries) and value.whole and bool((value.reals < MASKED).any())


def reaching(mask: Value, reach: float) -> Entries:
    """Return a mask whose minus infinity is just enough to bring any sum to its lower end."""
    assert isinstance(mask, Entries)
    lowered = np.where(mask.reals < MASKED, -1.1 * reach, mask.reals)
    return replace(mask, reals=lowered)


def lies_last(value: Value) -> bool:
    """Return whether a value lies as NHWC."""
    return isinstance(value, Entries | Pending) and value.channels_last


def together(context: Context, values: list[Entries]) -> list[Entries]:
    """Return two values in the same order of sides: as NHWC where one of them is so."""
    if not any(one.channels_last for one in values):
        return values
    longer = []
    for one in values:
        if one.channels_last:
            longer.append(one)
            continue
        shape = (1,) * (4 - len(one.shape)) + one.shape
        place = one.place
        if shape != one.shape:
            place = context.emit(Reshape(shape=shape), place)
        longer.append(context.image(replace(one, place=place, shape=shape)))
    return longer


def added(
    context: Context, a: Entries, b: Entries, sign: int, scale: Scale, bounds: tuple[int, int]
) -> int:
    """Emit an addition, scaled as LiteRT does."""
    assert a.scale is not None
    assert b.scale is not None
    twice = 2 * max(a.scale[0], b.scale[0])
    left, right = (multiplier_of(side[0] / twice) for side in (a.scale, b.scale))
    output = multiplier_of(twice / ((1 << ADD_SHIFT) * scale[0]))
    if output[1] > (0 if sign > 0 else 1):
        raise Unsupported(_("its output is too fine for its inputs"))
    layer = elementwise.Add(
        left_zero=a.scale[1], right_zero=b.scale[1], left_multiplier=left[0],
        left_exponent=left[1], right_multiplier=right[0], right_exponent=right[1],
        multiplier=output[0], exponent=output[1], output_zero=scale[1], low=bounds[0],
        high=bounds[1], sign=sign,
    )  # fmt: skip
    return context.emit(layer, a.place, b.place)


def multiply(context: Context, operation: Operation) -> None:
    """Mul, and Div by a constant."""
    values = [context.get(operation, i) for i in (0, 1)]
    if operation.kind == "Div":
        if not isinstance(values[1], Known):
            raise Unsupported(_("a division by a value that is not constant"))
        with np.errstate(all="ignore"):
            values[1] = Known(1 / values[1].value.astype(np.float64))
    layer, other = values if isinstance(values[0], Pending) else values[::-1]
    if isinstance(layer, Pending) and isinstance(other, Known):
        factor = by_output(layer, other)
        if factor is not None and layer.linear is not None and (factor > 0).all():
            context.give(operation, changed(layer, factor, np.zeros(len(factor))))
            return
        if uniform(other) is not None:
            at = values.index(layer)
            layer = values[at] = context.settled(operation.inputs[at], by_channel=True)
    by = uniform(other)
    if isinstance(layer, Entries) and by is not None and layer.scale is not None and by[0] > 0:
        scale = layer.scale[0] * float(by[0]), layer.scale[1]
        if np.broadcast_shapes(layer.shape, other.shape) == layer.shape:
            context.give(operation, replace(layer, reals=layer.reals * float(by[0]), scale=scale))
            return
    made = function_of(context, operation)
    context.give(operation, made or product(context, values, operation.inputs[:2]))


def product(context: Context, values: list[Value], names: tuple[str, ...]) -> Pending:
    """Return a product of two values that waits for its scale."""
    pair = [context.settle(value, name) for value, name in zip(values, names, strict=True)]
    a, b = together(context, pair)
    shape = np.broadcast_shapes(a.shape, b.shape)

    def finish(context: Context, scale: Scale, low: int, high: int) -> int:
        assert a.scale is not None
        assert b.scale is not None
        multiplier, exponent = multiplier_of(a.scale[0] * b.scale[0] / scale[0])
        layer = elementwise.Multiply(
            left_zero=a.scale[1], right_zero=b.scale[1], multiplier=multiplier, exponent=exponent,
            output_zero=scale[1], low=low, high=high,
        )  # fmt: skip
        return context.emit(layer, a.place, b.place)

    return Pending(shape, finish, a.channels_last)


CONVERTERS: dict[str, Converter] = {
    "Add": add(1),
    "Sub": add(-1),
    "Mul": multiply,
    "Div": multiply,
}
