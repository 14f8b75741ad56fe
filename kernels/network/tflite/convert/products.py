"""CONV_2D, DEPTHWISE_CONV_2D, TRANSPOSE_CONV, FULLY_CONNECTED, BATCH_MATMUL."""

from dataclasses import replace
from gettext import gettext as _
from typing import Any

import numpy as np

from kernels.errors import Unsupported
from kernels.network.graph.convolutions import Conv2D, DepthwiseConv2D
from kernels.network.graph.moves import Pad, Spread, Transpose
from kernels.network.graph.operator import Form
from kernels.network.graph.products import BatchMatMul, FullyConnected
from kernels.network.tflite.context import Context, Converter
from kernels.network.tflite.reader import Operation
from kernels.network.tflite.scales import activation_range, multiplier_of, once_rounded

SAME = 0


def padding_of(
    form: Form,
    sides: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    kind: int,
) -> tuple[int, int, int, int]:
    """Return top, left, bottom, right, as ComputePaddingHeightWidth."""
    if kind != SAME:
        return 0, 0, 0, 0
    if len(form.shape) != 4 or 0 in stride:
        raise Unsupported(_("a window needs an image"))
    found = []
    for side, size, step, apart in zip(form.shape[1:3], sides, stride, dilation, strict=True):
        places = -(-side // step)
        total = max((places - 1) * step + (size - 1) * apart + 1 - side, 0)
        found.append((total // 2, total - total // 2))
    (top, bottom), (left, right) = found
    return top, left, bottom, right


def layer(
    context: Context, operation: Operation, axis: int, activation: int
) -> tuple[dict[str, Any], list[float]]:
    """Return zero points, bias and bounds of a layer with weights, and a real scale for each output.

    `axis` is where the weights have their outputs. As PopulateConvolutionQuantizationParams.
    """
    inputs = (*operation.inputs, -1)
    x, y = context.scale(inputs[0]), context.scale(operation.outputs[0])
    weights, known = context.tensor(inputs[1]), context.constant(inputs[1], _("weights"))
    if known.dtype != np.int8 or (weights.zeros != 0).any():
        raise Unsupported(_("weights must be int8 without a zero point"))
    outputs, scales = known.shape[axis], weights.scales
    if len(scales) not in (1, outputs) or (len(scales) > 1 and weights.axis != axis):
        raise Unsupported(_("weights need one scale, or one for each output"))
    reals = [float(x[0]) * float(one) / float(y[0]) for one in scales]
    bias = np.zeros(outputs, np.int32)
    if inputs[2] >= 0:
        bias = context.constant(inputs[2], "bias").reshape(-1)
    if bias.dtype != np.int32 or len(bias) != outputs:
        raise Unsupported(_("a bias must be int32, one for each output"))
    low, high = activation_range(activation, *y)
    return {
        "bias": bias,
        "input_zero": x[1],
        "output_zero": y[1],
        "low": low,
        "high": high,
    }, reals * (outputs // len(scales))


def scaled(reals: list[float]) -> dict[str, Any]:
    """Return the multipliers and exponents of a convolution."""
    pairs = [multiplier_of(real) for real in reals]
    return {
        "multiplier": np.array([pair[0] for pair in pairs], np.int32),
        "exponent": np.array([pair[1] for pair in pairs], np.int8),
    }


def conv_2d(context: Context, operation: Operation) -> None:
    """A convolution."""
    import tflite

    options = operation.options(tflite.Conv2DOptions)
    weights = _weights(context, operation, 4)
    stride = options.StrideH(), options.StrideW()
    dilation = options.DilationHFactor(), options.DilationWFactor()
    form = context.form(operation.inputs[0])
    sides = weights.shape[1], weights.shape[2]
    shared, reals = layer(context, operation, 0, options.FusedActivationFunction())
    made = Conv2D(
        weights=weights,
        stride=stride,
        dilation=dilation,
        padding=padding_of(form, sides, stride, dilation, options.Padding()),
        **shared,
        **scaled(reals),
    )
    context.give(operation, context.emit(made, context.value(operation.inputs[0])))


def depthwise_conv_2d(context: Context, operation: Operation) -> None:
    """A convolution of each channel by itself."""
    import tflite

    options = operation.options(tflite.DepthwiseConv2DOptions)
    weights = _weights(context, operation, 4)
    if len(weights) != 1:
        raise Unsupported(_("weights of a depthwise convolution are 1 x height x width x outputs"))
    stride = options.StrideH(), options.StrideW()
    dilation = options.DilationHFactor(), options.DilationWFactor()
    form = context.form(operation.inputs[0])
    sides = weights.shape[1], weights.shape[2]
    shared, reals = layer(context, operation, 3, options.FusedActivationFunction())
    made = DepthwiseConv2D(
        weights=weights[0],
        stride=stride,
        dilation=dilation,
        padding=padding_of(form, sides, stride, dilation, options.Padding()),
        **shared,
        **scaled(reals),
    )
    context.give(operation, context.emit(made, context.value(operation.inputs[0])))


def transpose_conv(context: Context, operation: Operation) -> None:
    """A transposed convolution: the image spread by the stride, and a convolution with turned weights.

    Input y reaches outputs y * stride - pad + f for each f of the window. So output o is the sum over
    f of the spread input at o + pad - f: a convolution with the window turned round, after padding
    with size - 1 - pad before, and what the output's size then wants after.
    """
    import tflite

    options = operation.options(tflite.TransposeConvOptions)
    size_at, weights_at, source = operation.inputs[:3]
    weights = context.constant(weights_at, _("weights"))
    size = context.integers(size_at, _("size"))
    form = context.form(source)
    if weights.ndim != 4 or len(size) != 4 or len(form.shape) != 4:
        raise Unsupported(_("a window needs an image"))
    # layer() wants the input before the weights.
    turned = replace(operation, inputs=(source, weights_at, *operation.inputs[3:]))
    shared, reals = layer(context, turned, 0, options.FusedActivationFunction())
    stride = options.StrideH(), options.StrideW()
    sides = weights.shape[1], weights.shape[2]
    output = Form(size)
    top, left, *_rest = padding_of(output, sides, stride, (1, 1), options.Padding())
    before = (0, sides[0] - 1 - top, sides[1] - 1 - left, 0)
    wanted = [out + side - 1 for out, side in zip(size[1:3], sides, strict=True)]
    zero = context.scale(source)[1]
    spread = context.emit(Spread(step=stride, value=zero), context.value(source))
    spread_sides = context.forms[spread].shape[1:3]
    after = (wanted[i] - spread_sides[i] - before[1 + i] for i in range(2))
    pad = Pad(before=before, after=(0, *after, 0), value=zero)
    made = Conv2D(
        weights=np.ascontiguousarray(weights[:, ::-1, ::-1]),
        stride=(1, 1),
        dilation=(1, 1),
        padding=(0, 0, 0, 0),
        **shared,
        **scaled(reals),
    )
    context.give(operation, context.emit(made, context.emit(pad, spread)))


def fully_connected(context: Context, operation: Operation) -> None:
    """Weights times rows of the input."""
    import tflite

    options = operation.options(tflite.FullyConnectedOptions)
    if options.WeightsFormat() != 0:
        raise Unsupported(_("its weights are in a shuffled order"))
    shared, reals = layer(context, operation, 0, options.FusedActivationFunction())
    weights = _weights(context, operation, 2)
    most = 255 * np.abs(weights.astype(np.int64)).sum(axis=1) + np.abs(
        shared["bias"].astype(np.int64)
    )
    # One scale for all outputs: one search for the largest sum among them.
    bounds = most.tolist() if len(set(reals)) > 1 else [int(most.max())] * len(most)
    found = {pair: once_rounded(*pair) for pair in set(zip(reals, bounds, strict=True))}
    pairs = [found[pair] for pair in zip(reals, bounds, strict=True)]
    made = FullyConnected(
        weights=weights,
        multiplier=np.array([pair[0] for pair in pairs], np.int64),
        shift=np.array([pair[1] for pair in pairs], np.uint8),
        keep_dims=int(bool(options.KeepNumDims())),
        **shared,
    )
    context.give(operation, context.emit(made, context.value(operation.inputs[0])))


def batch_matmul(context: Context, operation: Operation) -> None:
    """The product of two values, either of which may be transposed first."""
    import tflite

    options = operation.options(tflite.BatchMatMulOptions)
    a, b = (context.scale(i) for i in operation.inputs)
    y = context.scale(operation.outputs[0])
    with np.errstate(all="ignore"):
        real = float(np.float32(a[0] * b[0])) / float(y[0])
    multiplier, exponent = multiplier_of(real)
    product = BatchMatMul(
        left_zero=a[1],
        right_zero=b[1],
        multiplier=multiplier,
        exponent=exponent,
        output_zero=y[1],
        low=-128,
        high=127,
    )
    values = []
    for i, turned in zip(operation.inputs, (options.AdjX(), options.AdjY()), strict=True):
        value = context.value(i)
        rank = len(context.forms[value].shape)
        if turned and rank >= 2:
            order = (*range(rank - 2), rank - 1, rank - 2)
            value = context.emit(Transpose(order=order), value)
        values.append(value)
    context.give(operation, context.emit(product, *values))


def _weights(context: Context, operation: Operation, rank: int) -> Any:
    weights = context.constant(operation.inputs[1], _("weights"))
    if weights.ndim != rank:
        raise Unsupported(_("its weights must have {rank} dimensions").format(rank=rank))
    return weights


CONVERTERS: dict[str, Converter] = {
    "CONV_2D": conv_2d,
    "DEPTHWISE_CONV_2D": depthwise_conv_2d,
    "TRANSPOSE_CONV": transpose_conv,
    "FULLY_CONNECTED": fully_connected,
    "BATCH_MATMUL": batch_matmul,
}
