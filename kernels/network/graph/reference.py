"""A graph's kernels in numpy, to be read beside docs/jobs.md."""

import numpy as np
import numpy.typing as npt

from kernels.network import Activations, Window
from kernels.network.graph import rounding
from kernels.network.graph.kernels import GraphKernels, Requantise, RequantiseOnce, Side, Sums
from kernels.network.patches import patches


def multiply(A: Activations, B: Activations) -> Sums:
    """Through float64, which is exact: every partial sum is below 2^31."""
    sums = A.astype(np.float64) @ B.astype(np.float64).T
    return sums.astype(np.int32)


def requantise(sums: Sums, to: Requantise) -> Activations:
    """From m x channels sums to int8."""
    scaled = rounding.scale(
        sums.astype(np.int64) + to.bias,
        to.multiplier.astype(np.int64),
        to.exponent.astype(np.int64),
    )
    return np.clip(scaled + to.zero, to.low, to.high).astype(np.int8)


def requantise_once(sums: Sums, to: RequantiseOnce) -> Activations:
    """From m x channels sums to int8, rounded once."""
    whole = sums.astype(np.int64) + to.bias
    shift = to.shift.astype(np.int64)
    magnitude = (np.abs(whole) * to.multiplier + ((np.int64(1) << shift) >> 1)) >> shift
    return np.clip(np.sign(whole) * magnitude + to.zero, to.low, to.high).astype(np.int8)


def depthwise(x: Activations, weights: Activations, window: Window, zero: int) -> Sums:
    """Sums of (x - zero) * w at each place of the window, each channel by itself."""
    n, height, width, channels = x.shape
    multiple = weights.shape[2] // channels
    down, across = window.positions(height, width)
    seen = patches(x, window, zero).reshape(n * down * across, -1, channels)
    sums = np.zeros((len(seen), weights.shape[2]), np.int64)
    for i, row in enumerate(
        weights.reshape(-1, weights.shape[2])
    ):  # all at once would take 16 times
        sums += np.repeat(seen[:, i].astype(np.int64) - zero, multiple, axis=1) * row
    return sums.astype(np.int32)


def add(a: Side, b: Side, sign: int, to: Requantise) -> Activations:
    """Both sides brought to a common scale, added or subtracted, and brought to the output's."""
    left, right = (
        rounding.scale((side.x.astype(np.int64) - side.zero) << 20, side.multiplier, side.exponent)
        for side in (a, b)
    )
    return requantise((left + sign * right).astype(np.int32), to)


def multiply_entries(a: Side, b: Side, to: Requantise) -> Activations:
    """(a - zero) * (b - zero), brought to the output's scale."""
    products = (a.x.astype(np.int32) - a.zero) * (b.x.astype(np.int32) - b.zero)
    return requantise(products, to)


def softmax(x: Activations, exps: npt.NDArray[np.int32]) -> Activations:
    """Over the last axis; `exps` has exp of minus each difference in Q0.31."""
    differences = x.max(axis=-1, keepdims=True).astype(np.int64) - x
    powers = exps.astype(np.int64)[differences]
    total = rounding.divide_by_pot(powers, 12).sum(axis=-1, keepdims=True)
    headroom = 32 - np.frexp(total.astype(np.float64))[1].astype(np.int64)
    over_unit = 12 - headroom
    reciprocal = rounding.one_over_one_plus((total << headroom) - (1 << 31))
    scaled = rounding.divide_by_pot(rounding.high_mul(reciprocal, powers), over_unit + 31 - 8)
    return np.clip(scaled - 128, -128, 127).astype(np.int8)


KERNELS = GraphKernels(requantise, requantise_once, depthwise, add, multiply_entries, softmax)
