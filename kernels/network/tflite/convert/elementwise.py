"""ADD, SUB, MUL, MAXIMUM, MINIMUM, and everything that is a table: activations and other scales."""

import math
from collections.abc import Callable
from gettext import gettext as _
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.errors import Unsupported
from kernels.network.graph.elementwise import Add, Larger, Multiply, Table
from kernels.network.graph.softmax import Softmax
from kernels.network.tflite import scales
from kernels.network.tflite.context import Context, Converter
from kernels.network.tflite.reader import Operation
from kernels.network.tflite.scales import divided, multiplier_of, rounded

Floats = npt.NDArray[np.float64]
ADD_SHIFT = 20


def add_or_subtract(sign: int) -> Converter:
    """Return the converter of ADD (1) or SUB (-1)."""

    def convert(context: Context, operation: Operation) -> None:
        import tflite

        options = operation.options(tflite.AddOptions if sign > 0 else tflite.SubOptions)
        a, b = (context.scale(i) for i in operation.inputs)
        y = context.scale(operation.outputs[0])
        twice = 2 * float(max(a[0], b[0]))
        left, right = (multiplier_of(float(side[0]) / twice) for side in (a, b))
        with np.errstate(all="ignore"):
            output = multiplier_of(twice / float(np.float32(1 << ADD_SHIFT) * y[0]))
        low, high = scales.activation_range(options.FusedActivationFunction(), *y)
        if output[1] > (0 if sign > 0 else 1):
            raise Unsupported(_("its output is too fine for its inputs"))
        layer = Add(
            left_zero=a[1],
            right_zero=b[1],
            left_multiplier=left[0],
            left_exponent=left[1],
            right_multiplier=right[0],
            right_exponent=right[1],
            multiplier=output[0],
            exponent=output[1],
            output_zero=y[1],
            low=low,
            high=high,
            sign=sign,
        )
        _pair(context, operation, layer)

    return convert


def multiply(context: Context, operation: Operation) -> None:
    """MUL."""
    import tflite

    options = operation.options(tflite.MulOptions)
    a, b = (context.scale(i) for i in operation.inputs)
    y = context.scale(operation.outputs[0])
    with np.errstate(all="ignore"):
        multiplier, exponent = multiplier_of(float(a[0] * b[0] / y[0]))
    low, high = scales.activation_range(options.FusedActivationFunction(), *y)
    layer = Multiply(
        left_zero=a[1],
        right_zero=b[1],
        multiplier=multiplier,
        exponent=exponent,
        output_zero=y[1],
        low=low,
        high=high,
    )
    _pair(context, operation, layer)


def larger(sign: int) -> Converter:
    """Return the converter of MAXIMUM (1) or MINIMUM (-1)."""

    def convert(context: Context, operation: Operation) -> None:
        context.same_scale(operation)
        _pair(context, operation, Larger(sign=sign))

    return convert


def quantize(context: Context, operation: Operation) -> None:
    """QUANTIZE: another scale; of a float input it is left to whoever gives the samples."""
    source, target = operation.inputs[0], operation.outputs[0]
    y = context.scale(target)
    if context.tensor(source).dtype == "FLOAT32":
        if context.borders.setdefault(source, y) != y or source not in context.values:
            raise Unsupported(_("only an input can be quantised, and to one scale"))
        context.give(operation, context.values[source])
        return
    x = context.scale(source)
    _table(context, operation, scales.requantised(_ratio(x, y), x[1], y[1]))


def dequantize(context: Context, operation: Operation) -> None:
    """DEQUANTIZE: the value stays int8, and its scale is said of the output."""
    source, target = operation.inputs[0], operation.outputs[0]
    if target not in context.model.outputs:
        raise Unsupported(_("it computes in {dtype}, not in int8").format(dtype="FLOAT32"))
    context.borders[target] = context.scale(source)
    context.give(operation, context.value(source))


def relu(low: float, high: float | None) -> Converter:
    """Return the converter of a RELU that stands alone, as QuantizedReluX."""

    def convert(context: Context, operation: Operation) -> None:
        x, y = context.scale(operation.inputs[0]), context.scale(operation.outputs[0])
        least = max(-128, y[1] + rounded(divided(np.float32(low), y[0])))
        most = 127 if high is None else min(127, y[1] + rounded(divided(np.float32(high), y[0])))
        ratio = multiplier_of(divided(x[0], y[0]))
        _table(context, operation, scales.relu_table(ratio, x[1], y[1], least, most))

    return convert


def leaky_relu(context: Context, operation: Operation) -> None:
    """LEAKY_RELU with a slope that is not negative."""
    import tflite

    alpha = np.float32(operation.options(tflite.LeakyReluOptions).Alpha())
    x, y = context.scale(operation.inputs[0]), context.scale(operation.outputs[0])
    with np.errstate(all="ignore"):
        slope = multiplier_of(float(np.float32(x[0] * alpha) / y[0]))
    identity = multiplier_of(divided(x[0], y[0]))
    _table(context, operation, scales.leaky_table(identity, slope, x[1], y[1]))


def function(real: Callable[[Floats], Floats]) -> Converter:
    """Return the converter of a function that LiteRT makes a table of."""

    def convert(context: Context, operation: Operation) -> None:
        x, y = context.scale(operation.inputs[0]), context.scale(operation.outputs[0])
        _table(context, operation, scales.function_table(real, x, y))

    return convert


def hard_swish(context: Context, operation: Operation) -> None:
    """HARD_SWISH."""
    x, y = context.scale(operation.inputs[0]), context.scale(operation.outputs[0])
    _table(context, operation, scales.hard_swish_table(x, y))


def softmax(context: Context, operation: Operation) -> None:
    """SOFTMAX to a scale of 1/256."""
    import tflite

    beta = operation.options(tflite.SoftmaxOptions).Beta()
    x, y = context.scale(operation.inputs[0]), context.scale(operation.outputs[0])
    if y[1] != -128 or abs(float(y[0]) - 1 / 256) > 0.001 / 256:
        raise Unsupported(_("a softmax must have the scale 1/256 and the zero point -128"))
    layer = Softmax(exps=scales.softmax_exps(beta, x[0]))
    context.give(operation, context.emit(layer, context.value(operation.inputs[0])))


def _ratio(x: Any, y: Any) -> tuple[int, int]:
    return multiplier_of(float(x[0]) / float(y[0]))


def _sigmoid(x: Floats) -> Floats:
    exps = np.exp(-x.astype(np.float32).astype(np.float64)).astype(np.float32)
    return (np.float32(1) / (np.float32(1) + exps)).astype(np.float64)


def gelu(context: Context, operation: Operation) -> None:
    """GELU, exact or with tanh, as GeluTransform and GeluTransformApproximate in float32."""
    import tflite

    approximate = bool(operation.options(tflite.GeluOptions).Approximate())
    function(_gelu_tanh if approximate else _gelu_erf)(context, operation)


def _gelu_erf(x: Floats) -> Floats:
    real = x.astype(np.float32)
    inner = (real * np.float32(-math.sqrt(0.5))).astype(np.float64)
    erfc = np.array([math.erfc(one) for one in inner], np.float32)
    return (np.float32(0.5) * real * erfc).astype(np.float64)


def _gelu_tanh(x: Floats) -> Floats:
    real = x.astype(np.float32)
    inner = np.float32(math.sqrt(2 / math.pi)) * (real + np.float32(0.044715) * real * real * real)
    tanh = np.tanh(inner.astype(np.float64)).astype(np.float32)
    return (np.float32(0.5) * real * (np.float32(1) + tanh)).astype(np.float64)


def _pair(context: Context, operation: Operation, layer: Add | Multiply | Larger) -> None:
    if len(operation.inputs) != 2:
        raise Unsupported(_("it takes two inputs"))
    context.give(operation, context.emit(layer, *(context.value(i) for i in operation.inputs)))


def _table(context: Context, operation: Operation, table: npt.NDArray[np.int8]) -> None:
    value = context.value(operation.inputs[0])
    context.give(operation, context.emit(Table(table=table), value))


CONVERTERS: dict[str, Converter] = {
    "ADD": add_or_subtract(1),
    "SUB": add_or_subtract(-1),
    "MUL": multiply,
    "MAXIMUM": larger(1),
    "MINIMUM": larger(-1),
    "QUANTIZE": quantize,
    "DEQUANTIZE": dequantize,
    "RELU": relu(0, None),
    "RELU6": relu(0, 6),
    "RELU_N1_TO_1": relu(-1, 1),
    "LEAKY_RELU": leaky_relu,
    "LOGISTIC": function(_sigmoid),
    "TANH": function(np.tanh),
    "HARD_SWISH": hard_swish,
    "GELU": gelu,
    "SOFTMAX": softmax,
}
