"""What surrounds products, with Numba: layers.py for the chain of layers, graph.py for graphs."""

from kernels.network.cpu.layers import OPERATIONS

__all__ = ["OPERATIONS"]
