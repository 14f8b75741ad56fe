"""Pools, MEAN, resizing, ARG_MAX."""

import math
from gettext import gettext as _
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.errors import Unsupported
from kernels.network.graph.moves import Take
from kernels.network.graph.windows import ArgMax, AveragePool, MaxPool, ResizeBilinear, Sum
from kernels.network.tflite.context import Context, Converter, positive
from kernels.network.tflite.convert.products import padding_of
from kernels.network.tflite.reader import Operation
from kernels.network.tflite.scales import activation_range, mean_multiplier


def pool(kind: type[MaxPool | AveragePool]) -> Converter:
    """Return the converter of MAX_POOL_2D or AVERAGE_POOL_2D."""

    def convert(context: Context, operation: Operation) -> None:
        import tflite

        context.same_scale(operation)
        options = operation.options(tflite.Pool2DOptions)
        size = options.FilterHeight(), options.FilterWidth()
        stride = options.StrideH(), options.StrideW()
        form = context.form(operation.inputs[0])
        y = context.scale(operation.outputs[0])
        low, high = activation_range(options.FusedActivationFunction(), *y)
        layer = kind(
            size=size,
            stride=stride,
            padding=padding_of(form, size, stride, (1, 1), options.Padding()),
            low=low,
            high=high,
        )
        context.give(operation, context.emit(layer, context.value(operation.inputs[0])))

    return convert


def mean(context: Context, operation: Operation) -> None:
    """MEAN over constant dimensions."""
    import tflite

    options = operation.options(tflite.ReducerOptions)
    x, y = context.scale(operation.inputs[0]), context.scale(operation.outputs[0])
    shape = context.form(operation.inputs[0]).shape
    given = context.integers(operation.inputs[1], _("dimensions"))
    axes = tuple(sorted({positive(axis, len(shape)) for axis in given}))
    count = math.prod(shape[axis] for axis in axes)
    multiplier, exponent = mean_multiplier(float(x[0]) / float(y[0]), count)
    layer = Sum(
        axes=axes,
        keep_dims=int(bool(options.KeepDims())),
        input_zero=x[1],
        multiplier=multiplier,
        exponent=exponent,
        output_zero=y[1],
        low=-128,
        high=127,
    )
    context.give(operation, context.emit(layer, context.value(operation.inputs[0])))


def resize_bilinear(context: Context, operation: Operation) -> None:
    """RESIZE_BILINEAR."""
    import tflite

    context.same_scale(operation)
    options = operation.options(tflite.ResizeBilinearOptions)
    layer = ResizeBilinear(
        size=context.integers(operation.inputs[1], _("size")),
        align_corners=int(bool(options.AlignCorners())),
        half_pixel=int(bool(options.HalfPixelCenters())),
    )
    context.give(operation, context.emit(layer, context.value(operation.inputs[0])))


def resize_nearest(context: Context, operation: Operation) -> None:
    """RESIZE_NEAREST_NEIGHBOR: each place of the output takes one of the input, in both directions."""
    import tflite

    context.same_scale(operation)
    options = operation.options(tflite.ResizeNearestNeighborOptions)
    shape = context.form(operation.inputs[0]).shape
    size = context.integers(operation.inputs[1], _("size"))
    if len(shape) != 4 or len(size) != 2 or not all(1 <= side <= 1 << 20 for side in size):
        raise Unsupported(_("a window needs an image"))
    value = context.value(operation.inputs[0])
    for axis, wanted in ((1, size[0]), (2, size[1])):
        places = nearest(
            shape[axis], wanted, bool(options.AlignCorners()), bool(options.HalfPixelCenters())
        )
        value = context.emit(Take(axis=axis, places=places), value)
    context.give(operation, value)


def nearest(side: int, wanted: int, corners: bool, half: bool) -> npt.NDArray[Any]:
    """Return GetNearestNeighbor for each place, in float32."""
    whole = (side - 1, wanted - 1) if corners and wanted > 1 else (side, wanted)
    scale = np.float32(whole[0]) / np.float32(whole[1])
    at = (np.arange(wanted, dtype=np.float32) + np.float32(0.5 if half else 0)) * scale
    places = np.floor(at + np.float32(0.5)) if corners else np.floor(at)
    return np.clip(places.astype(np.int32), 0, side - 1)


def arg_max(context: Context, operation: Operation) -> None:
    """ARG_MAX over the last dimension, which is how a classifier ends."""
    form = context.form(operation.inputs[0])
    (axis,) = context.integers(operation.inputs[1], _("dimension"))
    if positive(axis, len(form.shape)) != len(form.shape) - 1:
        raise Unsupported(_("an argmax must be over the last dimension"))
    context.scale(operation.inputs[0])
    context.give(operation, context.emit(ArgMax(), context.value(operation.inputs[0])))


CONVERTERS: dict[str, Converter] = {
    "MAX_POOL_2D": pool(MaxPool),
    "AVERAGE_POOL_2D": pool(AveragePool),
    "MEAN": mean,
    "RESIZE_BILINEAR": resize_bilinear,
    "RESIZE_NEAREST_NEIGHBOR": resize_nearest,
    "ARG_MAX": arg_max,
}
