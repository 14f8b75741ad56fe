"""Each operator on the card: `RUN[type(operator)](model, operator, *inputs)` gives its output there.

Values are `machine.Array`s with the samples as their first side; a value with one sample where others
have more is the same for all. What each computes is said in kernels/network/graph.
"""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from kernels.cuda.network.entries import ADD, LARGER, MULTIPLY, table_kernel
from kernels.cuda.network.kernel import NetworkKernel
from kernels.cuda.network.machine import Array, Block
from kernels.cuda.network.model import Axis, Model, strides
from kernels.cuda.network.moves import TAKE, embed_kernel
from kernels.cuda.network.products import RUN_PRODUCTS, requantised, row_sums
from kernels.cuda.network.rows import (
    SOFTMAX_PART,
    argmax_kernel,
    layer_norm_kernel,
    softmax_kernel,
    softmax_most_kernel,
    softmax_totals_kernel,
)
from kernels.cuda.network.window import window_numbers
from kernels.cuda.network.windows import pool_kernel, resize_kernel
from kernels.network.graph import elementwise, moves, normal, softmax, windows
from kernels.network.graph.operator import Form, Operator
from kernels.network.graph.rounding import scale

Run = Callable[..., Array]
SIGNED = np.arange(-128, 128)


def form_of(x: Array) -> Form:
    """Return what the operator's own methods take for a value."""
    return Form(x.shape[1:], x.entry_bytes)


# ---------------------------------------------------------------------------------------------------
# Operators that only move entries.


def constant(model: Model, op: moves.Constant) -> Array:
    """The value itself, for one sample."""
    return model.weights(op, "value", op.value[np.newaxis], "<i1")


def reshape(_model: Model, op: moves.Reshape, x: Array) -> Array:
    """Nothing is moved."""
    return x.reshaped(len(x), *op.shape)


def transpose(model: Model, op: moves.Transpose, x: Array) -> Array:
    """Each side goes along another one of x."""
    order = (0, *(1 + i for i in op.order))
    return model.gathered(x, tuple(x.shape[i] for i in order), [(1, 0, 1, i) for i in order])


def cut(model: Model, op: moves.Slice, x: Array) -> Array:
    """Coordinates times the step, from the beginning on."""
    sides = zip(op.step, op.begin, strict=True)
    axes = [(1, 0, 1, 0), *((step, begin, 1, 1 + i) for i, (step, begin) in enumerate(sides))]
    return model.gathered(x, (len(x), *op.size), axes)


def pad(model: Model, op: moves.Pad, x: Array) -> Array:
    """What lies outside of x is the value."""
    axes = [(1, 0, 1, 0), *((1, -before, 1, 1 + i) for i, before in enumerate(op.before))]
    return model.gathered(x, (len(x), *op.output(form_of(x)).shape), axes, op.value)


def spread(model: Model, op: moves.Spread, x: Array) -> Array:
    """What lies between two entries is the value."""
    down, across = op.step
    axes = [(1, 0, apart, i) for i, apart in enumerate((1, 1, down, across, 1))]
    return model.gathered(x, (len(x), *op.output(form_of(x)).shape), axes, op.value)


def concatenate(model: Model, op: moves.Concatenate, *inputs: Array) -> Array:
    """Each input at its place along the axis."""
    n, axis = max(map(len, inputs)), 1 + op.axis
    shape = (n, *op.output(*map(form_of, inputs)).shape)
    size = inputs[0].entry_bytes
    out = model.machine.array(*shape, entry_bytes=size)
    outer, start = strides(shape), 0
    for x in inputs:
        inner = strides(x.shape)
        sides = (n, *x.shape[1:])
        axes: list[Axis] = [
            (side, 1, 0, 1, side, inner[i] if x.shape[i] == side else 0, outer[i])
            for i, side in enumerate(sides)
        ]
        model.move(x.block, out.block, axes[::-1], entry_bytes=size, start=start)
        start += x.shape[axis] * outer[axis]
    return out


def take(model: Model, op: moves.Take, x: Array) -> Array:
    """Outer x side x inner, of which some of the side are taken."""
    axis = 1 + op.axis
    side, inner, chosen = x.shape[axis], math.prod(x.shape[axis + 1 :]), len(op.places)
    shape = (*x.shape[:axis], chosen, *x.shape[axis + 1 :])
    out = model.machine.array(*shape, entry_bytes=x.entry_bytes)
    places = model.weights(op, "places", op.places, "<i4").block
    kernel, blocks = TAKE[x.entry_bytes], (x.block, places, out.block)
    model.machine.launch(kernel, out.count, *blocks, chosen, side, inner, out.count)
    return out


def embed(model: Model, op: moves.Embed, x: Array) -> Array:
    """Rows of the table."""
    length, width = op.rows.shape
    out = model.machine.array(*x.shape, width)
    rows = model.weights(op, "rows", op.rows, "<i1").block
    blocks = (x.block, rows, out.block)
    model.machine.launch(embed_kernel, out.count, *blocks, length, width, out.count)
    return out


# ---------------------------------------------------------------------------------------------------
# Operators on one entry at a time.


def pairwise(
    model: Model, kernel: NetworkKernel, a: Array, b: Array, tables: Block, numbers: Block
) -> Array:
    """Both broadcast to one shape, and the kernel over their entries."""
    rank = max(len(a.shape), len(b.shape))
    a, b = (x.reshaped(len(x), *(1,) * (rank - len(x.shape)), *x.shape[1:]) for x in (a, b))
    shape = np.broadcast_shapes(a.shape, b.shape)
    a, b = model.broadcast(a, shape), model.broadcast(b, shape)
    out = model.machine.array(*shape)
    blocks = (a.block, b.block, tables, numbers, out.block)
    model.machine.launch(kernel, out.count, *blocks, out.count)
    return out


def add(model: Model, op: elementwise.Add, a: Array, b: Array) -> Array:
    """Each side by a table of its 256 scaled values."""

    def both() -> npt.NDArray[np.int64]:
        left = scale((SIGNED - op.left_zero) << 20, op.left_multiplier, op.left_exponent)
        right = scale((SIGNED - op.right_zero) << 20, op.right_multiplier, op.right_exponent)
        return np.concatenate([left, op.sign * right])

    tables = model.weights(op, "tables", both, "<i4").block
    return pairwise(model, ADD, a, b, tables, model.numbers(*_scaled(op)))


def multiply(model: Model, op: elementwise.Multiply, a: Array, b: Array) -> Array:
    """The zero points come after the scale."""
    numbers = model.numbers(*_scaled(op), op.left_zero, op.right_zero)
    return pairwise(model, MULTIPLY, a, b, model.numbers(0, dtype="<i4"), numbers)


def larger(model: Model, op: elementwise.Larger, a: Array, b: Array) -> Array:
    """By the sign."""
    return pairwise(model, LARGER, a, b, model.numbers(0, dtype="<i4"), model.numbers(op.sign))


def table(model: Model, op: elementwise.Table | elementwise.ChannelTable, x: Array) -> Array:
    """Looked up, in one table or in each channel's."""
    channels = len(op.table) if isinstance(op, elementwise.ChannelTable) else 1
    out = model.machine.array(*x.shape)
    entries = model.weights(op, "table", op.table, "<i1").block
    model.machine.launch(table_kernel, out.count, x.block, entries, out.block, channels, out.count)
    return out


def _scaled(op: elementwise.Scaled) -> tuple[int, ...]:
    return op.multiplier, op.exponent, op.output_zero, op.low, op.high


# ---------------------------------------------------------------------------------------------------
# Operators with a window, or along rows.


def pool(model: Model, op: windows.Pool, x: Array) -> Array:
    """The largest entry or the mean of each window."""
    out = model.machine.array(len(x), *op.output(form_of(x)).shape)
    mean = int(isinstance(op, windows.AveragePool))
    numbers = model.numbers(*window_numbers(op.window, x.shape), mean, op.low, op.high)
    model.machine.launch(pool_kernel, out.count, x.block, numbers, out.block, out.count)
    return out


def total(model: Model, op: windows.Sum, x: Array) -> Array:
    """The sides that go are brought to the end; then sums along rows."""
    form = op.output(form_of(x))
    gone = [1 + i for i in op.axes]
    order = [*(i for i in range(len(x.shape)) if i not in gone), *gone]
    if order != sorted(order):
        axes = [(1, 0, 1, i) for i in order]
        x = model.gathered(x, tuple(x.shape[i] for i in order), axes)
    rows = len(x) * form.entries
    sums = row_sums(model, x.reshaped(rows, x.count // rows), op.input_zero)
    return requantised(model, op, sums).reshaped(len(x), *form.shape)


def resize(model: Model, op: windows.ResizeBilinear, x: Array) -> Array:
    """From four neighbours each."""
    n, batch, height, width, channels = x.shape
    out = model.machine.array(n, batch, *op.size, channels)
    places = np.concatenate([*op.places(height, op.size[0]), *op.places(width, op.size[1])])
    kept = model.weights(op, "places", places, "<i8").block
    sides = (height, width, channels, *op.size)
    model.machine.launch(resize_kernel, out.count, x.block, kept, out.block, *sides, out.count)
    return out


def argmax(model: Model, _op: windows.ArgMax, x: Array) -> Array:
    """Of each row."""
    out = model.machine.array(*x.shape[:-1], entry_bytes=4)
    model.machine.launch(argmax_kernel, out.count, x.block, out.block, x.shape[-1], out.count)
    return out


def softmaxes(model: Model, op: softmax.Softmax, x: Array) -> Array:
    """Of each row, in three steps."""
    machine, length = model.machine, x.shape[-1]
    exps = model.weights(op, "exps", op.exps, "<i4").block
    parts = -(-length // SOFTMAX_PART)
    count = x.count // length * parts
    most, totals = (machine.array(count, entry_bytes=4).block for _ in range(2))
    sizes = (length, parts)
    machine.launch(softmax_most_kernel, count, x.block, most, *sizes, count)
    machine.launch(softmax_totals_kernel, count, x.block, exps, most, totals, *sizes, count)
    out = machine.array(*x.shape)
    blocks = (x.block, exps, most, totals, out.block)
    machine.launch(softmax_kernel, out.count, *blocks, *sizes, out.count)
    return out


def layer_norm(model: Model, op: normal.LayerNorm | normal.ChannelNorm, *inputs: Array) -> Array:
    """Of each row of the sum of up to three values; those that are not there count nothing."""
    shape = (max(map(len, inputs)), *inputs[0].shape[1:])
    given = [model.broadcast(x, shape).block for x in inputs]
    given += given[:1] * (3 - len(given))
    none = (0,) * (3 - len(inputs))
    numbers = model.numbers(*op.zeros, *none, op.epsilon, op.output_zero, op.low, op.high)
    scales = np.zeros((3, shape[-1]), np.int32)
    for row, multipliers in zip(scales, op.rows(), strict=False):
        row[:] = multipliers
    kept = model.weights(op, "multipliers", scales, "<i4").block
    factor = model.weights(op, "factor", op.factor, "<i4").block
    offset = model.weights(op, "offset", op.offset, "<i8").block
    out = model.machine.array(*shape)
    rows = out.count // shape[-1]
    blocks = (*given, numbers, kept, factor, offset, out.block)
    model.machine.launch(layer_norm_kernel, rows, *blocks, shape[-1], rows)
    return out


RUN: dict[type[Operator], Run] = {
    moves.Constant: constant,
    moves.Reshape: reshape,
    moves.Transpose: transpose,
    moves.Slice: cut,
    moves.Pad: pad,
    moves.Spread: spread,
    moves.Concatenate: concatenate,
    moves.Take: take,
    moves.Embed: embed,
    elementwise.Add: add,
    elementwise.Multiply: multiply,
    elementwise.Larger: larger,
    elementwise.Table: table,
    elementwise.ChannelTable: table,
    windows.MaxPool: pool,
    windows.AveragePool: pool,
    windows.Sum: total,
    windows.ResizeBilinear: resize,
    windows.ArgMax: argmax,
    softmax.Softmax: softmaxes,
    normal.LayerNorm: layer_norm,
    normal.ChannelNorm: layer_norm,
    **RUN_PRODUCTS,
}
"""How each kind of operator is done here. A graph with another one is not computed on the card."""


def run(model: Model, operator: Operator, *inputs: Array) -> Array:
    """Return the operator's output."""
    return RUN[type(operator)](model, operator, *inputs)
