"""What does the arithmetic of a graph: products, and what deserves more than numpy.

`REFERENCE` is numpy throughout. `fast(device)` multiplies on the device and takes its `GraphKernels`; a
device of its own kind may bring kernels of its own (Device.graph_kernels).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernels.network import Activations, Window
from kernels.network.graph import reference
from kernels.network.graph.kernels import GraphKernels, Sums
from kernels.network.patches import patches

if TYPE_CHECKING:
    from kernels.device import Device


@dataclass(frozen=True, slots=True)
class Backend:
    """One implementation of each."""

    multiply: Callable[[Activations, Activations], Sums]
    """A B^T, exact, from A, m x k, and B, n x k."""
    patches: Callable[[Activations, Window, int], Activations]
    kernels: GraphKernels


def fast(device: "Device") -> Backend:
    """Return the device's."""
    return Backend(device.multiply, device.network_operations().patches, device.graph_kernels())


REFERENCE = Backend(reference.multiply, patches, reference.KERNELS)
