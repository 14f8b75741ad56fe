"""Patches and rescaling with Numba, one thread; they let go of the GIL."""

import numpy as np
import numpy.typing as npt
from numba import njit

from kernels.network import Activations, NetworkOperations, Rescale, Window
from kernels.network.cpu.graph import requantise
from kernels.network.graph.kernels import Requantise

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
    """From m x channels sums, without bias, to int8: the exponent is the shift, to the right."""
    exponent = np.negative(to.shift.astype(np.int8))
    return requantise(sums, Requantise(to.bias, to.multiplier, exponent, to.zero, to.low, to.high))


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


OPERATIONS = NetworkOperations(patches, rescale)
