"""A network in numpy, to be read beside docs/jobs.md: convolutions directly, zero points taken off
where the formulas have them, and gemmlowp's two roundings written as gemmlowp writes them.

Products go through float64, which is exact here: every partial sum is below 2^31.
"""

import numpy as np
import numpy.typing as npt

from kernels.network import Activations, NetworkOperations, Rescale
from kernels.network.graph.backend import REFERENCE
from kernels.network.graph.graph import Graph
from kernels.network.graph.run import run_graph
from kernels.network.layers import ArgMax, Conv2D, Dense, Flatten, Pool
from kernels.network.model import Network
from kernels.network.patches import patches
from kernels.network.pool import pool

Sums = npt.NDArray[np.int64]


def forward(network: Network | Graph, batch: Activations) -> npt.NDArray[np.signedinteger]:
    """The network's outputs, N x columns, int8 or (argmax) int32, for N samples."""
    if isinstance(network, Graph):
        return run_graph(network, batch, REFERENCE, group=1)
    x: npt.NDArray[np.signedinteger] = batch
    for layer in network.layers:
        match layer:
            case Dense():
                x = requantise(dense(x, layer), layer.rescale)
            case Conv2D():
                x = requantise(convolve(x, layer), layer.rescale)
            case Pool():
                x = pool(x, layer)
            case Flatten():
                x = x.reshape(len(x), -1)
            case ArgMax():
                x = x.argmax(axis=1).astype(np.int32)[:, np.newaxis]
    return x.reshape(len(x), -1)


def dense(x: npt.NDArray[np.signedinteger], layer: Dense) -> Sums:
    """The sum of (x - zero) * w, plus the bias."""
    sums = (x.astype(np.float64) - layer.input_zero) @ layer.weights.astype(np.float64).T
    return sums.astype(np.int64) + layer.rescale.bias


def convolve(x: npt.NDArray[np.signedinteger], layer: Conv2D) -> Sums:
    """The same at each place of the window; what lies outside the image is the zero point."""
    window = layer.window
    top, left, bottom, right = window.padding
    around = ((0, 0), (top, bottom), (left, right), (0, 0))
    real = np.pad(x.astype(np.float64) - layer.input_zero, around)
    down, across = window.positions(x.shape[1], x.shape[2])
    sums = np.zeros((len(x), down, across, len(layer.weights)))
    for i in range(window.height):
        for j in range(window.width):
            rows = slice(i, i + (down - 1) * window.stride[0] + 1, window.stride[0])
            columns = slice(j, j + (across - 1) * window.stride[1] + 1, window.stride[1])
            sums += real[:, rows, columns] @ layer.weights[:, i, j].astype(np.float64).T
    return sums.astype(np.int64) + layer.rescale.bias


def requantise(sums: Sums, to: Rescale) -> Activations:
    """From sums with their bias, channels last, to int8 (Jacob et al. 2018, section 2.2)."""
    scaled = rounding_divide_by_pot(
        saturating_rounding_doubling_high_mul(sums, to.multiplier.astype(np.int64)),
        to.shift.astype(np.int64),
    )
    return np.clip(scaled + to.zero, to.low, to.high).astype(np.int8)


def saturating_rounding_doubling_high_mul(a: Sums, b: Sums) -> Sums:
    """The function of this name in gemmlowp: a * b / 2^31, rounded.

    It saturates for a = b = -2^31 only, which cannot be here.
    """
    ab = a * b
    nudged = ab + np.where(ab >= 0, 1 << 30, 1 - (1 << 30))
    return np.where(nudged >= 0, nudged >> 31, -(-nudged >> 31))  # C++ divides towards zero


def rounding_divide_by_pot(x: Sums, exponent: Sums) -> Sums:
    """RoundingDivideByPOT of gemmlowp: x / 2^exponent, rounded half away from zero."""
    mask = (np.int64(1) << exponent) - 1
    threshold = (mask >> 1) + (x < 0)
    return (x >> exponent) + ((x & mask) > threshold)


def rescale(sums: npt.NDArray[np.int32], to: Rescale) -> Activations:
    """From m x channels sums, without bias, to int8."""
    return requantise(sums.astype(np.int64) + to.bias, to)


OPERATIONS = NetworkOperations(patches, rescale)
