"""Integer-only neural networks, exact to the bit on every device.

    network = decode_network(content)             # model.py: a safetensors file, checked throughout
    outputs = forward(network, batch, device)     # fast.py: the device's product does the work
    outputs = reference.forward(network, batch)   # the same, to be read

Weights and activations are int8, sums int32, and between two layers sums become int8 again by integer
arithmetic alone (rescale.py). No floating point decides any bit, so that there is one right output.
The quantisation is that of Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference" (CVPR 2018), with TensorFlow Lite's int8 conventions: activations
with a zero point, weights symmetric and a scale for each output channel.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Activations = npt.NDArray[np.int8]
"""A batch: N x H x W x C, or N x features."""


@dataclass(frozen=True, slots=True)
class Window:
    """How a window of `height` x `width` goes over an image; padding is top, left, bottom, right."""

    height: int
    width: int
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    """Distance of the window's rows, and of its columns."""

    @property
    def extent(self) -> tuple[int, int]:
        """Height and width that it covers."""
        return (
            (self.height - 1) * self.dilation[0] + 1,
            (self.width - 1) * self.dilation[1] + 1,
        )

    def positions(self, height: int, width: int) -> tuple[int, int]:
        """How many places it has, downwards and across; none or fewer where it does not fit."""
        top, left, bottom, right = self.padding
        down, across = self.extent
        return (
            (height + top + bottom - down) // self.stride[0] + 1,
            (width + left + right - across) // self.stride[1] + 1,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Rescale:
    """From int32 sums to int8: for each output channel a bias, a multiplier and a shift.

    The multiplier stands for multiplier / 2^31 / 2^shift; `zero` is the output's zero point, and
    [low, high] is where it is clamped, which makes a ReLU of low = zero.
    """

    bias: npt.NDArray[np.int32]
    multiplier: npt.NDArray[np.int32]
    shift: npt.NDArray[np.uint8]
    zero: int
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class NetworkOperations:
    """What a layer does around its product, in one implementation: `reference.py` or `cpu.py`."""

    patches: Callable[[Activations, Window, int], Activations]
    """One row for each place of the window over N x H x W x C; outside is the last argument."""
    rescale: Callable[[npt.NDArray[np.int32], Rescale], Activations]
    """From m x channels sums, without bias, to int8."""
