"""Operators that are sums of products, on the card: the sums, and what brings them to int8.

`SUMS` and `FINISH` are apart, because a result may commit to the sums of each product layer.
"""

from typing import Any

import numpy as np

from kernels.cuda.network.entries import REQUANTISE, REQUANTISE_ONCE, requantise_fours_kernel
from kernels.cuda.network.kernel import NetworkKernel
from kernels.cuda.network.machine import Array, Block, CardSums
from kernels.cuda.network.model import Model
from kernels.cuda.network.rows import pair_sums_kernel, pair_zeros_kernel, row_sums_kernel
from kernels.cuda.network.window import window_numbers
from kernels.cuda.network.windows import (
    PATCHES,
    depthwise_fours_kernel,
    depthwise_kernel,
    depthwise_sixteens_kernel,
)
from kernels.network import Window
from kernels.network.graph.convolutions import Conv2D, Convolution, DepthwiseConv2D, window_of
from kernels.network.graph.fields import Tensor
from kernels.network.graph.operator import Form, Operator
from kernels.network.graph.products import BatchMatMul, FullyConnected


def scaled(
    model: Model, op: Any, kernel: NetworkKernel, sums: CardSums, scaling: tuple[Tensor, ...]
) -> Array:
    """Return int8, rows x columns, from the sums: bias, multiplier and shift of each column."""
    out = model.machine.array(sums.rows, sums.columns)
    ends = (op.output_zero, op.low, op.high)
    if kernel is REQUANTISE and sums.columns % 4 == 0 and sums.pitch % 4 == 0:
        count = out.count // 4
        blocks = (sums.block, _fours(model, op, scaling), out.block)
        model.machine.launch(
            requantise_fours_kernel, count, *blocks, *ends, sums.columns, sums.pitch, count
        )
        return out
    kept = [
        model.weights(op, what, tensor, dtype).block
        for what, dtype, tensor in zip(
            ("bias", "multiplier", "shift"), ("<i4", "<i8", "<i1"), scaling, strict=True
        )
    ]
    sizes = (sums.columns, sums.pitch, out.count)
    numbers = model.numbers(*ends)
    model.machine.launch(kernel, out.count, sums.block, *kept, numbers, out.block, *sizes)
    return out


def _fours(model: Model, op: Any, scaling: tuple[Tensor, ...]) -> Block:
    """Bias, multiplier and exponent of all channels, as `words.four_scaled` takes them."""
    return model.weights(op, "fours", lambda: np.stack(scaling), "<i4").block


def requantised(model: Model, op: Any, sums: Array) -> Array:
    """Return int8 from sums with one scale for all of them."""
    one = CardSums(sums.block, sums.count, 1, 1)
    scaling = np.zeros(1, "<i4"), np.array([op.multiplier]), np.array([op.exponent])
    return scaled(model, op, REQUANTISE, one, scaling).reshaped(*sums.shape)


# ---------------------------------------------------------------------------------------------------
# Convolutions and fully connected layers.


def conv2d_sums(model: Model, op: Conv2D, x: Array) -> CardSums:
    """The product with patches; a window of one entry sees the image as it is."""
    outputs, rows, columns, channels = op.weights.shape
    window = window_of((rows, columns), op.stride, op.dilation, op.padding)
    if window == Window(1, 1):
        seen = x.reshaped(x.count // channels, channels)
    else:
        numbers = model.numbers(*window_numbers(window, x.shape))
        down, across = window.positions(*x.shape[2:4])
        places = x.shape[0] * x.shape[1] * down * across
        seen = model.machine.array(places, rows * columns * channels)
        wide = 4 if channels % 4 == 0 else 1
        count, outside = seen.count // wide, repeated(op.input_zero, wide)
        sizes = (channels // wide, outside, count)
        model.machine.launch(PATCHES[wide], count, x.block, numbers, seen.block, *sizes)
    return _product(model, op, seen, op.weights.reshape(outputs, -1))


def repeated(entry: int, count: int) -> int:
    """Return an int8, `count` times side by side in a word."""
    return int.from_bytes(bytes([entry & 0xFF] * count), "little", signed=True)


def depthwise(model: Model, op: DepthwiseConv2D, x: Array) -> Array:
    """Each channel by itself: 16 or 4 at a time, and brought to int8 at once, where they come so."""
    outputs, channels = op.weights.shape[2], x.shape[-1]
    if outputs != channels or channels % 4:
        return run_product(model, op, x)
    window, _ = _depthwise_window(op, x)
    numbers = model.numbers(*window_numbers(window, x.shape))
    out = model.machine.array(len(x), *op.output(Form(x.shape[1:])).shape)
    weights = model.weights(op, "weights", op.weights, "<i1").block
    scaling = _fours(model, op, (op.absorbed, *op.scaling()))
    kernel, wide = depthwise_fours_kernel, 4
    if channels % 16 == 0:
        kernel, wide = depthwise_sixteens_kernel, 16
    ends = (repeated(op.input_zero, 4), op.output_zero, op.low, op.high)
    blocks = (x.block, weights, numbers, scaling, out.block)
    model.machine.launch(kernel, out.count // wide, *blocks, *ends, out.count // wide)
    return out


def _depthwise_window(op: DepthwiseConv2D, x: Array) -> tuple[Window, int]:
    """Return the window, and how many places it has in all samples."""
    window = window_of(op.weights.shape[:2], op.stride, op.dilation, op.padding)
    down, across = window.positions(*x.shape[2:4])
    return window, x.shape[0] * x.shape[1] * down * across


def depthwise_sums(model: Model, op: DepthwiseConv2D, x: Array) -> CardSums:
    """Each channel by itself; outside of the image lies the zero point."""
    outputs = op.weights.shape[2]
    window, places = _depthwise_window(op, x)
    multiple = outputs // x.shape[-1]
    numbers = model.numbers(*window_numbers(window, x.shape), op.input_zero, multiple)
    sums = model.machine.array(places, outputs, entry_bytes=4)
    weights = model.weights(op, "weights", op.weights, "<i1").block
    blocks = (x.block, weights, numbers, sums.block)
    model.machine.launch(depthwise_kernel, sums.count, *blocks, sums.count)
    return CardSums(sums.block, places, outputs, outputs)


def fully_connected_sums(model: Model, op: FullyConnected, x: Array) -> CardSums:
    """The product of rows of features."""
    features = op.weights.shape[1]
    return _product(model, op, x.reshaped(x.count // features, features), op.weights)


def _product(model: Model, op: Any, rows: Array, weights: Tensor) -> CardSums:
    right = model.once(op, "right", lambda: model.machine.right(model.machine.upload(weights)))
    return model.machine.multiply(rows, right)


def convolution_finish(
    model: Model, op: Convolution, inputs: tuple[Array, ...], sums: CardSums
) -> Array:
    """Rounded twice, as gemmlowp does."""
    return _finished(model, op, REQUANTISE, inputs, sums)


def fully_connected_finish(
    model: Model, op: FullyConnected, inputs: tuple[Array, ...], sums: CardSums
) -> Array:
    """Rounded once."""
    return _finished(model, op, REQUANTISE_ONCE, inputs, sums)


def _finished(
    model: Model, op: Any, kernel: NetworkKernel, inputs: tuple[Array, ...], sums: CardSums
) -> Array:
    """The zero point is in the bias."""
    (x,) = inputs
    shape = op.output(Form(x.shape[1:])).shape
    scaling = (op.absorbed, *op.scaling())
    return scaled(model, op, kernel, sums, scaling).reshaped(len(x), *shape)


# ---------------------------------------------------------------------------------------------------
# The product of two values.


def pairs(model: Model, a: Array, b: Array) -> tuple[Array, Array]:
    """Return pairs x m x k and, turned, pairs x n x k, broadcast."""
    rank = max(len(a.shape), len(b.shape))
    a, b = (x.reshaped(len(x), *(1,) * (rank - len(x.shape)), *x.shape[1:]) for x in (a, b))
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    left = model.broadcast(a, (*lead, *a.shape[-2:]))
    sides = [(1, 0, 1, i if b.shape[i] > 1 else -1) for i in range(rank - 2)]
    turned = [*sides, (1, 0, 1, rank - 1), (1, 0, 1, rank - 2)]
    right = model.gathered(b, (*lead, b.shape[-1], b.shape[-2]), turned)
    count = left.count // (a.shape[-2] * a.shape[-1])
    return (
        left.reshaped(count, *left.shape[-2:]),
        right.reshaped(count, *right.shape[-2:]),
    )


def batch_matmul_sums(model: Model, _op: BatchMatMul, a: Array, b: Array) -> CardSums:
    """Of a * b without zero points; small and many, so that a plain kernel does all pairs at once."""
    left, right = pairs(model, a, b)
    (count, m, k), n = left.shape, right.shape[1]
    sums = model.machine.array(count * m, n, entry_bytes=4)
    blocks = (left.block, right.block, sums.block)
    model.machine.launch(pair_sums_kernel, sums.count, *blocks, m, n, k, sums.count)
    return CardSums(sums.block, count * m, n, n)


def batch_matmul_finish(
    model: Model, op: BatchMatMul, inputs: tuple[Array, ...], sums: CardSums
) -> Array:
    """The zero points are taken off here, by the sums of the rows."""
    left, right = pairs(model, *inputs)
    (count, m, k), n = left.shape, right.shape[1]
    whole = model.machine.array(count * m * n, entry_bytes=4)
    rows, columns = (row_sums(model, x) for x in (left, right))
    both = k * op.left_zero * op.right_zero
    model.machine.launch(
        pair_zeros_kernel, whole.count, sums.block, rows.block, columns.block, whole.block,
        m, n, op.left_zero, op.right_zero, both, whole.count,
    )  # fmt: skip
    form = op.output(*(Form(x.shape[1:]) for x in inputs))
    return requantised(model, op, whole).reshaped(max(map(len, inputs)), *form.shape)


def row_sums(model: Model, x: Array, zero: int = 0) -> Array:
    """Return the sum of x - zero along the last side."""
    sums = model.machine.array(*x.shape[:-1], entry_bytes=4)
    length = x.shape[-1]
    model.machine.launch(row_sums_kernel, sums.count, x.block, sums.block, length, zero, sums.count)
    return sums


SUMS: dict[type[Operator], Any] = {
    Conv2D: conv2d_sums,
    DepthwiseConv2D: depthwise_sums,
    FullyConnected: fully_connected_sums,
    BatchMatMul: batch_matmul_sums,
}
"""(model, operator, *inputs): the sums."""
FINISH: dict[type[Operator], Any] = {
    Conv2D: convolution_finish,
    DepthwiseConv2D: convolution_finish,
    FullyConnected: fully_connected_finish,
    BatchMatMul: batch_matmul_finish,
}
"""(model, operator, inputs, sums): the output."""


def run_product(model: Model, op: Operator, *inputs: Array) -> Array:
    """Return the output of an operator of these kinds."""
    kind = type(op)
    made: Array = FINISH[kind](model, op, inputs, SUMS[kind](model, op, *inputs))
    return made


RUN_PRODUCTS: dict[type[Operator], Any] = dict.fromkeys(SUMS, run_product)
RUN_PRODUCTS[DepthwiseConv2D] = depthwise
