"""QuantizeLinear, DequantizeLinear, and the operators that have both in them (QLinear...).

A QLinear operator is converted as the operator between DequantizeLinear and QuantizeLinear.
"""

from collections.abc import Callable
from dataclasses import replace
from gettext import gettext as _
from typing import Any

import numpy as np

from kernels.errors import Unsupported
from kernels.network.onnx.context import Context, Converter
from kernels.network.onnx.convert import elementwise, moves, normal, products, tables, windows
from kernels.network.onnx.reader import Operation
from kernels.network.onnx.values import (
    Codes,
    Entries,
    Float,
    Known,
    Pending,
    Placed,
    Quantised,
    Scale,
    Value,
    linear_reals,
)

MICROSOFT = "com.microsoft."


def scale_at(context: Context, operation: Operation, at: int) -> tuple[Scale, bool]:
    """Return the scale at input `at` and the zero point after it, for int8, and if they are uint8."""
    scales, zero = _parameters(context, operation, at)
    if scales.size != 1 or (zero is not None and zero.size != 1):
        raise Unsupported(_("an activation must have one scale"))
    if operation.attributes.get("block_size"):
        raise Unsupported(_("an activation must have one scale"))
    scale = float(scales.reshape(-1)[0])
    unsigned = zero is None or zero.dtype == np.uint8
    if operation.attributes.get("output_dtype") == 3 and zero is None:
        unsigned = False
    if zero is not None and zero.dtype not in (np.uint8, np.int8):
        raise Unsupported(_("it computes in {dtype}, not in int8").format(dtype=zero.dtype))
    if not (np.isfinite(scale) and scale > 0):
        raise Unsupported(_("a scale of the file is not a usable number"))
    whole = 0 if zero is None else int(zero.reshape(-1)[0])
    return (scale, whole - 128 if unsigned else whole), unsigned


def _parameters(context: Context, operation: Operation, at: int) -> tuple[Any, Any]:
    return (
        context.known(operation, at, _("scale")).value,
        context.optional(operation, at + 1, _("zero point")),
    )


def dequantised(context: Context, operation: Operation, at: int, scale_from: int) -> Value:
    """Return input `at` with the meaning that the scale at `scale_from` gives it."""
    value = context.get(operation, at)
    if isinstance(value, Known):
        scales, zero = _parameters(context, operation, scale_from)
        return known(value, scales, zero, operation)
    scale, unsigned = scale_at(context, operation, scale_from)
    if not isinstance(value, Codes) or context.forms[value.place].entry_bytes != 1:
        raise Unsupported(_("its input is not quantised"))
    if value.unsigned != unsigned:
        raise Unsupported(_("its zero point is of another type than its input"))
    return Entries(value.place, value.shape, value.channels_last, linear_reals(scale), scale)


def known(value: Known, scales: Any, zero: Any, operation: Operation) -> Known:
    """Return a constant's real numbers; its int8 are kept where the zero point is 0."""
    codes, rank = value.value, value.value.ndim
    if codes.dtype not in (np.int8, np.uint8, np.int32) or operation.attributes.get("block_size"):
        raise Unsupported(_("a constant must be int8 or int32"))
    reals = scales.astype(np.float64).reshape(-1)
    if not (np.isfinite(reals).all() and (reals > 0).all()):
        raise Unsupported(_("a scale of the file is not a usable number"))
    axis = operation.attributes.get("axis", 1) if operation.kind == "DequantizeLinear" else 0
    axis = axis % rank if rank and -rank <= axis < rank else 0
    if len(reals) > 1 and (rank == 0 or codes.shape[axis] != len(reals)):
        raise Unsupported(_("weights need one scale, or one for each output"))
    zeros = np.zeros(1, np.int64) if zero is None else zero.astype(np.int64).reshape(-1)
    shape = [-1 if i == axis else 1 for i in range(rank)] if len(reals) > 1 else (1,) * rank
    by_zero = zeros.reshape(shape) if len(zeros) > 1 else zeros.reshape((1,) * rank)
    real = (codes.astype(np.int64) - by_zero) * reals.reshape(shape)
    middle = 128 if codes.dtype == np.uint8 else 0
    if codes.dtype == np.int32 or (zeros != middle).any():
        return Known(real)
    whole = (codes.astype(np.int16) - middle).astype(np.int8)
    return Known(real.astype(np.float32), Quantised(whole, reals, axis))


def dequantize(context: Context, operation: Operation) -> None:
    """DequantizeLinear: what the codes stand for."""
    context.values[operation.outputs[0]] = dequantised(context, operation, 0, 1)


def quantize(context: Context, operation: Operation) -> None:
    """QuantizeLinear: it says the scale for which a value was waiting."""
    scale, unsigned = scale_at(context, operation, 1)
    value = context.get(operation, 0)
    context.values[operation.outputs[0]] = coded(
        context, value, scale, unsigned, operation.outputs[0]
    )


def coded(context: Context, value: Value, scale: Scale, unsigned: bool, target: str) -> Codes:
    """Return a value as codes of this scale."""
    if isinstance(value, Float):
        if context.borders.setdefault(value.name, scale) != scale:
            raise Unsupported(_("an input that is quantised to two scales"))
        made: Placed = value
    elif isinstance(value, Pending):
        made = context.finished(replace(value, name=target), scale)
    elif isinstance(value, Entries):
        made = value if value.scale == scale else context.looked_up(value, scale, target)
    elif isinstance(value, Known):
        raise Unsupported(_("a constant is quantised in the file"))
    else:
        raise Unsupported(_("it quantises what is quantised"))
    return Codes(made.place, made.shape, made.channels_last, unsigned, scale)


def linear(
    converter: Converter,
    kind: str,
    values: tuple[tuple[int, int], ...],
    output: int,
    bias: int | None = None,
) -> Converter:
    """Return the converter of a QLinear operator.

    `values` says where each input and its scale are, `output` where the output's scale is.
    """  # fmt: skip

    def convert(context: Context, operation: Operation) -> None:
        inputs = []
        target = operation.outputs[0]
        for number, (at, scale_from) in enumerate(values):
            name = f"{target} {number}"
            context.values[name] = dequantised(context, operation, at, scale_from)
            inputs.append(name)
        if bias is not None and bias < len(operation.inputs) and operation.inputs[bias]:
            whole = context.known(operation, bias, "bias").value
            units = _units(context, operation, values)
            context.values[f"{target} b"] = Known(whole * units)
            inputs.append(f"{target} b")
        real = replace(operation, kind=kind, inputs=tuple(inputs))
        converter(context, real)
        scale, unsigned = scale_at(context, operation, output)
        made = coded(context, context.values[target], scale, unsigned, target)
        context.values[target] = made

    return convert


def _units(context: Context, operation: Operation, values: tuple[tuple[int, int], ...]) -> Any:
    """Return the real value of one in a bias: the product of the scales of input and weights."""
    x, w = (context.known(operation, at, _("scale")).value.astype(np.float64) for _at, at in values)
    return x.reshape(-1) * w.reshape(-1)


def concat(context: Context, operation: Operation) -> None:
    """QLinearConcat: the output's scale first, then a value and its scale each."""
    inputs = []
    target = operation.outputs[0]
    for at in range(2, len(operation.inputs) - 2, 3):
        name = f"{target} {at}"
        context.values[name] = dequantised(context, operation, at, at + 1)
        inputs.append(name)
    moves.concat(context, replace(operation, kind="Concat", inputs=tuple(inputs)))
    scale, unsigned = scale_at(context, operation, 0)
    made = coded(context, context.values[target], scale, unsigned, target)
    context.values[target] = made


def global_average_pool(context: Context, operation: Operation) -> None:
    """QLinearGlobalAveragePool of NCHW."""
    if operation.attributes.get("channels_last"):
        raise Unsupported(_("an image in another order than NCHW"))
    convert = linear(windows.reduced(True), "GlobalAveragePool", ((0, 1),), 3)
    convert(context, operation)


_ONE, _TWO = ((0, 1),), ((0, 1), (3, 4))
_TABLES: dict[str, Callable[[Context, Operation], None]] = {
    "Sigmoid": tables.unary,
    "LeakyRelu": tables.unary,
    "AveragePool": windows.average_pool,
    "Softmax": normal.softmax,
}
CONVERTERS: dict[str, Converter] = {
    "QuantizeLinear": quantize,
    "DequantizeLinear": dequantize,
    "QLinearConv": linear(products.conv, "Conv", _TWO, 6, 8),
    "QLinearMatMul": linear(products.matmul, "MatMul", _TWO, 6),
    f"{MICROSOFT}QGemm": linear(products.gemm, "Gemm", _TWO, 7, 6),
    f"{MICROSOFT}QLinearAdd": linear(elementwise.add(1), "Add", _TWO, 6),
    f"{MICROSOFT}QLinearMul": linear(elementwise.multiply, "Mul", _TWO, 6),
    f"{MICROSOFT}QLinearConcat": concat,
    f"{MICROSOFT}QLinearGlobalAveragePool": global_average_pool,
    f"{MICROSOFT}QLinearReduceMean": linear(windows.reduced(True), "ReduceMean", _ONE, 3),
    f"{MICROSOFT}QuantizeLinear": quantize,
    f"{MICROSOFT}DequantizeLinear": dequantize,
    **{
        f"{MICROSOFT}QLinear{kind}": linear(convert, kind, _ONE, 3)
        for kind, convert in _TABLES.items()
    },
}
"""QLinear operators other than the first two are ONNX Runtime's."""
