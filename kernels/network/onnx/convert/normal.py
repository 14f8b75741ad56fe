"""Softmax and LayerNormalization."""

import math
from gettext import gettext as _

import numpy as np

from kernels.errors import Unsupported
from kernels.network.graph.moves import Transpose
from kernels.network.graph.normal import least_wide_step, make_norm
from kernels.network.graph.softmax import Softmax
from kernels.network.onnx.context import Context, Converter
from kernels.network.onnx.evaluate.room import axis_of
from kernels.network.onnx.reader import Operation
from kernels.network.onnx.values import ONE, Array, Entries, Known, Pending, Scale, linear_reals
from kernels.network.tflite.scales import softmax_exps

SOFTMAX_SCALE = (1 / 256, -128)
MOST_TERMS = 3


def softmax(context: Context, operation: Operation) -> None:
    """Softmax along any side, to the scale 1/256."""
    value = context.plain(context.entries(operation, 0))
    rank = len(value.shape)
    axis = axis_of(operation.attributes.get("axis", -1), rank)
    assert value.scale is not None
    order = (*(i for i in range(rank) if i != axis), axis)
    back = tuple(order.index(i) for i in range(rank))
    place = value.place
    if axis != rank - 1:
        place = context.emit(Transpose(order=order), place)
    place = context.emit(Softmax(exps=softmax_exps(1.0, np.float32(value.scale[0]))), place)
    if axis != rank - 1:
        place = context.emit(Transpose(order=back), place)
    made = Entries(place, value.shape, False, linear_reals(SOFTMAX_SCALE), SOFTMAX_SCALE)
    context.trace(operation.outputs[0], made, SOFTMAX_SCALE)
    context.give(operation, made)


def layer_normalization(context: Context, operation: Operation) -> None:
    """LayerNormalization over the last side, of a value or of a sum that nobody else needs."""
    value = context.get(operation, 0)
    rank = len(value.shape)
    if axis_of(operation.attributes.get("axis", -1), rank) != rank - 1:
        raise Unsupported(_("a normalisation over more than the last side"))
    if len([one for one in operation.outputs if one]) > 1:
        raise Unsupported(_("its mean is used"))
    gamma = context.known(operation, 1, _("weights")).value.astype(np.float64).reshape(-1)
    offset = context.optional(operation, 2, "bias")
    beta = np.zeros(len(gamma)) if offset is None else offset.astype(np.float64).reshape(-1)
    depth = value.shape[-1]
    gamma, beta = (np.broadcast_to(one, (depth,)) for one in (gamma, beta))
    terms = addends(value) if isinstance(value, Pending) else ()
    if terms and len(terms) <= MOST_TERMS:  # each may have a scale for each channel
        parts = [context.plain(finest(context, one)) for one in terms]
    else:
        parts = [context.plain(context.entries(operation, 0, by_channel=True))]
    epsilon = float(operation.attributes.get("epsilon", 1e-5))

    def finish(
        context: Context, scale: Scale, low: int, high: int, factors: Array = ONE,
        *, to_wide: bool = False,
    ) -> int:  # fmt: skip
        scales = [part.scale[0] * (ONE if part.factors is None else part.factors) for part in parts]
        zeros = tuple(part.scale[1] for part in parts)
        layer = make_norm(
            scales, zeros, (gamma, beta, epsilon), scale[0] * factors, scale[1], (low, high),
            [part.whole for part in parts], to_wide=to_wide,
        )  # fmt: skip
        return context.emit(layer, *(part.place for part in parts))

    def wide(context: Context, scale: Scale) -> int:
        return finish(context, scale, -128, 127, to_wide=True)

    step = least_wide_step(gamma)
    made = Pending(value.shape, finish, by_channel=True, wide=wide, least_step=step)
    context.give(operation, made)


def finest(context: Context, value: Entries | Pending | Known) -> Entries:
    """Return what is added before a normalisation to 16 bits, if it can be, else to 8."""
    finer = value.finer if isinstance(value, Entries) else value
    if isinstance(finer, Pending) and finer.wide is not None:
        return context.wide(finer)
    return context.settle(value, getattr(value, "name", ""), by_channel=True)


def addends(value: Pending) -> tuple[Entries | Pending | Known, ...]:
    """Return what a sum adds, sums of sums too; itself where it is none."""
    if not value.terms or math.isfinite(value.low) or math.isfinite(value.high):
        return ()
    found: list[Entries | Pending | Known] = []
    for one in value.terms:
        inner = addends(one) if isinstance(one, Pending) else ()
        found.extend(inner or (one,))
    if any(isinstance(one, Entries) and one.scale is None for one in found):
        return ()
    return tuple(found)


CONVERTERS: dict[str, Converter] = {
    "Softmax": softmax,
    "LayerNormalization": layer_normalization,
}
