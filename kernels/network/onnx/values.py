"""What a tensor of the file is while it is converted.

    Known     a constant, perhaps with the int8 that it was dequantised from
    Codes     int8 or int32 of the graph, without a meaning: inputs and outputs of QuantizeLinear
    Entries   a value of the graph with a meaning: what each of its int8 (or small int32) stands for
    Pending   a real value that needs a scale before it can be computed

A function of one entry is not computed at once: `Entries.reals` is a table of what each code stands
for, and a function of it another table of the same codes. So x * 0.5 * (1 + erf(x / 1.414)), five nodes
of a file, becomes one table, and -10000 * (1 - mask) one look-up.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from kernels.network.onnx.context import Context

Scale = tuple[float, int]
"""real = scale * (code - zero)"""
Array = npt.NDArray[Any]
ONE = np.ones(1)
CODES = np.arange(-128, 128)
NHWC = (0, 2, 3, 1)
"""Order of an image's sides here."""
PLACES = (0, 3, 1, 2)
"""Where side i of NCHW lies in NHWC."""


@dataclass(frozen=True, slots=True, eq=False)
class Quantised:
    """int8 of a constant, the scale of each (or one for all), and the side along which they lie."""

    codes: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float64]
    axis: int


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """A constant of the file, or computed from constants."""

    value: Array
    quantised: Quantised | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor."""
        return self.value.shape


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """A value of the graph: which, its shape as in ONNX, and whether it lies as NHWC."""

    place: int
    shape: tuple[int, ...]
    channels_last: bool = False

    def side(self, axis: int) -> int:
        """Return where a side of ONNX's shape lies in the graph's."""
        return PLACES[axis] if self.channels_last else axis


@dataclass(frozen=True, slots=True, eq=False)
class Codes(Placed):
    """int8 (uint8 of the file moved by 128), or int32."""

    unsigned: bool = False
    scale: Scale | None = None
    """For people, where it is known."""


@dataclass(frozen=True, slots=True, eq=False)
class Entries(Placed):
    """What codes -128 to 127 stand for, or, of an int32, 0 to len(reals) - 1."""

    reals: Array = field(default_factory=lambda: np.zeros(0))
    scale: Scale | None = None
    """Set where `reals` is scale * (code - zero): the value can be taken as it is."""
    whole: bool = False
    """The codes are int32."""
    factors: npt.NDArray[np.float64] | None = None
    """Where each channel, along the last side, has a scale of its own: scale * factors[channel].

    `reals` has a row for each channel then, and also where it is a function of such a value.
    """
    finer: "Pending | None" = None
    """Where it can be computed to 16 bits: how."""


@dataclass(frozen=True, slots=True, eq=False)
class Float(Placed):
    """A float input of the file, before a QuantizeLinear has said its scale."""

    name: str = ""


Finish = Callable[..., int]
"""Computes a pending value from context, scale, bounds of the codes, and perhaps factors of channels.

It returns the graph's value.
"""


@dataclass(frozen=True, slots=True, eq=False)
class Pending:
    """A real value and how it is computed once its scale is known; clamped to low ... high."""

    shape: tuple[int, ...]
    finish: Finish
    channels_last: bool = False
    low: float = -np.inf
    high: float = np.inf
    by_channel: bool = False
    """`finish` takes factors: each channel may have a scale of its own."""
    linear: "Linear | None" = None
    terms: tuple["Entries | Pending | Known", ...] = ()
    """For a sum: what is added, all of this shape."""
    span: tuple[float, float] | None = None
    """What it can be, where that is known better than by calibration."""
    spans: tuple[Array, Array] | None = None
    """The same for each channel."""
    wide: Callable[["Context", Scale], int] | None = None
    """Computes it to 16 bits, for a normalisation; the step is not to be below `least_step`."""
    least_step: float = 0.0
    name: str = ""
    kind: str = ""
    """The operator that made it, for verification."""


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """Weights, outputs first, and bias of a layer, as long as they can still be changed."""

    weights: Array
    """Real, or int8 where `scales` is set."""
    scales: npt.NDArray[np.float64] | None
    bias: npt.NDArray[np.float64]
    build: Callable[["Linear"], Pending]


Value = Known | Codes | Entries | Float | Pending


def linear_reals(
    scale: Scale, factors: npt.NDArray[np.float64] | None = None
) -> npt.NDArray[np.float64]:
    """Return what each int8 stands for; with factors, a row for each channel."""
    reals = np.float64(scale[0]) * (CODES - scale[1])
    return reals if factors is None else factors[:, np.newaxis] * reals
