"""Conv, MatMul, Gemm, and what is folded into them: a bias, a factor, a batch normalisation."""

import math
from collections.abc import Callable
from dataclasses import replace
from gettext import gettext as _
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.errors import Unsupported
from kernels.network.graph.convolutions import Conv2D, DepthwiseConv2D
from kernels.network.graph.moves import Transpose
from kernels.network.graph.products import (
    MOST_SHIFT,
    BatchMatMul,
    FullyConnected,
    WideFullyConnected,
)
from kernels.network.onnx.context import Context, Converter
from kernels.network.onnx.convert import pairs
from kernels.network.onnx.evaluate.layers import normal_of
from kernels.network.onnx.evaluate.windows import Windowed, windowed
from kernels.network.onnx.reader import Operation
from kernels.network.onnx.values import ONE, Array, Entries, Known, Linear, Pending, Scale
from kernels.network.tflite.scales import multiplier_of

MOST_BIAS, LEAST_UNIT = float(1 << 30), 1e-12
Make = Callable[[dict[str, Any], npt.NDArray[np.int8], npt.NDArray[np.float64]], Any]
"""Makes an operator from what all have, its int8 weights, and the real scale of each output."""


def conv(context: Context, operation: Operation) -> None:
    """Conv of images, of all channels or of each by itself."""
    weights = context.known(operation, 1, _("weights"))
    x = context.entries(operation, 0)
    if weights.value.ndim != 4:
        raise Unsupported(_("a window needs an image of two dimensions"))
    window = windowed(operation.attributes, x.shape, weights.shape[2:])
    groups, channels = operation.attributes.get("group", 1), x.shape[1]
    outputs, each = weights.shape[:2]
    if groups < 1 or each * groups != channels or outputs % groups:
        raise Unsupported(_("its weights do not fit its input"))
    if groups > 1 and each > 1:
        raise Unsupported(_("groups of more than one channel"))
    image = context.image(x)
    shape = (x.shape[0], outputs, *sides_of(x.shape, window))
    make = depthwise_of(window) if groups > 1 else convolution_of(window)
    linear = weighted(context, operation, weights, 0, image, shape, make, channels_last=True)
    context.give(operation, linear)


def sides_of(shape: tuple[int, ...], window: Windowed) -> tuple[int, int]:
    """Return height and width of a convolution's output."""
    top, left, bottom, right = window.padding
    sides = [
        (side + before + after - (size - 1) * apart - 1) // step + 1
        for side, before, after, size, apart, step in zip(
            shape[2:], (top, left), (bottom, right), window.sides, window.dilation, window.stride,
            strict=True,
        )
    ]  # fmt: skip
    return sides[0], sides[1]


def convolution_of(window: Windowed) -> Make:
    """Return what makes a Conv2D, from weights O x C x height x width."""

    def make(shared: dict[str, Any], codes: npt.NDArray[np.int8], reals: Array) -> Conv2D:
        ohwi = np.ascontiguousarray(codes.transpose(0, 2, 3, 1))
        return Conv2D(weights=ohwi, **around(window), **scaled(reals), **shared)

    return make


def depthwise_of(window: Windowed) -> Make:
    """Return what makes a DepthwiseConv2D, from weights O x 1 x height x width."""

    def make(shared: dict[str, Any], codes: npt.NDArray[np.int8], reals: Array) -> DepthwiseConv2D:
        hwo = np.ascontiguousarray(codes[:, 0].transpose(1, 2, 0))
        return DepthwiseConv2D(weights=hwo, **around(window), **scaled(reals), **shared)

    return make


def around(window: Windowed) -> dict[str, Any]:
    """Return the fields of a window."""
    return {"stride": window.stride, "dilation": window.dilation, "padding": window.padding}


def scaled(reals: Array) -> dict[str, Any]:
    """Return multipliers and exponents."""
    pairs = [multiplier_of(float(real)) for real in reals]
    return {
        "multiplier": np.array([pair[0] for pair in pairs], np.int32),
        "exponent": np.array([pair[1] for pair in pairs], np.int8),
    }


def fully_connected(
    shared: dict[str, Any],
    codes: npt.NDArray[np.int8],
    reals: Array,
    kind: type[FullyConnected] = FullyConnected,
) -> FullyConnected:
    """Make a FullyConnected, from weights outputs x features."""
    pairs = [shifted(float(real)) for real in reals]
    return kind(
        weights=np.ascontiguousarray(codes),
        multiplier=np.array([pair[0] for pair in pairs], np.int64),
        shift=np.array([pair[1] for pair in pairs], np.uint8),
        keep_dims=1,
        **shared,
    )


def wide_fully_connected(
    shared: dict[str, Any], codes: npt.NDArray[np.int8], reals: Array
) -> FullyConnected:
    """Make one to 16 bits."""
    return fully_connected(shared, codes, reals, WideFullyConnected)


def shifted(real: float) -> tuple[int, int]:
    """Return multiplier and shift: real = multiplier / 2^shift, the multiplier of 31 bits at most."""
    fraction, exponent = math.frexp(real)
    shift = min(31 - exponent, MOST_SHIFT)
    if not math.isfinite(real) or real < 0 or shift < 0:
        raise Unsupported(_("a scale of the file is not a usable number"))
    return min(round(math.ldexp(fraction, shift + exponent)), (1 << 31) - 1), shift


def weighted(
    context: Context,
    operation: Operation,
    weights: Known,
    axis: int,
    x: Entries,
    shape: tuple[int, ...],
    make: Make,
    *,
    channels_last: bool = False,
    bias_at: int = 2,
    factor: float = 1.0,
) -> Pending:
    """Return a layer that waits for its output's scale; `axis` is where the weights have outputs."""
    outputs = weights.shape[axis]
    real = np.moveaxis(weights.value, axis, 0)
    scales: npt.NDArray[np.float64] | None = None
    if context.ranges is None:
        own = weights.quantised
        if own is None or (len(own.scales) > 1 and own.axis != axis):
            raise Unsupported(
                _("its weights are not int8 with zero point 0 and a scale for each output")
            )
        real = np.moveaxis(own.codes, axis, 0)
        scales = np.broadcast_to(own.scales * factor, (outputs,))
    elif factor != 1:
        real = real * factor
    bias = context.optional(operation, bias_at, "bias")
    whole = np.zeros(outputs) if bias is None else bias.astype(np.float64).reshape(-1)
    if len(whole) not in (1, outputs) or not np.isfinite(whole).all():
        raise Unsupported(_("a bias needs a number for each output"))
    if x.scale is None:
        raise Unsupported(_("its input is not quantised"))
    given = x.scale

    def build(linear: Linear) -> Pending:
        def finish(
            context: Context, scale: Scale, low: int, high: int, factors: Array = ONE,
            make: Make = make,
        ) -> int:  # fmt: skip
            codes, by_output = quantised_weights(linear, given[0])
            units = given[0] * by_output
            sums = np.rint(linear.bias / units)
            if np.abs(sums).max(initial=0) >= 1 << 31:
                raise Unsupported(_("a bias is too large for its scale"))
            shared = {
                "bias": sums.astype(np.int32), "input_zero": given[1], "output_zero": scale[1],
                "low": low, "high": high,
            }  # fmt: skip
            return context.emit(make(shared, codes, units / (scale[0] * factors)), x.place)

        def wide(context: Context, scale: Scale) -> int:
            return finish(context, scale, -128, 127, make=wide_fully_connected)

        return Pending(
            shape, finish, channels_last, by_channel=not channels_last, linear=linear,
            wide=wide if make is fully_connected else None,
        )  # fmt: skip

    return build(Linear(real, scales, np.broadcast_to(whole, (outputs,)), build))


def quantised_weights(
    linear: Linear, unit: float
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float64]]:
    """Return int8 weights and a scale for each output, symmetric, for inputs of this scale.

    Where the weights of an output are next to nothing, its bias says the scale: it must fit int32.
    """
    if linear.scales is not None:
        return linear.weights, linear.scales
    flat = np.abs(linear.weights.reshape(len(linear.weights), -1)).max(axis=1).astype(np.float64)
    if not np.isfinite(flat).all():
        raise Unsupported(_("its weights are not finite"))
    scales = np.maximum(flat / 127, np.maximum(np.abs(linear.bias) / unit / MOST_BIAS, LEAST_UNIT))
    by_output = scales.reshape(-1, *(1,) * (linear.weights.ndim - 1)).astype(np.float32)
    return np.clip(np.rint(linear.weights / by_output), -127, 127).astype(np.int8), scales


def matmul(context: Context, operation: Operation) -> None:
    """MatMul with constant weights, or of two values."""
    right = context.get(operation, 1)
    if isinstance(right, Known) and right.value.ndim == 2:

        def layer(x: Entries, right: Known) -> Pending:
            shape = (*x.shape[:-1], right.shape[1])
            return weighted(context, operation, right, 1, x, shape, fully_connected)

        real = (
            context.ranges is not None and context.get(operation, 0).shape[-1:] == right.shape[:1]
        )
        if real and pairs.is_table(context, operation.inputs[0]):
            context.give(operation, pairs.paired(context, operation, right, layer))
            return
        x = context.plain(context.entries(operation, 0, by_channel=True))
        if x.shape[-1:] != right.shape[:1]:
            raise Unsupported(_("its weights do not fit its input"))
        if x.factors is not None:
            right = Known((right.value * x.factors[:, np.newaxis]).astype(np.float32))
        context.give(operation, layer(x, right))
        return
    a, b = (context.plain(context.entries(operation, i)) for i in (0, 1))
    if min(len(a.shape), len(b.shape)) < 2:
        raise Unsupported(_("a product of a vector"))
    shape = (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])

    def finish(context: Context, scale: Scale, low: int, high: int) -> int:
        multiplier, exponent = multiplier_of(a.scale[0] * b.scale[0] / scale[0])
        product = BatchMatMul(
            left_zero=a.scale[1], right_zero=b.scale[1], multiplier=multiplier, exponent=exponent,
            output_zero=scale[1], low=low, high=high,
        )  # fmt: skip
        return context.emit(product, a.place, b.place)

    context.give(operation, Pending(shape, finish))


def gemm(context: Context, operation: Operation) -> None:
    """Gemm with constant weights."""
    attributes = operation.attributes
    weights = context.known(operation, 1, _("weights"))
    x = context.plain(context.entries(operation, 0))
    if attributes.get("transA"):
        x = replace(x, place=context.emit(Transpose(order=(1, 0)), x.place), shape=x.shape[::-1])
    axis = 0 if attributes.get("transB") else 1
    if weights.value.ndim != 2 or len(x.shape) != 2 or x.shape[1] != weights.shape[1 - axis]:
        raise Unsupported(_("its weights do not fit its input"))
    if attributes.get("beta", 1.0) != 1:
        raise Unsupported(_("a factor before its bias"))
    shape = (x.shape[0], weights.shape[axis])
    alpha = attributes.get("alpha", 1.0)
    made = weighted(context, operation, weights, axis, x, shape, fully_connected, factor=alpha)
    context.give(operation, made)


def batch_normalization(context: Context, operation: Operation) -> None:
    """BatchNormalization: into the layer before, or a convolution of each channel with one weight."""
    factor, offset = normal_of(operation.attributes, context.constants(operation))
    value = context.get(operation, 0)
    if isinstance(value, Pending) and value.linear is not None:
        context.give(operation, changed(value, factor, offset))
        return
    x = context.image(context.entries(operation, 0))
    point = Windowed((1, 1), (1, 1), (1, 1), (0, 0, 0, 0))
    weights = Known(factor.reshape(-1, 1, 1, 1).astype(np.float32))
    made = weighted(
        context, operation, weights, 0, x, x.shape, depthwise_of(point), channels_last=True,
        bias_at=len(operation.inputs),
    )  # fmt: skip
    context.give(operation, changed(made, np.ones(len(factor)), offset))


def changed(layer: Pending, factor: Array, offset: Array) -> Pending:
    """Return a layer with its outputs times `factor` plus `offset`, both by output."""
    linear = layer.linear
    assert linear is not None
    if linear.scales is None:
        by_output = factor.reshape(-1, *(1,) * (linear.weights.ndim - 1))
        weights, scales = (linear.weights * by_output).astype(np.float32), None
    elif (factor > 0).all():
        weights, scales = linear.weights, linear.scales * factor
    else:
        raise Unsupported(_("a factor that is not positive after quantised weights"))
    bias = linear.bias * factor + offset
    made = linear.build(replace(linear, weights=weights, scales=scales, bias=bias))
    return replace(made, kind=layer.kind)


def by_output(value: Pending, other: Known) -> Array | None:
    """Return a constant as a number for each of a layer's outputs; None where it is not that."""
    if value.linear is None:
        return None
    outputs, rank = len(value.linear.bias), len(value.shape)
    if other.value.size == 1 and other.value.ndim <= rank:
        return np.full(outputs, float(other.value.item()))
    sides = (1,) * (rank - other.value.ndim) + other.shape
    axis = 1 if value.channels_last else rank - 1
    if len(sides) != rank or sides[axis] != outputs or other.value.size != outputs:
        return None
    return other.value.reshape(-1).astype(np.float64)


CONVERTERS: dict[str, Converter] = {
    "Conv": conv,
    "MatMul": matmul,
    "Gemm": gemm,
    "BatchNormalization": batch_normalization,
}
