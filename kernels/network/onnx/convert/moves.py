"""What moves entries; what only computes a shape is known, as every shape is."""

import math
from collections.abc import Callable
from dataclasses import replace
from gettext import gettext as _
from typing import Any

import numpy as np

from kernels.errors import Unsupported
from kernels.network.graph import moves as graph
from kernels.network.graph.operator import Form
from kernels.network.onnx.context import Context, Converter, code_of, scale_of
from kernels.network.onnx.evaluate import moves
from kernels.network.onnx.evaluate.room import axes_of, axis_of
from kernels.network.onnx.reader import Operation
from kernels.network.onnx.values import (
    ONE,
    Array,
    Codes,
    Entries,
    Float,
    Known,
    Pending,
    Placed,
    Scale,
    linear_reals,
)

Shaped = Callable[[Context, Operation, tuple[int, ...]], tuple[int, ...]]


def source_of(context: Context, operation: Operation) -> Any:
    """Return the first input as a value of the graph, with or without a meaning."""
    value = context.get(operation, 0)
    if isinstance(value, Pending | Known) or (isinstance(value, Entries) and value.reals.ndim > 1):
        return context.entries(operation, 0)
    if isinstance(value, Float):
        raise Unsupported(_("it computes in float: its input is not quantised"))
    return value


def moved(context: Context, value: Placed, operator: Any, shape: tuple[int, ...]) -> Any:
    """Return a value after an operator that moves its entries."""
    return replace(value, place=context.emit(operator, value.place), shape=shape)


def reshaped(context: Context, value: Any, shape: tuple[int, ...]) -> Any:
    """Return a value in another shape."""
    plain = context.plain(value)
    if math.prod(shape) != math.prod(plain.shape):
        raise Unsupported(_("its output has another number of entries"))
    if shape == plain.shape:
        return plain
    return moved(context, plain, graph.Reshape(shape=shape), shape)


def reshaping(shape_of: Shaped) -> Converter:
    """Return the converter of what only gives another shape."""

    def convert(context: Context, operation: Operation) -> None:
        value = source_of(context, operation)
        shape = shape_of(context, operation, value.shape)
        context.give(operation, reshaped(context, value, shape))

    return convert


def _reshape(context: Context, operation: Operation, shape: tuple[int, ...]) -> tuple[int, ...]:
    wanted = context.known(operation, 1, _("shape")).value.reshape(-1).tolist()
    return moves.reshaped(shape, tuple(wanted), bool(operation.attributes.get("allowzero", 0)))


def _flatten(_context: Context, operation: Operation, shape: tuple[int, ...]) -> tuple[int, ...]:
    return moves.flattened(shape, operation.attributes.get("axis", 1))


def _squeeze(context: Context, operation: Operation, shape: tuple[int, ...]) -> tuple[int, ...]:
    axes = axes_of(operation.attributes, context.constants(operation), 1, len(shape))
    return moves.squeezed(shape, axes)


def _unsqueeze(context: Context, operation: Operation, shape: tuple[int, ...]) -> tuple[int, ...]:
    axes = operation.attributes.get("axes")
    if axes is None:
        axes = tuple(context.known(operation, 1, _("axes")).value.reshape(-1).tolist())
    return moves.unsqueezed(shape, axes)


def transpose(context: Context, operation: Operation) -> None:
    """Transpose."""
    value = source_of(context, operation)
    rank = len(value.shape)
    perm = operation.attributes.get("perm", tuple(range(rank))[::-1])
    if sorted(perm) != list(range(rank)):
        raise Unsupported(_("an order of dimensions must name each once"))
    order = tuple(value.side(axis) for axis in perm)
    shape = tuple(value.shape[axis] for axis in perm)
    made = replace(value, shape=shape, channels_last=False)
    if order != tuple(range(rank)):
        made = replace(made, place=context.emit(graph.Transpose(order=order), value.place))
    context.give(operation, made)


def slice_(context: Context, operation: Operation) -> None:
    """Slice with constant bounds."""
    value = source_of(context, operation)
    cuts = moves.cuts_of(operation.attributes, context.constants(operation), value.shape)
    context.give(operation, cut(context, value, cuts))


def cut(context: Context, value: Any, cuts: list[range]) -> Any:
    """Return what lies at these places of each side."""
    if not all(len(one) for one in cuts):
        raise Unsupported(_("nothing is left of its input"))
    sides = sorted(range(len(cuts)), key=value.side)
    layer = graph.Slice(
        begin=tuple(cuts[i].start for i in sides),
        size=tuple(len(cuts[i]) for i in sides),
        step=tuple(cuts[i].step for i in sides),
    )
    return moved(context, value, layer, tuple(map(len, cuts)))


def split(context: Context, operation: Operation) -> None:
    """Split: a slice for each output."""
    value = source_of(context, operation)
    axis = axis_of(operation.attributes.get("axis", 0), len(value.shape))
    constants, side = context.constants(operation), value.shape[axis]
    parts = moves.splits_of(operation.attributes, constants, side, len(operation.outputs))
    first = 0
    for target, length in zip(operation.outputs, parts, strict=True):
        cuts = [range(one) for one in value.shape]
        cuts[axis] = range(first, first + length)
        context.values[target] = cut(context, value, cuts)
        first += length


def concat(context: Context, operation: Operation) -> None:
    """Concat of values; each is brought to the output's scale."""
    values = [context.get(operation, i) for i in range(len(operation.inputs))]
    if all(isinstance(one, Codes) for one in values):
        raise Unsupported(_("it takes a quantised value without DequantizeLinear"))
    parts = [context.entries(operation, i) for i in range(len(values))]
    rank = len(parts[0].shape)
    axis = axis_of(operation.attributes.get("axis", 0), rank)
    last = all(one.channels_last for one in parts)
    if not last:
        parts = [context.plain(one) for one in parts]
    shape = list(parts[0].shape)
    shape[axis] = sum(one.shape[axis] for one in parts)
    layer = graph.Concatenate(axis=parts[0].side(axis))

    def finish(context: Context, scale: Scale, low: int, high: int) -> int:
        if (low, high) != (-128, 127):
            raise Unsupported(_("bounds after a concatenation"))
        same = [one if one.scale == scale else context.looked_up(one, scale) for one in parts]
        return context.emit(layer, *(one.place for one in same))

    context.give(operation, Pending(tuple(shape), finish, last))


def pad(context: Context, operation: Operation) -> None:
    """Pad with a constant."""
    value = context.entries(operation, 0)
    constants = context.constants(operation)
    before, after, real = moves.pads_of(operation.attributes, constants, len(value.shape))
    assert value.scale is not None
    sides = sorted(range(len(before)), key=value.side)
    layer = graph.Pad(
        before=tuple(before[i] for i in sides),
        after=tuple(after[i] for i in sides),
        value=code_of(real, value.scale),
    )
    shape = tuple(map(sum, zip(value.shape, before, after, strict=True)))
    context.give(operation, moved(context, value, layer, shape))


def expand(context: Context, operation: Operation) -> None:
    """Expand."""
    value = source_of(context, operation)
    wanted = tuple(context.known(operation, 1, _("shape")).value.reshape(-1).tolist())
    context.give(operation, expanded(context, value, np.broadcast_shapes(value.shape, wanted)))


def expanded(context: Context, value: Any, shape: tuple[int, ...]) -> Any:
    """Return a value in a shape that it can be broadcast to: sides of 1 taken several times."""
    longer = (1,) * (len(shape) - len(value.shape)) + value.shape
    value = reshaped(context, value, longer)
    for axis, side in enumerate(shape):
        if value.shape[axis] != side:
            sides = (*value.shape[:axis], side, *value.shape[axis + 1 :])
            Form(sides)  # refused here where it is too large
            taken = graph.Take(axis=axis, places=np.zeros(side, np.int32))
            value = moved(context, value, taken, sides)
    return value


def gather(context: Context, operation: Operation) -> None:
    """Gather of constant places, or rows of a constant table."""
    table, places = context.get(operation, 0), context.get(operation, 1)
    if isinstance(places, Known):
        value = context.plain(source_of(context, operation))
        axis = axis_of(operation.attributes.get("axis", 0), len(value.shape))
        at = moves.places_of(places.value, value.shape[axis])
        if at.size == 0:
            raise Unsupported(_("nothing is left of its input"))
        taken = graph.Take(axis=axis, places=at.reshape(-1).astype(np.int32))
        sides = (*value.shape[:axis], at.size, *value.shape[axis + 1 :])
        shape = (*value.shape[:axis], *at.shape, *value.shape[axis + 1 :])
        context.give(operation, reshaped(context, moved(context, value, taken, sides), shape))
        return
    if not isinstance(table, Known) or table.value.ndim != 2 or operation.attributes.get("axis", 0):
        raise Unsupported(_("its table must be constant with two dimensions"))
    if not (isinstance(places, Entries) and places.whole):
        raise Unsupported(_("its places must be an int32 input"))
    embed(context, operation, table, places)


def embed(context: Context, operation: Operation, table: Known, places: Entries) -> None:
    """Rows of a table for each number of an input."""
    shape = (*places.shape, table.shape[1])
    if table.value.dtype.kind in "iu":
        unsigned = table.value.dtype == np.uint8
        rows = (table.value.astype(np.int16) - 128 * unsigned).astype(np.int8)
        place = context.emit(graph.Embed(rows=np.ascontiguousarray(rows)), places.place)
        context.values[operation.outputs[0]] = Codes(place, shape, unsigned=unsigned)
        return
    own = table.quantised
    if own is not None and len(own.scales) == 1:
        place = context.emit(graph.Embed(rows=own.codes), places.place)
        scale = (float(own.scales[0]), 0)
        context.give(operation, Entries(place, shape, False, linear_reals(scale), scale))
        return

    def finish(context: Context, scale: Scale, low: int, high: int, factors: Array = ONE) -> int:
        units = (scale[0] * factors).astype(np.float32)
        rows = np.clip(np.rint(table.value / units) + scale[1], low, high)
        return context.emit(graph.Embed(rows=rows.astype(np.int8)), places.place)

    span = float(table.value.min()), float(table.value.max())
    scale_of(*span)  # finite, or refused here
    spans = table.value.min(axis=0).astype(np.float64), table.value.max(axis=0).astype(np.float64)
    context.give(operation, Pending(shape, finish, by_channel=True, span=span, spans=spans))


def gather_nd(context: Context, operation: Operation) -> None:
    """GatherND of single entries at constant places."""
    value = context.plain(source_of(context, operation))
    indices = context.known(operation, 1, _("places")).value
    at = moves.entries_of(operation.attributes, value.shape, indices)
    flat = reshaped(context, value, (math.prod(value.shape),))
    taken = graph.Take(axis=0, places=at.reshape(-1).astype(np.int32))
    context.give(operation, reshaped(context, moved(context, flat, taken, (at.size,)), at.shape))


def shape_of(context: Context, operation: Operation) -> None:
    """Shape: known."""
    sides = context.get(operation, 0).shape
    part = sides[operation.attributes.get("start", 0) : operation.attributes.get("end")]
    context.values[operation.outputs[0]] = Known(np.array(part, np.int64))


def size_of(context: Context, operation: Operation) -> None:
    """Size: known."""
    count = math.prod(context.get(operation, 0).shape)
    context.values[operation.outputs[0]] = Known(np.array(count, np.int64))


CONVERTERS: dict[str, Converter] = {
    "Reshape": reshaping(_reshape),
    "Flatten": reshaping(_flatten),
    "Squeeze": reshaping(_squeeze),
    "Unsqueeze": reshaping(_unsqueeze),
    "Transpose": transpose,
    "Slice": slice_,
    "Split": split,
    "Concat": concat,
    "Pad": pad,
    "Expand": expand,
    "Gather": gather,
    "GatherND": gather_nd,
    "Shape": shape_of,
    "Size": size_of,
}
