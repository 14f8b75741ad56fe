"""A product of a function of one entry with both of its bytes: two products, whose sum is the layer.

A transformer's second dense layer takes GELU's outputs, of which few are large and most next to
zero: int8 rounds these badly, and a scale for each channel rounds the weights anew. The function is a
table, so another table can give what the first one leaves over:

    W f(x) = W (256 s hi[x]) + W (s lo[x])        hi, lo: int8 tables; the weights keep their own scales

It takes two products instead of one, and is done where a normalisation takes the sum, which adds its
inputs itself: nothing is rounded to int8 in between but the two products.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from kernels.network.graph.elementwise import ChannelTable, Table
from kernels.network.onnx.context import LEAST_SCALE, Context
from kernels.network.onnx.reader import Operation
from kernels.network.onnx.values import ONE, Array, Entries, Finish, Known, Linear, Pending, Scale

MOST_HIGH, BYTE = 127, 256
Weighted = Callable[[Entries, Known], Pending]
"""Makes the layer of this input and these weights, features x outputs, without a bias."""


def is_table(context: Context, name: str) -> bool:
    """Return whether a tensor is a function of one code, no table yet, that one operation takes."""
    value = context.values[name]
    if not isinstance(value, Entries) or value.scale is not None or value.whole:
        return False
    reals = value.reals
    return context.uses[name] == 1 and reals.dtype.kind == "f" and bool(np.isfinite(reals).all())


def paired(context: Context, operation: Operation, right: Known, make: Weighted) -> Pending:
    """Return the layer, whose `terms` are its two products, and which is one product where it must."""
    x = context.values[operation.inputs[0]]
    assert isinstance(x, Entries)
    weights = right.value.astype(np.float64)
    largest = float(np.abs(x.reals).max())
    unit = max(largest / (MOST_HIGH * BYTE), LEAST_SCALE)

    def half(of_low: int, linear: Linear) -> Pending:
        """The product of the high bytes, with the bias, or of the low ones."""

        def wide(context: Context, scale: Scale) -> int:
            whole = np.rint(x.reals / unit)
            upper = np.clip(np.rint(whole / BYTE), -MOST_HIGH, MOST_HIGH)
            codes = np.clip(whole - BYTE * upper if of_low else upper, -128, 127).astype(np.int8)
            table = ChannelTable(table=codes) if codes.ndim == 2 else Table(table=codes)
            its = (unit if of_low else unit * BYTE), 0
            given = replace(x, place=context.emit(table, x.place), reals=ONE, scale=its)
            layer = make(given, Known(linear.weights.T))
            layer = _with(layer, linear.weights, linear.bias * (1 - of_low))
            assert layer.wide is not None
            return layer.wide(context, scale)

        return Pending(shape, finish_of(linear), by_channel=True, wide=wide)

    def finish_of(linear: Linear) -> Finish:
        """Return what computes the layer as one product, to int8."""

        def finish(
            context: Context, scale: Scale, low: int, high: int, factors: Array = ONE
        ) -> int:
            given = context.plain(context.entries(operation, 0, by_channel=True))
            its: Any = linear.weights if given.factors is None else linear.weights * given.factors
            layer = make(given, Known(its.T))
            return _with(layer, its, linear.bias).finish(context, scale, low, high, factors)

        return finish

    def build(linear: Linear) -> Pending:
        terms = half(0, linear), half(1, linear)
        return Pending(shape, finish_of(linear), by_channel=True, linear=linear, terms=terms)

    shape = (*x.shape[:-1], right.shape[1])
    return build(Linear(weights.T.astype(np.float32), None, np.zeros(right.shape[1]), build))


def _with(layer: Pending, weights: Array, bias: Array) -> Pending:
    assert layer.linear is not None
    return layer.linear.build(replace(layer.linear, weights=weights.astype(np.float32), bias=bias))
