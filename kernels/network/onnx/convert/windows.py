"""Pools, means, sums over sides, and ArgMax."""

import math
from dataclasses import replace
from gettext import gettext as _

import numpy as np

from kernels.errors import Unsupported
from kernels.network.graph.moves import Reshape, Transpose
from kernels.network.graph.windows import ArgMax, AveragePool, MaxPool, Sum
from kernels.network.onnx.context import Context, Converter
from kernels.network.onnx.convert.moves import source_of
from kernels.network.onnx.convert.products import depthwise_of, sides_of
from kernels.network.onnx.evaluate.room import axes_of, axis_of
from kernels.network.onnx.evaluate.windows import Windowed, windowed
from kernels.network.onnx.reader import Operation
from kernels.network.onnx.values import Codes, Entries, Pending, Placed, Scale, linear_reals
from kernels.network.tflite.scales import mean_multiplier


def max_pool(context: Context, operation: Operation) -> None:
    """MaxPool: input and output have one scale."""
    value = context.image(source_of(context, operation))
    window, shape = seen(operation, value)
    layer = MaxPool(
        size=window.sides, stride=window.stride, padding=window.padding, low=-128, high=127
    )
    context.give(operation, replace(value, place=context.emit(layer, value.place), shape=shape))


def seen(operation: Operation, value: Placed) -> tuple[Windowed, tuple[int, ...]]:
    """Return a pool's window and its output's shape. Raise Unsupported."""
    attributes = operation.attributes
    window = windowed(attributes, value.shape, attributes.get("kernel_shape", ()))
    if window.dilation != (1, 1) or len([one for one in operation.outputs if one]) > 1:
        raise Unsupported(_("such a window is not possible"))
    return window, (*value.shape[:2], *sides_of(value.shape, window))


def average_pool(context: Context, operation: Operation) -> None:
    """AveragePool: where each window has as many entries, a convolution with weights of 1.

    Otherwise the mean is rounded to the input's scale, and then to the output's.
    """
    value = context.image(context.entries(operation, 0))
    window, shape = seen(operation, value)
    given = value.scale
    assert given is not None
    alike = not any(window.padding) or bool(operation.attributes.get("count_include_pad"))

    def finish(context: Context, scale: Scale, low: int, high: int) -> int:
        if alike:
            ones = np.ones((value.shape[1], 1, *window.sides), np.int8)
            real = given[0] / math.prod(window.sides) / scale[0]
            shared = {
                "bias": np.zeros(len(ones), np.int32), "input_zero": given[1],
                "output_zero": scale[1], "low": low, "high": high,
            }  # fmt: skip
            layer = depthwise_of(window)(shared, ones, np.full(len(ones), real))
            return context.emit(layer, value.place)
        whole = scale == given
        bounds = (low, high) if whole else (-128, 127)
        mean = AveragePool(
            size=window.sides, stride=window.stride, padding=window.padding, low=bounds[0],
            high=bounds[1],
        )  # fmt: skip
        place = context.emit(mean, value.place)
        if whole:
            return place
        least, most = (scale[0] * (end - scale[1]) for end in (low, high))
        reals = np.clip(linear_reals(given), least, most)
        return context.looked_up(replace(value, place=place, reals=reals), scale).place

    context.give(operation, Pending(shape, finish, channels_last=True))


def reduced(mean: bool) -> Converter:
    """Return the converter of ReduceMean and GlobalAveragePool, or of ReduceSum."""

    def convert(context: Context, operation: Operation) -> None:
        value = context.entries(operation, 0)
        rank = len(value.shape)
        if operation.kind == "GlobalAveragePool":
            axes, kept = tuple(range(2, rank)), True
        else:
            found = axes_of(operation.attributes, context.constants(operation), 1, rank)
            axes = found or tuple(range(rank))
            kept = bool(operation.attributes.get("keepdims", 1))
        if not kept:
            value = context.plain(value)
        given, source = value.scale, value
        assert given is not None
        count = math.prod(value.shape[i] for i in axes) if mean else 1
        shape = tuple(
            1 if i in axes else side for i, side in enumerate(value.shape) if kept or i not in axes
        )

        def finish(context: Context, scale: Scale, low: int, high: int) -> int:
            multiplier, exponent = mean_multiplier(given[0] / scale[0], count)
            layer = Sum(
                axes=tuple(sorted(source.side(i) for i in axes)), keep_dims=int(kept),
                input_zero=given[1], multiplier=multiplier, exponent=exponent,
                output_zero=scale[1], low=low, high=high,
            )  # fmt: skip
            return context.emit(layer, source.place)

        context.give(operation, Pending(shape, finish, value.channels_last))

    return convert


def global_max_pool(context: Context, operation: Operation) -> None:
    """GlobalMaxPool."""
    value = context.image(source_of(context, operation))
    sides = value.shape[2:]
    layer = MaxPool(size=sides, stride=(1, 1), padding=(0, 0, 0, 0), low=-128, high=127)
    shape = (*value.shape[:2], 1, 1)
    context.give(operation, replace(value, place=context.emit(layer, value.place), shape=shape))


def argmax(context: Context, operation: Operation) -> None:
    """ArgMax, the first of several."""
    attributes = operation.attributes
    value = context.plain(source_of(context, operation))
    rank = len(value.shape)
    axis = axis_of(attributes.get("axis", 0), rank)
    if attributes.get("select_last_index"):
        raise Unsupported(_("the last of several largest"))
    place = value.place
    if isinstance(value, Entries) and value.scale is None:
        place = context.entries(operation, 0).place
    if axis != rank - 1:
        order = (*(i for i in range(rank) if i != axis), axis)
        place = context.emit(Transpose(order=order), place)
    place = context.emit(ArgMax(), place)
    shape = (*value.shape[:axis], *value.shape[axis + 1 :])
    if attributes.get("keepdims", 1):
        shape = (*value.shape[:axis], 1, *value.shape[axis + 1 :])
        place = context.emit(Reshape(shape=shape), place)
    context.values[operation.outputs[0]] = Codes(place, shape)


CONVERTERS: dict[str, Converter] = {
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "GlobalAveragePool": reduced(True),
    "ReduceMean": reduced(True),
    "ReduceSum": reduced(False),
    "GlobalMaxPool": global_max_pool,
    "ArgMax": argmax,
}
