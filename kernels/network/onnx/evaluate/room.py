"""What an evaluation may take: sizes are known before anything is allocated."""

import math
from collections.abc import Callable, Mapping, Sequence
from gettext import gettext as _
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.errors import InvalidNetwork, Unsupported

Array = npt.NDArray[Any]
Attributes = Mapping[str, Any]
Inputs = Sequence[Array | None]
WIDEST = 8


class Room:
    """A number of bytes that all results together may have."""

    def __init__(self, most: int) -> None:
        self._left = most

    def take(self, shape: Sequence[int], times: int = 1) -> None:
        """Raise InvalidNetwork where a value of this shape would be too much."""
        self._left -= WIDEST * times * max(1, math.prod(shape))
        if self._left < 0 or any(side < 0 for side in shape):
            raise InvalidNetwork(_("the file computes larger constants than a network would"))


Function = Callable[[Attributes, Inputs, Room], Array | tuple[Array, ...]]


def given(inputs: Inputs, i: int) -> Array:
    """Return input i. Raise Unsupported where it is missing."""
    value = inputs[i] if i < len(inputs) else None
    if value is None:
        raise Unsupported(_("an input is missing"))
    return value


def optional(inputs: Inputs, i: int) -> Array | None:
    """Return input i, or None."""
    return inputs[i] if i < len(inputs) else None


def integers(inputs: Inputs, i: int) -> tuple[int, ...]:
    """Return input i, a few whole numbers."""
    value = given(inputs, i)
    if value.dtype.kind not in "iu" or value.size > 64:
        raise Unsupported(_("an input must be a few whole numbers"))
    return tuple(int(one) for one in value.reshape(-1))


def axes_of(attributes: Attributes, inputs: Inputs, at: int, rank: int) -> tuple[int, ...] | None:
    """Return `axes`, an attribute or, in later versions, an input; None where there are none."""
    axes = attributes.get("axes")
    if axes is None and optional(inputs, at) is not None:
        axes = integers(inputs, at)
    return None if axes is None else tuple(axis_of(axis, rank) for axis in axes)


def axis_of(axis: int, rank: int) -> int:
    """Return an axis counted from the front. Raise Unsupported."""
    if not -rank <= axis < rank:
        raise Unsupported(_("there is no such dimension"))
    return axis % rank


def joined(*values: Array) -> tuple[int, ...]:
    """Return the shape that all are broadcast to."""
    return np.broadcast_shapes(*(one.shape for one in values))
