"""Patches and rescaling with Numba, one thread; they let go of the GIL."""

import numpy as np
import numpy.typing as npt
from numba import int8, int32, int64, njit

from kernels.network import Activations, NetworkOperations, Rescale, Window

SHORTEST_VECTOR = 16


def patches(x: Activations, window: Window, zero: int) -> Activations:
    """One row for each place of the window; what lies outside the image is `zero`."""
    n, height, width, channels = x.shape
    down, across = window.positions(height, width)
    out = np.empty((n * down * across, window.height * window.width * channels), np.int8)
    _patches(
        np.require(x, requirements=["C", "W"]).reshape(-1),
        (n, height, width, channels),
        (down, across),
        (window.height, window.width),
        window.stride,
        window.padding[:2],
        window.dilation,
        np.int8(zero),
        out.reshape(-1),
    )
    return out


def rescale(sums: npt.NDArray[np.int32], to: Rescale) -> Activations:
    """From m x channels sums, without bias, to int8."""
    out = np.empty(sums.shape, np.int8)
    bias, multiplier, shift = (
        np.require(values, requirements=["C", "W"]) for values in (to.bias, to.multiplier, to.shift)
    )
    _rescale(sums, bias, multiplier, shift, (to.zero, to.low, to.high), out)
    return out


@njit(nogil=True, cache=True)
def _patches(
    x: Activations,
    shape: tuple[int, int, int, int],
    places: tuple[int, int],
    window: tuple[int, int],
    stride: tuple[int, int],
    before: tuple[int, int],
    apart: tuple[int, int],
    zero: np.int8,
    out: Activations,
) -> None:
    """Row by row of the window: what of it lies in the image is one stretch of the image's row."""
    n, height, width, channels = shape
    length = window[1] * channels
    at = 0
    for image in range(n):
        for i in range(places[0]):
            for j in range(places[1]):
                left = j * stride[1] - before[1]
                first, last = max(left, 0), min(left + window[1], width)
                start, count = (first - left) * channels, (last - first) * channels
                for row in range(window[0]):
                    y = i * stride[0] - before[0] + row * apart[0]
                    if y < 0 or y >= height:
                        out[at : at + length] = zero
                    elif apart[1] > 1:
                        for column in range(window[1]):
                            z, place = left + column * apart[1], at + column * channels
                            if z < 0 or z >= width:
                                out[place : place + channels] = zero
                            else:
                                source = ((image * height + y) * width + z) * channels
                                _copy(x, source, out, place, channels)
                    else:
                        if count < length:
                            out[at : at + length] = zero
                        source = ((image * height + y) * width + first) * channels
                        _copy(x, source, out, at + start, count)
                    at += length


@njit(nogil=True, cache=True)
def _copy(x: Activations, source: int, out: Activations, target: int, count: int) -> None:
    """As vectors where that is worth their preparation."""
    if count >= SHORTEST_VECTOR:
        out[target : target + count] = x[source : source + count]
    else:
        for entry in range(count):
            out[target + entry] = x[source + entry]


@njit(nogil=True, cache=True)
def _rescale(
    sums: npt.NDArray[np.int32],
    bias: npt.NDArray[np.int32],
    multiplier: npt.NDArray[np.int32],
    shift: npt.NDArray[np.uint8],
    bounds: tuple[int, int, int],
    out: Activations,
) -> None:
    zero, low, high = bounds
    for i in range(sums.shape[0]):
        for c in range(sums.shape[1]):
            a = int64(sums[i, c]) + int64(bias[c])
            # gemmlowp's rounding in both of its branches is floor(x / 2^31 + 1/2).
            x = (a * int64(multiplier[c]) + (int64(1) << int64(30))) >> int64(31)
            e = int64(shift[c])
            mask = (int64(1) << e) - int64(1)
            threshold = (mask >> int64(1)) + (int64(1) if x < 0 else int64(0))
            x = (x >> e) + (int64(1) if (x & mask) > threshold else int64(0))
            out[i, c] = int8(int32(min(max(x + zero, low), high)))


OPERATIONS = NetworkOperations(patches, rescale)
