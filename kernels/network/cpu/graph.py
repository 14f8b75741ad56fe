"""A graph's kernels with Numba, one thread; they let go of the GIL. backend.py has each in numpy."""

import numpy as np
import numpy.typing as npt
from numba import int8, int32, int64, njit

from kernels.network import Activations, Window
from kernels.network.graph.kernels import GraphKernels, Requantise, RequantiseOnce, Side, Sums
from kernels.network.graph.rounding import one_over_one_plus


def requantise(sums: Sums, to: Requantise) -> Activations:
    """From sums, the channels last, to int8; or with one scale for all of them."""
    out = np.empty(sums.shape, np.int8)
    parts = (np.require(x, requirements=["C", "W"]) for x in (to.bias, to.multiplier, to.exponent))
    channels = sums.shape[-1] if len(to.multiplier) > 1 else sums.size
    whole = np.require(sums, np.int32, requirements=["C", "W"]).reshape(-1, channels)
    apart = int(len(to.multiplier) > 1)
    _requantise(whole, *parts, apart, (to.zero, to.low, to.high), out.reshape(whole.shape))
    return out


def requantise_once(sums: Sums, to: RequantiseOnce) -> Activations:
    """From m x channels sums to int8, rounded once."""
    out = np.empty(sums.shape, np.int8)
    bias, multiplier, shift = (
        np.require(part, requirements=["C", "W"]) for part in (to.bias, to.multiplier, to.shift)
    )
    whole = np.require(sums, requirements=["C", "W"])
    _requantise_once(whole, bias, multiplier, shift, (to.zero, to.low, to.high), out)
    return out


def depthwise(x: Activations, weights: Activations, window: Window, zero: int) -> Sums:
    """Sums of (x - zero) * w at each place of the window, each channel by itself."""
    n, height, width, channels = x.shape
    down, across = window.positions(height, width)
    multiple = weights.shape[2] // channels
    sums = np.empty((n, down, across, weights.shape[2]), np.int32)
    _depthwise(
        np.require(x, requirements=["C", "W"]),
        np.require(weights, np.int32, requirements=["C", "W"]),
        window.stride,
        window.padding[:2],
        window.dilation,
        (zero, multiple),
        sums,
    )
    return sums.reshape(-1, weights.shape[2])


def add(a: Side, b: Side, sign: int, to: Requantise) -> Activations:
    """Each side by a table of its 256 scaled values."""
    left, right = (
        _scaled_bytes(side.zero, side.multiplier, side.exponent)[side.x.view(np.uint8)]
        for side in (a, b)
    )
    return requantise(left + right if sign > 0 else left - right, to)


def multiply_entries(a: Side, b: Side, to: Requantise) -> Activations:
    """(a - zero) * (b - zero), brought to the output's scale."""
    left, right = (side.x.astype(np.int32) - np.int32(side.zero) for side in (a, b))
    return requantise(left * right, to)


def softmax(x: Activations, exps: npt.NDArray[np.int32]) -> Activations:
    """The sums of exponentials, their reciprocals in numpy, and the scaling."""
    exps = np.require(exps, requirements=["C", "W"])
    rows = np.require(x, requirements=["C", "W"])
    most, totals = np.empty(len(x), np.int64), np.empty(len(x), np.int64)
    _totals(rows, exps, most, totals)
    headroom = 32 - np.frexp(totals.astype(np.float64))[1].astype(np.int64)
    reciprocals = one_over_one_plus((totals << headroom) - (1 << 31))
    out = np.empty(x.shape, np.int8)
    _weigh(rows, exps, most, reciprocals, 12 - headroom + 31 - 8, out)
    return out


@njit(nogil=True, cache=True, inline="always")
def _divide(x: int, exponent: int) -> int:
    """RoundingDivideByPOT."""
    mask = (int64(1) << exponent) - int64(1)
    threshold = (mask >> int64(1)) + (int64(1) if x < 0 else int64(0))
    return (x >> exponent) + (int64(1) if (x & mask) > threshold else int64(0))


@njit(nogil=True, cache=True, inline="always")
def _scale(x: int, multiplier: int, exponent: int) -> int:
    """MultiplyByQuantizedMultiplier: gemmlowp's first rounding is floor(x / 2^31 + 1/2)."""
    left = exponent if exponent > 0 else int64(0)
    right = int64(0) if exponent > 0 else -exponent
    return _divide((((x << left) * multiplier) + (int64(1) << int64(30))) >> int64(31), right)


@njit(nogil=True, cache=True)
def _requantise(
    sums: Sums,
    bias: npt.NDArray[np.int32],
    multiplier: npt.NDArray[np.int32],
    exponent: npt.NDArray[np.int8],
    apart: int,
    bounds: tuple[int, int, int],
    out: Activations,
) -> None:
    """Channel c's numbers are entry c * `apart`."""
    zero, low, high = bounds
    for i in range(sums.shape[0]):
        for c in range(sums.shape[1]):
            k = c * apart
            y = _scale(int64(sums[i, c]) + int64(bias[k]), int64(multiplier[k]), int64(exponent[k]))
            out[i, c] = int8(int32(min(max(y + zero, low), high)))


@njit(nogil=True, cache=True)
def _requantise_once(
    sums: Sums,
    bias: npt.NDArray[np.int32],
    multiplier: npt.NDArray[np.int64],
    shift: npt.NDArray[np.uint8],
    bounds: tuple[int, int, int],
    out: Activations,
) -> None:
    zero, low, high = bounds
    for i in range(sums.shape[0]):
        for c in range(sums.shape[1]):
            whole = int64(sums[i, c]) + int64(bias[c])
            e = int64(shift[c])
            y = (abs(whole) * multiplier[c] + ((int64(1) << e) >> int64(1))) >> e
            y = -y if whole < 0 else y
            out[i, c] = int8(int32(min(max(y + zero, low), high)))


@njit(nogil=True, cache=True)
def _depthwise(
    x: Activations,
    weights: npt.NDArray[np.int32],
    stride: tuple[int, int],
    before: tuple[int, int],
    apart: tuple[int, int],
    numbers: tuple[int, int],
    sums: Sums,
) -> None:
    """Entry by entry of the window, all channels of a place at once: the innermost loop is long."""
    n, height, width, channels = x.shape
    zero, multiple = int32(numbers[0]), numbers[1]
    for image in range(n):
        for i in range(sums.shape[1]):
            for j in range(sums.shape[2]):
                place = sums[image, i, j]
                place[:] = 0
                for row in range(weights.shape[0]):
                    y = i * stride[0] - before[0] + row * apart[0]
                    if y < 0 or y >= height:
                        continue
                    for column in range(weights.shape[1]):
                        z = j * stride[1] - before[1] + column * apart[1]
                        if z < 0 or z >= width:
                            continue
                        seen, weight = x[image, y, z], weights[row, column]
                        if multiple == 1:
                            for c in range(channels):
                                place[c] += (int32(seen[c]) - zero) * weight[c]
                        else:
                            for c in range(channels):
                                real = int32(seen[c]) - zero
                                for m in range(multiple):
                                    place[c * multiple + m] += real * weight[c * multiple + m]


def _scaled_bytes(zero: int, multiplier: int, exponent: int) -> npt.NDArray[np.int32]:
    """What each int8, by its byte, becomes on the common scale."""
    values = np.roll(np.arange(-128, 128), 128)  # -128 is the byte 128
    return np.array([_scale((int(x) - zero) << 20, multiplier, exponent) for x in values], np.int32)


@njit(nogil=True, cache=True)
def _totals(
    x: Activations,
    exps: npt.NDArray[np.int32],
    most: npt.NDArray[np.int64],
    totals: npt.NDArray[np.int64],
) -> None:
    for i in range(x.shape[0]):
        largest, total = int64(-128), int64(0)
        for c in range(x.shape[1]):
            largest = max(largest, int64(x[i, c]))
        for c in range(x.shape[1]):
            total += _divide(int64(exps[largest - int64(x[i, c])]), int64(12))
        most[i], totals[i] = largest, total


@njit(nogil=True, cache=True)
def _weigh(
    x: Activations,
    exps: npt.NDArray[np.int32],
    most: npt.NDArray[np.int64],
    reciprocals: npt.NDArray[np.int64],
    exponents: npt.NDArray[np.int64],
    out: Activations,
) -> None:
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            power = int64(exps[most[i] - int64(x[i, c])])
            product = (reciprocals[i] * power + (int64(1) << int64(30))) >> int64(31)
            y = _divide(product, exponents[i]) - int64(128)
            out[i, c] = int8(int32(min(max(y, int64(-128)), int64(127))))


KERNELS = GraphKernels(requantise, requantise_once, depthwise, add, multiply_entries, softmax)
