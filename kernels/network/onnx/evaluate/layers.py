"""Products, windows, means and norms, float32."""

import math
from gettext import gettext as _

import numpy as np

from kernels.errors import Unsupported
from kernels.network.onnx.evaluate.room import (
    Array,
    Attributes,
    Function,
    Inputs,
    Room,
    axes_of,
    axis_of,
    given,
    optional,
)
from kernels.network.onnx.evaluate.windows import Windowed, windowed


def seen(x: Array, window: Windowed, outside: float) -> Array:
    """Return a view: batch x channels x down x across x height x width."""
    top, left, bottom, right = window.padding
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=outside)
    extents = [(n - 1) * apart + 1 for n, apart in zip(window.sides, window.dilation, strict=True)]
    view = np.lib.stride_tricks.sliding_window_view(padded, extents, axis=(2, 3))
    (down, across), (rows, columns) = window.stride, window.dilation
    return view[:, :, ::down, ::across, ::rows, ::columns]


def conv(attributes: Attributes, inputs: Inputs, room: Room) -> Array:
    """Conv of images: a product for each group, or for each entry of a depthwise one's window."""
    x, weights, bias = given(inputs, 0), given(inputs, 1), optional(inputs, 2)
    window = windowed(attributes, x.shape, weights.shape[2:])
    groups = attributes.get("group", 1)
    part = seen(x, window, 0)
    n, channels, down, across = part.shape[:4]
    each = len(weights) // groups
    room.take((n, channels // groups, down, across, *window.sides), 1)
    if weights.shape[1] == 1 and groups == channels:
        y = np.zeros((n, groups, each, down, across), x.dtype)
        by_group = weights.reshape(groups, each, *window.sides)
        for i, j in np.ndindex(*window.sides):
            y += part[:, :, np.newaxis, :, :, i, j] * by_group[:, :, i, j, np.newaxis, np.newaxis]
        y = y.reshape(n, len(weights), down, across)
    else:
        made = []
        for group in range(groups):
            some = part[:, group * weights.shape[1] : (group + 1) * weights.shape[1]]
            rows = some.transpose(0, 2, 3, 1, 4, 5).reshape(n * down * across, -1)
            filters = weights[group * each : (group + 1) * each].reshape(each, -1)
            made.append((rows @ filters.T).reshape(n, down, across, each))
        y = np.concatenate(made, axis=3).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(y if bias is None else y + bias.reshape(1, -1, 1, 1))


def matmul(attributes: Attributes, inputs: Inputs, room: Room) -> Array:  # noqa: ARG001
    """MatMul."""
    a, b = given(inputs, 0), given(inputs, 1)
    room.take(a.shape)
    return np.matmul(a, b)


def gemm(attributes: Attributes, inputs: Inputs, room: Room) -> Array:
    """Gemm."""
    a, b, c = given(inputs, 0), given(inputs, 1), optional(inputs, 2)
    a = a.T if attributes.get("transA") else a
    b = b.T if attributes.get("transB") else b
    room.take((a.shape[0], b.shape[1]))
    y = np.float32(attributes.get("alpha", 1.0)) * (a @ b)
    return y if c is None else y + np.float32(attributes.get("beta", 1.0)) * c


def batch_normalization(attributes: Attributes, inputs: Inputs, room: Room) -> Array:
    """BatchNormalization as used."""
    x = given(inputs, 0)
    room.take(x.shape)
    factor, offset = normal_of(attributes, inputs)
    shape = (1, -1, *(1,) * (x.ndim - 2))
    return (x * factor.reshape(shape) + offset.reshape(shape)).astype(x.dtype)


def normal_of(attributes: Attributes, inputs: Inputs) -> tuple[Array, Array]:
    """Return a batch normalisation as factor and offset of each channel, float64."""
    gamma, beta, mean, variance = (given(inputs, i).astype(np.float64) for i in range(1, 5))
    factor = gamma / np.sqrt(variance + attributes.get("epsilon", 1e-5))
    return factor, beta - mean * factor


def layer_normalization(attributes: Attributes, inputs: Inputs, room: Room) -> Array:
    """LayerNormalization over the last sides."""
    x, gamma, beta = given(inputs, 0), given(inputs, 1), optional(inputs, 2)
    axes = tuple(range(axis_of(attributes.get("axis", -1), x.ndim), x.ndim))
    room.take(x.shape, 3)
    centred = x - x.mean(axis=axes, keepdims=True)
    variance = np.square(centred).mean(axis=axes, keepdims=True)
    y = centred / np.sqrt(variance + np.float32(attributes.get("epsilon", 1e-5))) * gamma
    return y if beta is None else y + beta


def softmax(attributes: Attributes, inputs: Inputs, room: Room) -> Array:
    """Softmax along one side."""
    x = given(inputs, 0)
    room.take(x.shape, 2)
    axis = axis_of(attributes.get("axis", -1), x.ndim)
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def max_pool(attributes: Attributes, inputs: Inputs, room: Room) -> Array:
    """MaxPool of images."""
    x = given(inputs, 0)
    room.take(x.shape, 2)
    window = windowed(attributes, x.shape, attributes.get("kernel_shape", ()))
    return seen(x, window, -math.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min).max((4, 5))


def average_pool(attributes: Attributes, inputs: Inputs, room: Room) -> Array:
    """AveragePool of images."""
    x = given(inputs, 0)
    room.take(x.shape, 2)
    window = windowed(attributes, x.shape, attributes.get("kernel_shape", ()))
    sums = seen(x, window, 0).sum((4, 5))
    if attributes.get("count_include_pad"):
        return sums / np.float32(math.prod(window.sides))
    inside = seen(np.ones((1, 1, *x.shape[2:]), x.dtype), window, 0).sum((4, 5))
    return sums / inside


def global_pool(mean: bool) -> Function:
    """GlobalAveragePool, GlobalMaxPool."""

    def compute(attributes: Attributes, inputs: Inputs, room: Room) -> Array:  # noqa: ARG001
        x = given(inputs, 0)
        room.take(x.shape)
        axes = tuple(range(2, x.ndim))
        return x.mean(axes, keepdims=True) if mean else x.max(axes, keepdims=True)

    return compute


def reduce(mean: bool) -> Function:
    """ReduceMean, ReduceSum."""

    def compute(attributes: Attributes, inputs: Inputs, room: Room) -> Array:
        x = given(inputs, 0)
        room.take(x.shape)
        axes = axes_of(attributes, inputs, 1, x.ndim)
        kept = bool(attributes.get("keepdims", 1))
        function = np.mean if mean else np.sum
        return np.asarray(function(x, axis=axes, keepdims=kept), x.dtype)

    return compute


def argmax(attributes: Attributes, inputs: Inputs, room: Room) -> Array:
    """ArgMax, the first of several."""
    x = given(inputs, 0)
    room.take(x.shape)
    if attributes.get("select_last_index"):
        raise Unsupported(_("the last of several largest"))
    axis = axis_of(attributes.get("axis", 0), x.ndim)
    return np.asarray(x.argmax(axis=axis, keepdims=bool(attributes.get("keepdims", 1))), np.int64)


FUNCTIONS: dict[str, Function] = {
    "Conv": conv,
    "MatMul": matmul,
    "Gemm": gemm,
    "BatchNormalization": batch_normalization,
    "LayerNormalization": layer_normalization,
    "Softmax": softmax,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "GlobalAveragePool": global_pool(True),
    "GlobalMaxPool": global_pool(False),
    "ReduceMean": reduce(True),
    "ReduceSum": reduce(False),
    "ArgMax": argmax,
}
