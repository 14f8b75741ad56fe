"""What moves entries, and what only computes a shape: that is folded here."""

from gettext import gettext as _

import numpy as np

from kernels.errors import Unsupported
from kernels.network.graph.moves import (
    Concatenate,
    Embed,
    Pad,
    Reshape,
    Slice,
    Take,
    Transpose,
)
from kernels.network.tflite.context import Context, Converter, positive
from kernels.network.tflite.reader import Operation


def reshape(context: Context, operation: Operation) -> None:
    """RESHAPE, SQUEEZE, EXPAND_DIMS: the file says the output's shape."""
    source, target = operation.inputs[0], operation.outputs[0]
    shape = context.tensor(target).shape
    if source in context.constants:
        known = context.constants[source]
        if known.size != int(np.prod(shape, dtype=np.int64)):
            raise Unsupported(_("its output has another number of entries"))
        context.constants[target] = known.reshape(shape)
        return
    if context.tensor(source).dtype == "FLOAT32":  # a float input, quantised later
        context.values[target] = context.emit(Reshape(shape=shape), context.values[source])
        return
    context.same_scale(operation)
    context.give(operation, context.emit(Reshape(shape=shape), context.value(source)))


def shape_of(context: Context, operation: Operation) -> None:
    """SHAPE: known, as every shape is."""
    form = context.form(operation.inputs[0])
    context.constants[operation.outputs[0]] = np.array(form.shape, np.int32)


def pack(context: Context, operation: Operation) -> None:
    """PACK of numbers that are known, or of values along a new dimension."""
    import tflite

    options = operation.options(tflite.PackOptions)
    target = operation.outputs[0]
    rank = len(context.tensor(target).shape)
    axis = positive(options.Axis(), rank)
    if all(i in context.constants for i in operation.inputs):
        parts = [context.constants[i] for i in operation.inputs]
        context.constants[target] = np.stack(parts, axis=axis)  # the import's budget bounds them
        return
    context.same_scale(operation)
    values = []
    for i in operation.inputs:
        shape = context.form(i).shape
        longer = Reshape(shape=(*shape[:axis], 1, *shape[axis:]))
        values.append(context.emit(longer, context.value(i)))
    context.give(operation, context.emit(Concatenate(axis=axis), *values))


def concatenation(context: Context, operation: Operation) -> None:
    """CONCATENATION of values with one scale."""
    import tflite

    options = operation.options(tflite.ConcatenationOptions)
    if options.FusedActivationFunction():
        raise Unsupported(_("its fused activation is not possible"))
    axis = options.Axis()
    if all(i in context.constants for i in operation.inputs):
        parts = [context.constants[i] for i in operation.inputs]
        axis = positive(axis, parts[0].ndim)
        context.constants[operation.outputs[0]] = np.concatenate(parts, axis=axis)
        return
    out = context.scale(operation.outputs[0])
    if any(context.scale(i) != out for i in operation.inputs):
        raise Unsupported(_("input and output must have the same scale"))
    axis = positive(axis, len(context.form(operation.inputs[0]).shape))
    values = [context.value(i) for i in operation.inputs]
    context.give(operation, context.emit(Concatenate(axis=axis), *values))


def transpose(context: Context, operation: Operation) -> None:
    """TRANSPOSE in a constant order."""
    context.same_scale(operation)
    rank = len(context.form(operation.inputs[0]).shape)
    order = context.integers(operation.inputs[1], _("order"))
    layer = Transpose(order=tuple(positive(axis, rank) for axis in order))
    context.give(operation, context.emit(layer, context.value(operation.inputs[0])))


def slice_(context: Context, operation: Operation) -> None:
    """SLICE from a constant place."""
    context.same_scale(operation)
    shape = context.form(operation.inputs[0]).shape
    begin, size = (context.integers(i, _("begin and size")) for i in operation.inputs[1:3])
    if not len(begin) == len(size) == len(shape):
        raise Unsupported(_("its begin and size do not fit its input"))
    sizes = tuple(
        side - first if count == -1 else count
        for side, first, count in zip(shape, begin, size, strict=True)
    )
    layer = Slice(begin=begin, size=sizes, step=(1,) * len(shape))
    context.give(operation, context.emit(layer, context.value(operation.inputs[0])))


def strided_slice(context: Context, operation: Operation) -> None:
    """STRIDED_SLICE with constant bounds, as numpy cuts; of known numbers it is known."""
    import tflite

    options = operation.options(tflite.StridedSliceOptions)
    if options.EllipsisMask() or options.NewAxisMask():
        raise Unsupported(_("an ellipsis or a new dimension in a slice"))
    source = operation.inputs[0]
    shape = (
        context.constants[source].shape
        if source in context.constants
        else context.form(source).shape
    )
    begin, end, step = (context.integers(i, _("bounds")) for i in operation.inputs[1:4])
    if not len(begin) == len(end) == len(step) <= len(shape) or 0 in step:
        raise Unsupported(_("its bounds do not fit its input"))
    cuts, dropped = [], []
    for i, side in enumerate(shape):
        if i >= len(begin):
            cuts.append(range(side))
            continue
        bit = 1 << i
        if options.ShrinkAxisMask() & bit:
            place = positive(begin[i], side)
            cuts.append(range(place, place + 1))
            dropped.append(i)
            continue
        first = None if options.BeginMask() & bit else begin[i]
        last = None if options.EndMask() & bit else end[i]
        cuts.append(range(side)[slice(first, last, step[i])])
    if source in context.constants:
        known = context.constants[source][np.ix_(*cuts)]
        context.constants[operation.outputs[0]] = known.squeeze(axis=tuple(dropped))
        return
    context.same_scale(operation)
    if not all(len(cut) for cut in cuts):
        raise Unsupported(_("nothing is left of its input"))
    layer = Slice(
        begin=tuple(cut.start for cut in cuts),
        size=tuple(map(len, cuts)),
        step=tuple(cut.step for cut in cuts),
    )
    value = context.emit(layer, context.value(source))
    if dropped:
        left = tuple(len(cut) for i, cut in enumerate(cuts) if i not in dropped)
        value = context.emit(Reshape(shape=left), value)
    context.give(operation, value)


def split(context: Context, operation: Operation) -> None:
    """SPLIT in equal parts, SPLIT_V in given ones: a slice for each output."""
    axis_at, source = (0, 1) if operation.kind == "SPLIT" else (2, 0)
    source = operation.inputs[source]
    shape = context.form(source).shape
    (axis,) = context.integers(operation.inputs[axis_at], _("dimension"))
    axis, first = positive(axis, len(shape)), 0
    value = context.value(source)
    for target in operation.outputs:
        said = context.tensor(target).shape
        if context.scale(target) != context.scale(source):
            raise Unsupported(_("input and output must have the same scale"))
        if len(said) != len(shape):
            raise Unsupported(_("its outputs do not fit its input"))
        size = (*shape[:axis], said[axis], *shape[axis + 1 :])
        begin = tuple(first if i == axis else 0 for i in range(len(shape)))
        layer = Slice(begin=begin, size=size, step=(1,) * len(shape))
        context.values[target] = context.emit(layer, value)
        first += said[axis]
    if first != shape[axis]:
        raise Unsupported(_("its outputs do not fit its input"))


def pad(context: Context, operation: Operation) -> None:
    """PAD with real zero, PADV2 with a constant."""
    context.same_scale(operation)
    around = context.constant(operation.inputs[1], _("paddings"))
    shape = context.form(operation.inputs[0]).shape
    if around.dtype.kind != "i" or around.shape != (len(shape), 2):
        raise Unsupported(_("its paddings do not fit its input"))
    value = context.scale(operation.outputs[0])[1]
    if len(operation.inputs) > 2:
        (value,) = context.integers(operation.inputs[2], _("value"))
    before, after = (tuple(side.tolist()) for side in around.T)
    layer = Pad(before=before, after=after, value=value)
    context.give(operation, context.emit(layer, context.value(operation.inputs[0])))


def gather(context: Context, operation: Operation) -> None:
    """GATHER of constant places, or rows of a constant table (EMBEDDING_LOOKUP, too)."""
    import tflite

    rows, places = operation.inputs[0], operation.inputs[1]
    axis = 0
    if operation.kind == "EMBEDDING_LOOKUP":
        rows, places = places, rows
    else:
        options = operation.options(tflite.GatherOptions)
        if options.BatchDims():
            raise Unsupported(_("a gather by sample"))
        axis = options.Axis()
    if context.scale(rows) != context.scale(operation.outputs[0]):
        raise Unsupported(_("input and output must have the same scale"))
    if places in context.constants:
        known = context.constant(places, _("places"))
        shape = context.form(rows).shape
        axis = positive(axis, len(shape))
        if known.dtype.kind != "i" or known.size == 0:
            raise Unsupported(_("its {what} must be constant").format(what=_("places")))
        taken = Take(axis=axis, places=known.reshape(-1).astype(np.int32))
        value = context.emit(taken, context.value(rows))
        if known.ndim != 1:
            sides = (*shape[:axis], *known.shape, *shape[axis + 1 :])
            value = context.emit(Reshape(shape=sides), value)
        context.give(operation, value)
        return
    table = context.constant(rows, _("table"))
    if table.dtype != np.int8 or table.ndim != 2 or axis != 0:
        raise Unsupported(_("its table must be int8 with two dimensions"))
    context.give(operation, context.emit(Embed(rows=table), context.value(places)))


CONVERTERS: dict[str, Converter] = {
    "RESHAPE": reshape,
    "SQUEEZE": reshape,
    "EXPAND_DIMS": reshape,
    "SHAPE": shape_of,
    "PACK": pack,
    "CONCATENATION": concatenation,
    "TRANSPOSE": transpose,
    "SLICE": slice_,
    "STRIDED_SLICE": strided_slice,
    "SPLIT": split,
    "SPLIT_V": split,
    "PAD": pad,
    "PADV2": pad,
    "GATHER": gather,
    "EMBEDDING_LOOKUP": gather,
}
