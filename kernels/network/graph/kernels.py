"""The interface of a graph's kernels: what a device may do faster than numpy."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kernels.network import Activations, Window

Sums = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Requantise:
    """From int32 sums to int8: bias, multiplier and exponent of each channel, or one for all.

    y = clamp(MultiplyByQuantizedMultiplier(sum + bias, multiplier, exponent) + zero, low, high)
    """

    bias: npt.NDArray[np.int32]
    multiplier: npt.NDArray[np.int32]
    exponent: npt.NDArray[np.int8]
    zero: int
    low: int
    high: int


@dataclass(frozen=True, slots=True, eq=False)
class RequantiseOnce:
    """The same, rounded once, halves away from zero, in 64 bits.

    y = clamp(sign(s) * ((|s| * multiplier + 2^shift / 2) >> shift) + zero, low, high), s = sum + bias
    """

    bias: npt.NDArray[np.int32]
    multiplier: npt.NDArray[np.int64]
    shift: npt.NDArray[np.uint8]
    zero: int
    low: int
    high: int


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One side of an addition or a product of entries: int8, with its zero point and scale."""

    x: Activations
    zero: int
    multiplier: int = 0
    exponent: int = 0


@dataclass(frozen=True, slots=True)
class GraphKernels:
    """Each is specified by the function of this name in backend.py."""

    requantise: Callable[[Sums, Requantise], Activations]
    """From m x channels sums."""
    requantise_once: Callable[[Sums, RequantiseOnce], Activations]
    """From m x channels sums."""
    depthwise: Callable[[Activations, Activations, Window, int], Sums]
    """From N x H x W x C and weights, height x width x outputs: N * places x outputs."""
    add: Callable[[Side, Side, int, Requantise], Activations]
    """Of two arrays of one shape; the sign is 1 or -1."""
    multiply_entries: Callable[[Side, Side, Requantise], Activations]
    """Of two arrays of one shape."""
    softmax: Callable[[Activations, npt.NDArray[np.int32]], Activations]
    """Of each row, m x depth."""
