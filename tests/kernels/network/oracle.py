"""docs/jobs.md in plain Python, written for the tests: one entry at a time, integers only.

The two roundings are transcribed from gemmlowp's fixedpoint.h (C++ division is towards zero), the
mean from TensorFlow Lite's integer AveragePool.
"""

from itertools import product

import numpy as np

from kernels.network.layers import ArgMax, Conv2D, Dense, Flatten, Pool


def towards_zero(a: int, b: int) -> int:
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def high_mul(a: int, b: int) -> int:
    ab = a * b
    nudge = (1 << 30) if ab >= 0 else (1 - (1 << 30))
    return towards_zero(ab + nudge, 1 << 31)


def divide_by_pot(x: int, exponent: int) -> int:
    mask = (1 << exponent) - 1
    remainder = x & mask
    threshold = (mask >> 1) + (1 if x < 0 else 0)
    return (x >> exponent) + (1 if remainder > threshold else 0)


def requantise(total: int, multiplier: int, shift: int, zero: int, low: int, high: int) -> int:
    scaled = divide_by_pot(high_mul(total, multiplier), shift) + zero
    return min(max(scaled, low), high)


def dense(x, layer) -> list[int]:
    to = layer.rescale
    return [
        requantise(
            sum((int(a) - layer.input_zero) * int(w) for a, w in zip(x, row, strict=True))
            + int(to.bias[o]),
            int(to.multiplier[o]),
            int(to.shift[o]),
            to.zero,
            to.low,
            to.high,
        )
        for o, row in enumerate(layer.weights)
    ]


def places(window, height, width):
    top, left, bottom, right = window.padding
    for i in range((height + top + bottom - window.height) // window.stride[0] + 1):
        for j in range((width + left + right - window.width) // window.stride[1] + 1):
            yield i * window.stride[0] - top, j * window.stride[1] - left


def conv2d(x, layer) -> list[list[int]]:
    """Channels of each place of the window, the places in order."""
    height, width, channels = x.shape
    to, out = layer.rescale, []
    for y, z in places(layer.window, height, width):
        entries = []
        for o, filters in enumerate(layer.weights):
            total = int(to.bias[o])
            for i, j in product(range(layer.window.height), range(layer.window.width)):
                if 0 <= y + i < height and 0 <= z + j < width:
                    for c in range(channels):
                        total += (int(x[y + i, z + j, c]) - layer.input_zero) * int(
                            filters[i, j, c]
                        )
            multiplier, shift = int(to.multiplier[o]), int(to.shift[o])
            entries.append(requantise(total, multiplier, shift, to.zero, to.low, to.high))
        out.append(entries)
    return out


def pool(x, layer) -> list[list[int]]:
    height, width = x.shape[:2]
    out = []
    for y, z in places(layer.window, height, width):
        seen = [
            x[y + i, z + j].tolist()
            for i, j in product(range(layer.window.height), range(layer.window.width))
        ]
        columns = list(zip(*seen, strict=True))
        if not layer.mean:
            out.append([max(column) for column in columns])
            continue
        half = len(seen) // 2
        totals = [sum(column) for column in columns]
        out.append([towards_zero(t + half if t > 0 else t - half, len(seen)) for t in totals])
    return out


def infer(network, sample) -> list[int]:
    """A whole network's output for one sample."""
    x = sample
    for layer in network.layers:
        match layer:
            case Dense():
                x = np.array(dense(x, layer))
            case Conv2D():
                x = np.array(conv2d(x, layer)).reshape(layer.output(x.shape))
            case Pool():
                x = np.array(pool(x, layer)).reshape(layer.output(x.shape))
            case Flatten():
                x = x.reshape(-1)
            case ArgMax():
                x = np.array([x.tolist().index(max(x.tolist()))])
    return x.tolist()
