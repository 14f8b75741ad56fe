"""The layers: what each takes, gives and costs. A layer that cannot be is refused when it is made."""

import math
from dataclasses import dataclass, field, replace
from gettext import gettext as _
from gettext import ngettext
from typing import Protocol

import numpy as np
import numpy.typing as npt

from kernels.errors import InvalidNetwork
from kernels.network import Rescale, Window
from kernels.product import MAX_SUM_LENGTH

Shape = tuple[int, ...]
"""Of one sample: (height, width, channels) or (features,)."""
LEAST_MULTIPLIER = 1 << 30
MOST_SHIFT = 31
_INT32 = 1 << 31


class Layer(Protocol):
    """One step of a network, for a whole batch."""

    def output(self, shape: Shape) -> Shape:
        """The shape that it makes of this one. Raises InvalidNetwork."""

    def cost(self, shape: Shape) -> int:
        """Multiply-adds, or comparisons, for one sample."""

    def scratch_bytes(self, shape: Shape) -> int:
        """Memory for one sample, besides input and output."""


@dataclass(frozen=True, slots=True, eq=False)
class Weighted:
    """Sums of int8 weights times what the layer sees, and their rescaling; an output a row."""

    weights: npt.NDArray[np.int8]
    input_zero: int
    rescale: Rescale
    zero_absorbed: Rescale = field(init=False)
    """The rescaling for sums of x * w alone: the zero point is taken into the bias."""

    def __post_init__(self) -> None:
        zero_absorbed = _check_and_absorb_zero(self.weights, self.input_zero, self.rescale)
        object.__setattr__(self, "zero_absorbed", zero_absorbed)


@dataclass(frozen=True, slots=True, eq=False)
class Dense(Weighted):
    """Weights, outputs x features, times the sample."""

    def output(self, shape: Shape) -> Shape:
        """As many as there are rows of weights."""
        outputs, features = self.weights.shape
        if shape != (features,):
            raise InvalidNetwork(
                ngettext(
                    "a dense layer of {features} feature gets {text}",
                    "a dense layer of {features} features gets {text}",
                    features,
                ).format(features=features, text=_text(shape))
            )
        return (outputs,)

    def cost(self, shape: Shape) -> int:  # noqa: ARG002
        """One for each weight."""
        return self.weights.size

    def scratch_bytes(self, shape: Shape) -> int:  # noqa: ARG002
        """The sums."""
        return 4 * len(self.weights)


@dataclass(frozen=True, slots=True, eq=False)
class Conv2D(Weighted):
    """A convolution (cross-correlation) with weights, outputs x height x width x channels."""

    window: Window

    def output(self, shape: Shape) -> Shape:
        """Places of the window, and as many channels as there are filters."""
        down, across = _places(self.window, shape)
        if shape[2] != self.weights.shape[3]:
            raise InvalidNetwork(
                _("a convolution of {shape} channels gets {text}").format(
                    shape=self.weights.shape[3], text=_text(shape)
                )
            )
        return down, across, len(self.weights)

    def cost(self, shape: Shape) -> int:
        """Each weight at each place."""
        down, across = _places(self.window, shape)
        return down * across * self.weights.size

    def scratch_bytes(self, shape: Shape) -> int:
        """The patches and the sums."""
        down, across = _places(self.window, shape)
        return down * across * (self.weights[0].size + 4 * len(self.weights))


@dataclass(frozen=True, slots=True)
class Pool:
    """The window's largest entry, or its mean, rounded half away from zero, for each channel."""

    window: Window
    mean: bool

    def output(self, shape: Shape) -> Shape:
        """Places of the window, and the channels as they were."""
        return *_places(self.window, shape), shape[2]

    def cost(self, shape: Shape) -> int:
        """Each entry of the window at each place."""
        down, across = _places(self.window, shape)
        return down * across * shape[2] * self.window.height * self.window.width

    def scratch_bytes(self, shape: Shape) -> int:
        """Sums, and one operand of them."""
        return 8 * math.prod(self.output(shape))


@dataclass(frozen=True, slots=True)
class Flatten:
    """All entries of a sample in one row."""

    def output(self, shape: Shape) -> Shape:
        """Their number."""
        return (math.prod(shape),)

    def cost(self, shape: Shape) -> int:  # noqa: ARG002
        """Nothing is computed."""
        return 0

    def scratch_bytes(self, shape: Shape) -> int:  # noqa: ARG002
        """Nothing is copied."""
        return 0


@dataclass(frozen=True, slots=True)
class ArgMax:
    """Position of a sample's largest entry, the first of several, as int32. The last layer only."""

    def output(self, shape: Shape) -> Shape:
        """One number."""
        if len(shape) != 1:
            raise InvalidNetwork(_("argmax takes a row, and gets {text}").format(text=_text(shape)))
        return (1,)

    def cost(self, shape: Shape) -> int:
        """Each entry once."""
        return shape[0]

    def scratch_bytes(self, shape: Shape) -> int:  # noqa: ARG002
        """The positions."""
        return 12


def _check_and_absorb_zero(
    weights: npt.NDArray[np.int8], input_zero: int, rescale: Rescale
) -> Rescale:
    """sum((x - zero) * w) + bias = sum(x * w) + (bias - zero * sum(w)): the latter's rescaling.

    Raises InvalidNetwork unless every sum that can come out fits int32.
    """
    length = weights[0].size
    if length > MAX_SUM_LENGTH:
        raise InvalidNetwork(
            _("a sum of more than {MAX_SUM_LENGTH} products is too long: {length}").format(
                length=length, MAX_SUM_LENGTH=MAX_SUM_LENGTH
            )
        )
    if rescale.low > rescale.high:
        raise InvalidNetwork(
            _("low = {low} is above high = {high}").format(low=rescale.low, high=rescale.high)
        )
    if (rescale.multiplier < LEAST_MULTIPLIER).any() or (rescale.shift > MOST_SHIFT).any():
        raise InvalidNetwork(_("a multiplier is at least 2^30, and a shift at most 31"))
    rows = weights.reshape(len(weights), -1).astype(np.int64)
    bias = rescale.bias.astype(np.int64) - input_zero * rows.sum(axis=1)
    if (128 * np.abs(rows).sum(axis=1) + np.abs(bias) >= _INT32).any():
        raise InvalidNetwork(_("a sum could overflow int32: bias or weights are too large"))
    return replace(rescale, bias=bias.astype(np.int32))


def _places(window: Window, shape: Shape) -> tuple[int, int]:
    if len(shape) != 3:
        raise InvalidNetwork(
            _("a window needs height, width and channels, and gets {text}").format(
                text=_text(shape)
            )
        )
    down, across = window.positions(shape[0], shape[1])
    if down < 1 or across < 1:
        raise InvalidNetwork(
            _("a window of {height} x {width} does not fit into {text}").format(
                height=window.height, width=window.width, text=_text(shape)
            )
        )
    return down, across


def _text(shape: Shape) -> str:
    return " x ".join(map(str, shape))
