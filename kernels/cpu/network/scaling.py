"""How an operator's sums become bytes: numbers for requantise.py where there are some, tried here.

A fully connected layer rounds once, halves away from zero, with multipliers of 40 bits. A byte is a
step function of its sum: what gives the same byte on both sides of each of its steps gives the same
everywhere.
"""

import numpy as np
import numpy.typing as npt

from kernels.cpu.network.layout import Constants
from kernels.cpu.network.requantise import MOST_SHIFT, MOST_SUM, blocks, parameters
from kernels.cpu.network.steps import Scaling
from kernels.network.graph import convolutions, products
from kernels.network.graph.rounding import scale

MULTIPLIER_BITS = 31
STEPS = 256
"""Most steps on either side of 0."""
CHANNELS_AT_ONCE = 256
"""Whose steps are tried together: some megabytes."""
Wide = npt.NDArray[np.int64]


def scaling_of(
    op: convolutions.Convolution,
    lanes: int,
    constants: Constants,
    order: npt.NDArray[np.intp] | slice = slice(None),
) -> dict[str, int]:
    """Return the fields of a convolution's scaling; `order`: the channel of each lane."""
    zero = np.full(len(op.bias), op.output_zero + 128, np.int64)
    multiplier, shift = op.multiplier.astype(np.int64), -op.exponent.astype(np.int64)
    sums = largest_sums(op)
    least, most = (_outputs(op, sums * side) for side in (-1, 1))
    # A channel that always gives the same has any scale: many are far from the others'.
    still = (least == most) & ((shift < 1) | (shift > MOST_SHIFT))
    multiplier, shift = np.where(still, 0, multiplier), np.where(still, 1, shift)
    zero = np.where(still, most + 128, zero)
    signed = op.low < op.output_zero
    found = parameters(multiplier[order], shift[order], zero[order], lanes, signed)
    if found is None or (signed and _too_large(op, sums)):
        return _apart(Scaling.TWICE, op.multiplier, op.exponent, constants)
    kind = Scaling.SIGNED if signed else Scaling.PLAIN
    return {"SCALING": kind, "PARAMETERS": constants.keep(found)}


def scaling_once(op: products.FullyConnected, lanes: int, constants: Constants) -> dict[str, int]:
    """Return the fields of a fully connected layer's scaling."""
    found = plain_numbers(op)
    if found is None:
        return _apart(Scaling.ONCE, op.multiplier, op.shift, constants)
    return {"SCALING": Scaling.PLAIN, "PARAMETERS": constants.keep(blocks(*found, lanes))}


def plain_numbers(op: products.FullyConnected) -> tuple[Wide, Wide, Wide] | None:
    """Return multipliers, constants and shifts, tried on every step of every channel, or None."""
    multiplier, shift = op.multiplier.astype(np.int64), op.shift.astype(np.int64)
    # 2^(31 + e) / 2^shift brings it to 31 bits; float64 counts bits of up to 2^53 rightly.
    bits = np.frexp(multiplier.astype(np.float64))[1].astype(np.int64)
    e = np.where(multiplier == 0, 1, shift - bits)
    if e.min() < 1 or e.max() > MOST_SHIFT or multiplier.max() >= 1 << 53:
        return None
    right = np.maximum(bits - MULTIPLIER_BITS, 0)
    rounded = (multiplier + ((np.int64(1) << right) >> 1)) >> right
    m = np.minimum(rounded << np.maximum(MULTIPLIER_BITS - bits, 0), (1 << MULTIPLIER_BITS) - 1)
    constant = (np.int64(1) << (30 + e)) + (np.int64(op.output_zero + 128) << (31 + e))
    most = largest_sums(op) + np.abs(op.bias.astype(np.int64))
    for first in range(0, len(m), CHANNELS_AT_ONCE):
        some = slice(first, first + CHANNELS_AT_ONCE)
        sums = _around_steps(multiplier[some], shift[some], most[some])
        columns = (x[some, np.newaxis] for x in (multiplier, shift, m, constant, e))
        large, far, small, c, near = columns
        wanted = (np.abs(sums) * large + ((np.int64(1) << far) >> 1)) >> far
        wanted = np.where(sums < 0, -wanted, wanted) + op.output_zero + 128
        made = (sums * small + c) >> (31 + near)
        low, high = op.low + 128, op.high + 128
        if not np.array_equal(np.clip(made, low, high), np.clip(wanted, low, high)):
            return None
    return m, constant, e - 1


def _around_steps(multiplier: Wide, shift: Wide, most: Wide) -> Wide:
    """Return the sums at which each channel's byte steps, those next to them, and the largest."""
    m, e = np.maximum(multiplier, 1)[:, np.newaxis], shift[:, np.newaxis]
    halves = 2 * np.arange(1, STEPS + 1) - 1
    half = (np.int64(1) << e) >> 1
    # Sums that reach a step are products of less than 2^62; those of steps beyond are not needed.
    reach = np.minimum(halves, (1 << 62) // np.maximum(half, 1))
    steps = -((-reach * half) // m)
    last = most[:, np.newaxis]
    steps = np.minimum(np.concatenate([steps - 1, steps, steps + 1, last], axis=1), last)
    return np.concatenate([steps, -steps], axis=1)


def largest_sums(op: products.Weighted) -> Wide:
    """Return how large each output's sum, without bias, can be: that of (x - zero) * w."""
    by_output = np.moveaxis(op.weights, op.outputs_axis, 0).reshape(len(op.bias), -1)
    return 255 * np.abs(by_output.astype(np.int32)).sum(axis=1, dtype=np.int64)


def _too_large(op: convolutions.Convolution, sums: Wide) -> bool:
    return bool((sums + np.abs(op.bias.astype(np.int64)) >= MOST_SUM).any())


def _outputs(op: convolutions.Convolution, sums: Wide) -> Wide:
    """Return what each channel makes of a sum, without bias."""
    scaled = scale(sums + op.bias, op.multiplier.astype(np.int64), op.exponent.astype(np.int64))
    return np.clip(scaled + op.output_zero, op.low, op.high)


def _apart(
    kind: Scaling,
    multiplier: npt.NDArray[np.integer],
    shift: npt.NDArray[np.integer],
    constants: Constants,
) -> dict[str, int]:
    """Return the fields of a scaling whose multipliers and shifts stay two numbers each."""
    return {
        "SCALING": kind,
        "MULTIPLIERS": constants.keep(multiplier.astype(np.int64)),
        "SHIFTS": constants.keep(shift.astype(np.int64)),
    }
