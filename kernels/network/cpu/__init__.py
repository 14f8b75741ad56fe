"""What surrounds products, with Numba: layers.py for the chain of layers, graph.py for graphs."""

from collections.abc import Callable
from functools import cache

import numpy as np

from kernels.compiling import Compiling
from kernels.network import NetworkOperations, Rescale, Window
from kernels.network.cpu.graph import KERNELS
from kernels.network.cpu.layers import OPERATIONS
from kernels.network.graph.kernels import GraphKernels, Requantise, RequantiseOnce, Side

__all__ = ["KERNELS", "OPERATIONS", "compiled"]

LOADS_SECONDS = 0.5
"""What lies on disk is loaded in less, and nothing is told."""


@cache
def compiled() -> tuple[NetworkOperations, GraphKernels]:
    """Return both, after each was called once.

    Where they are not on disk yet, that compiles them for some seconds, and tells of it.
    """
    x = np.zeros((1, 2, 2, 2), np.int8)
    sums, exponent = np.zeros((1, 2), np.int32), np.zeros(2, np.int8)
    bias, multiplier, shift = sums[0].copy(), sums[0].copy(), np.zeros(2, np.uint8)
    ends = (0, -128, 127)
    one = Requantise(bias[:1], multiplier[:1], exponent[:1], *ends)
    once = RequantiseOnce(bias, multiplier.astype(np.int64), shift, *ends)
    exps = np.full(256, 2**31 - 1, np.int32)
    calls: tuple[Callable[[], object], ...] = (
        lambda: OPERATIONS.patches(x, Window(1, 1), 0),
        lambda: OPERATIONS.rescale(sums, Rescale(bias, multiplier, shift, *ends)),
        lambda: KERNELS.requantise(sums, Requantise(bias, multiplier, exponent, *ends)),
        lambda: KERNELS.requantise(sums, one),
        lambda: KERNELS.requantise_once(sums, once),
        lambda: KERNELS.depthwise(x, x[0], Window(1, 1), 0),
        lambda: KERNELS.add(Side(x, 0), Side(x, 0), 1, one),
        lambda: KERNELS.multiply_entries(Side(x, 0), Side(x, 0), one),
        lambda: KERNELS.softmax(x.reshape(4, 2), exps),
    )
    with Compiling(len(calls), after=LOADS_SECONDS) as compiling:
        for call in calls:
            call()
            compiling.one_done()
    return OPERATIONS, KERNELS
