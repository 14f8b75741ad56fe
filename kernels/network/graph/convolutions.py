"""Convolutions: a product with what a window sees (conv2d), or each channel by itself (depthwise).

As LiteRT's reference_integer_ops::ConvPerChannel and DepthwiseConvPerChannel.
"""

from dataclasses import dataclass
from gettext import gettext as _
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from kernels.errors import InvalidNetwork
from kernels.network import Window
from kernels.network.graph.backend import Backend
from kernels.network.graph.fields import Tensor, array, numbers
from kernels.network.graph.kernels import Requantise, Sums
from kernels.network.graph.operator import Form, Values, require_image, text
from kernels.network.graph.products import (
    INT32,
    LEAST_EXPONENT,
    MAX_PADDING,
    MAX_WINDOW,
    MOST_EXPONENT,
    Operands,
    Weighted,
    multiplied,
)


@dataclass(frozen=True, slots=True, eq=False)
class Convolution(Weighted):
    """What slides over an image."""

    multiplier: Tensor = array("i4")
    exponent: Tensor = array("i1")
    stride: tuple[int, ...] = numbers(1, MAX_WINDOW, 2)
    dilation: tuple[int, ...] = numbers(1, MAX_WINDOW, 2)
    padding: tuple[int, ...] = numbers(0, MAX_PADDING, 4)

    def scaling(self) -> tuple[Tensor, Tensor]:
        """Multiplier and exponent."""
        return self.multiplier, self.exponent

    def check_scaling(self, most: npt.NDArray[np.int64]) -> None:
        """Raise InvalidNetwork unless sums stay in int32, shifted to the left, too."""
        wide = self.exponent.astype(np.int64)
        if (
            int(self.multiplier.min()) < 0
            or (wide < LEAST_EXPONENT).any()
            or (wide > MOST_EXPONENT).any()
        ):
            raise InvalidNetwork(_("a multiplier is at least 0, and an exponent from -31 to 30"))
        if (most << np.maximum(wide, 0) >= INT32).any():
            raise InvalidNetwork(_("a sum could overflow int32: bias or weights are too large"))

    def to(self, bias: Tensor) -> Requantise:
        """Return the rescaling of sums with this bias."""
        return Requantise(
            bias, self.multiplier, self.exponent, self.output_zero, self.low, self.high
        )


@dataclass(frozen=True, slots=True, eq=False)
class Conv2D(Convolution):
    """A convolution with weights, outputs x height x width x channels."""

    op: ClassVar[str] = "conv2d"
    weights: Tensor = array("i1", 4)

    def output(self, *inputs: Form) -> Form:
        """Places of the window, and as many channels as there are filters."""
        batch, height, width, channels = require_image(inputs[0], self.op)
        window = window_of(self.weights.shape[1:3], self.stride, self.dilation, self.padding)
        if channels != self.weights.shape[3]:
            raise InvalidNetwork(
                _("a convolution of {shape} channels gets {text}").format(
                    shape=self.weights.shape[3], text=text(inputs[0].shape)
                )
            )
        return Form((batch, *places(window, height, width), len(self.weights)))

    def cost(self, *inputs: Form) -> int:
        """Return each weight at each place."""
        return self.output(*inputs).entries * self.weights[0].size

    def scratch_bytes(self, *inputs: Form) -> int:
        """Return the patches' and the sums'."""
        out = self.output(*inputs)
        seen = out.entries // len(self.weights) * self.weights[0].size
        return 4 * out.entries + seen + padded_entries(inputs[0], self.padding)

    def rows(self, do: Backend, x: Values) -> Values:
        """Return what the window sees, a place a row."""
        _n, _batch, height, width, channels = x.shape
        window = window_of(self.weights.shape[1:3], self.stride, self.dilation, self.padding)
        if window == Window(1, 1):
            return x.reshape(-1, channels)
        return do.patches(x.reshape(-1, height, width, channels), window, self.input_zero)

    def operands(self, do: Backend, *inputs: Values) -> list[Operands]:
        """The patches and the weights."""
        return [(self.rows(do, inputs[0]), self.weights.reshape(len(self.weights), -1))]

    def sums(self, do: Backend, *inputs: Values) -> Sums:
        """One product with the patches."""
        return multiplied(do, self.operands(do, *inputs))

    def scaled(self, do: Backend, sums: Sums) -> Values:
        """With the zero point in the bias."""
        return do.kernels.requantise(sums, self.to(self.absorbed))


@dataclass(frozen=True, slots=True, eq=False)
class DepthwiseConv2D(Convolution):
    """Each channel by itself, with weights height x width x outputs; outputs a multiple of channels."""

    op: ClassVar[str] = "depthwise_conv2d"
    weights: Tensor = array("i1", 3)
    outputs_axis: ClassVar[int] = 2

    def output(self, *inputs: Form) -> Form:
        """Places of the window, and the outputs."""
        batch, height, width, channels = require_image(inputs[0], self.op)
        window = window_of(self.weights.shape[:2], self.stride, self.dilation, self.padding)
        if self.weights.shape[2] % channels:
            raise InvalidNetwork(
                _("a depthwise convolution's outputs must be a multiple of its channels")
            )
        return Form((batch, *places(window, height, width), self.weights.shape[2]))

    def cost(self, *inputs: Form) -> int:
        """Return each weight at each place."""
        return self.output(*inputs).entries * self.weights[..., 0].size

    def scratch_bytes(self, *inputs: Form) -> int:
        """Return the patches' and the sums', as the reference has them."""
        places = self.output(*inputs).entries // self.weights.shape[2]
        seen = places * self.weights[..., 0].size * inputs[0].shape[3]
        return 32 * self.output(*inputs).entries + seen + padded_entries(inputs[0], self.padding)

    def sums(self, do: Backend, *inputs: Values) -> Sums:
        """Of (x - zero) * w."""
        (x,) = inputs
        window = window_of(self.weights.shape[:2], self.stride, self.dilation, self.padding)
        images = x.reshape(-1, *x.shape[2:])
        return do.kernels.depthwise(images, self.weights, window, self.input_zero)

    def scaled(self, do: Backend, sums: Sums) -> Values:
        """With the bias as it is."""
        return do.kernels.requantise(sums, self.to(self.bias))


def window_of(
    sides: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    padding: tuple[int, ...],
) -> Window:
    """Return a window. Raise InvalidNetwork where it could lie in the padding altogether."""
    height, width = sides
    if max(sides) > MAX_WINDOW:
        raise InvalidNetwork(
            _("a window of {height} x {width} is too large: {MAX_WINDOW} at most").format(
                height=height, width=width, MAX_WINDOW=MAX_WINDOW
            )
        )
    top, left, bottom, right = padding
    window = Window(
        height,
        width,
        (stride[0], stride[1]),
        (top, left, bottom, right),
        (dilation[0], dilation[1]),
    )
    down, across = window.extent
    if max(top, bottom) >= down or max(left, right) >= across:
        raise InvalidNetwork(_("a window must not lie in the padding altogether"))
    return window


def padded_entries(image: Form, padding: tuple[int, ...]) -> int:
    """Return how many entries an image has with its padding, as numpy makes it."""
    batch, height, width, channels = image.shape
    top, left, bottom, right = padding
    return batch * (height + top + bottom) * (width + left + right) * channels


def places(window: Window, height: int, width: int) -> tuple[int, int]:
    """Return how many places the window has. Raise InvalidNetwork where it does not fit."""
    down, across = window.positions(height, width)
    if down < 1 or across < 1:
        raise InvalidNetwork(
            _("a window of {height} x {width} does not fit into {text}").format(
                height=window.height, width=window.width, text=text((height, width))
            )
        )
    return down, across
