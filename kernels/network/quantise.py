"""From a trained float network to integers, once and beforehand (Jacob et al. 2018, section 2).

    real = scale * (int8 - zero)       activations: one scale and zero point a tensor
    real = scale[c] * int8             weights: symmetric, one scale for each output channel c

Post-training quantisation: ranges of activations come from running the float network over training
data. This is the one place with floating point; what it makes is a network without any.
"""

from dataclasses import dataclass
from gettext import gettext as _
from typing import Self

import numpy as np
import numpy.typing as npt

from kernels.errors import InvalidNetwork
from kernels.network import Rescale, Window
from kernels.network.layers import Conv2D, Dense

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Scale:
    """real = scale * (int8 - zero)."""

    scale: float
    zero: int

    @classmethod
    def of_range(cls, low: float, high: float) -> Self:
        """The scale that spreads [low, high], widened to hold 0, over the 256 values of int8."""
        low, high = min(low, 0.0), max(high, 0.0)
        scale = (high - low) / 255 or 1.0
        return cls(scale, int(np.clip(round(-128 - low / scale), -128, 127)))


def quantise_dense(weights: Floats, bias: Floats, x: Scale, y: Scale, *, relu: bool) -> Dense:
    """A layer from weights, outputs x features; `x` is the input's scale, `y` the output's."""
    integers, rescale = _quantise(weights, bias, x, y, relu=relu)
    return Dense(integers, x.zero, rescale)


def quantise_conv2d(
    weights: Floats, bias: Floats, window: Window, x: Scale, y: Scale, *, relu: bool
) -> Conv2D:
    """A layer from weights, outputs x height x width x channels."""
    integers, rescale = _quantise(weights, bias, x, y, relu=relu)
    return Conv2D(integers, x.zero, rescale, window)


def as_multiplier(real: Floats) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Multiplier and shift with real = multiplier / 2^31 / 2^shift, 2^30 <= multiplier < 2^31.

    Raises InvalidNetwork unless real is below 1, as it is for every sensible layer: sums are finer
    than what becomes of them.
    """
    fraction, exponent = np.frexp(real)
    multiplier = np.round(fraction * (1 << 31)).astype(np.int64)
    exponent = np.where(multiplier == 1 << 31, exponent + 1, exponent)
    multiplier = np.where(multiplier == 1 << 31, 1 << 30, multiplier)
    if (exponent > 0).any() or (exponent < -31).any():
        raise InvalidNetwork(_("an output is finer than its sums, or 2^31 times as coarse"))
    return multiplier.astype(np.int32), (-exponent).astype(np.uint8)


def _quantise(
    weights: Floats, bias: Floats, x: Scale, y: Scale, *, relu: bool
) -> tuple[npt.NDArray[np.int8], Rescale]:
    rows = np.asarray(weights, np.float64).reshape(len(weights), -1)
    largest = np.abs(rows).max(axis=1)
    scales = np.where(largest > 0, largest, 1.0) / 127
    integers = np.round(rows / scales[:, np.newaxis]).astype(np.int8)
    multiplier, shift = as_multiplier(x.scale * scales / y.scale)
    rescale = Rescale(
        np.round(np.asarray(bias, np.float64) / (x.scale * scales)).astype(np.int32),
        multiplier,
        shift,
        y.zero,
        y.zero if relu else -128,
        127,
    )
    return integers.reshape(weights.shape), rescale
