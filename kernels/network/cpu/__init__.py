"""What surrounds products, with Numba: layers.py for the chain of layers, graph.py for graphs."""

from functools import cache

import numpy as np

from kernels.network import NetworkOperations, Rescale, Window
from kernels.network.cpu.graph import KERNELS
from kernels.network.cpu.layers import OPERATIONS
from kernels.network.graph.kernels import GraphKernels, Requantise, RequantiseOnce, Side

__all__ = ["KERNELS", "OPERATIONS", "compiled"]


@cache
def compiled() -> tuple[NetworkOperations, GraphKernels]:
    """Return both, after each was called once.

    Where they are not on disk yet, that compiles them for some seconds: all of them with a device's
    first network, which is given that time. Later jobs are timed by how long the first ones took.
    """
    x = np.zeros((1, 2, 2, 2), np.int8)
    sums, exponent = np.zeros((1, 2), np.int32), np.zeros(2, np.int8)
    bias, multiplier, shift = sums[0].copy(), sums[0].copy(), np.zeros(2, np.uint8)
    ends = (0, -128, 127)
    OPERATIONS.patches(x, Window(1, 1), 0)
    OPERATIONS.rescale(sums, Rescale(bias, multiplier, shift, *ends))
    KERNELS.requantise(sums, Requantise(bias, multiplier, exponent, *ends))
    one = Requantise(bias[:1], multiplier[:1], exponent[:1], *ends)
    KERNELS.requantise(sums, one)
    KERNELS.requantise_once(sums, RequantiseOnce(bias, multiplier.astype(np.int64), shift, *ends))
    KERNELS.depthwise(x, x[0], Window(1, 1), 0)
    KERNELS.add(Side(x, 0), Side(x, 0), 1, one)
    KERNELS.multiply_entries(Side(x, 0), Side(x, 0), one)
    exps = np.full(256, 2**31 - 1, np.int32)
    KERNELS.softmax(x.reshape(4, 2), exps)
    return OPERATIONS, KERNELS
