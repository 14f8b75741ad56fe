"""Patches and rescaling with Numba, one thread; they let go of the GIL."""

import numpy as np
import numpy.typing as npt
from numba import int8, int32, int64, njit

from kernels.network import Activations, NetworkOperations, Rescale, Window


def patches(x: Activations, window: Window, zero: int) -> Activations:
    """One row for each place of the window; what lies outside the image is `zero`."""
    n, height, width, channels = x.shape
    down, across = window.positions(height, width)
    out = np.empty((n * down * across, window.height * window.width * channels), np.int8)
    top, left, _bottom, _right = window.padding
    _patches(
        np.require(x, requirements=["C", "W"]).reshape(n, height, width * channels),
        channels,
        (down, across),
        (window.height, window.width),
        window.stride,
        (top, left),
        np.int8(zero),
        out,
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
    channels: int,
    places: tuple[int, int],
    window: tuple[int, int],
    stride: tuple[int, int],
    before: tuple[int, int],
    zero: np.int8,
    out: Activations,
) -> None:
    n, height, row_length = x.shape
    width = row_length // channels
    length = window[1] * channels
    at = 0
    for image in range(n):
        for i in range(places[0]):
            for j in range(places[1]):
                target = out[at]
                at += 1
                left = j * stride[1] - before[1]
                first, last = max(left, 0), min(left + window[1], width)
                for row in range(window[0]):
                    part = target[row * length : (row + 1) * length]
                    y = i * stride[0] - before[0] + row
                    if y < 0 or y >= height:
                        part[:] = zero
                        continue
                    # What lies in the image is one stretch of its row.
                    start, stop = (first - left) * channels, (last - left) * channels
                    part[:start] = zero
                    source = x[image, y]
                    for entry in range(start, stop):
                        part[entry] = source[left * channels + entry]
                    part[stop:] = zero


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
