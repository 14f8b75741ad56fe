"""Pooling in numpy: one pass over all the outputs for each entry of the window."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from kernels.network import Activations
from kernels.network.layers import Pool


def pool(x: npt.NDArray[np.signedinteger], layer: Pool) -> Activations:
    """From N x H x W x C to one entry for each place of the window and each channel."""
    if not layer.mean:
        parts = _parts(x, layer)
        most = next(parts).copy()
        for part in parts:
            np.maximum(most, part, out=most)
        return most.astype(np.int8, copy=False)
    sums = np.zeros((len(x), *layer.output(x.shape[1:])), np.int32)
    for part in _parts(x, layer):
        sums += part
    count = layer.window.height * layer.window.width
    # Half away from zero, as TensorFlow Lite's integer AveragePool: C++ divides towards zero.
    magnitude = (np.abs(sums) + count // 2) // count
    return (np.sign(sums) * magnitude).astype(np.int8)


def _parts(
    x: npt.NDArray[np.signedinteger], layer: Pool
) -> Iterator[npt.NDArray[np.signedinteger]]:
    """For each entry of the window, what lies under it at every place."""
    window = layer.window
    down, across = window.positions(x.shape[1], x.shape[2])
    for i in range(window.height):
        for j in range(window.width):
            rows = slice(i, i + (down - 1) * window.stride[0] + 1, window.stride[0])
            columns = slice(j, j + (across - 1) * window.stride[1] + 1, window.stride[1])
            yield x[:, rows, columns]
