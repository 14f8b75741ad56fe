"""Layer normalisation in integers, after I-BERT: an integer square root instead of a real one.

Source: Kim et al., "I-BERT: Integer-only BERT Quantization" (ICML 2021), section 3.6. There the root
comes from Newton steps; here it is exact, floor(sqrt(V)). The sum before it, of up to three values with
scales of their own, is part of the operator, so that it needs no int8 of its own: in a transformer that
sum has outliers that int8 represents badly.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from gettext import gettext as _
from gettext import ngettext
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from kernels.errors import InvalidNetwork
from kernels.network.graph.backend import Backend
from kernels.network.graph.fields import Tensor, array, number, numbers
from kernels.network.graph.operator import Form, Operator, Values, require
from kernels.network.graph.products import WIDE, check_range

Real = npt.NDArray[np.float64]
MOST_MULTIPLIER = 1 << 12
MOST_CHANNEL_MULTIPLIER = 1 << 24
MOST_SQUARES = 1 << 62
MOST_DEPTH = 1 << 14
FRACTION = 24
"""Bits after the point of an entry divided by the root of the sum of squares."""
SHIFT = 40
"""Bits after the point of the scaled entry: 24, and 16 of the factor."""
MOST_OFFSET = 1 << 60


@dataclass(frozen=True, slots=True, eq=False)
class Norm(Operator):
    """Over the last side, of n entries, with t = sum over inputs of multipliers[i] (x_i - zeros[i]).

    d = t - floor((2 sum(t) + n) / 2n), r = floor(sqrt(sum(d^2) + epsilon))
    u = floor((d 2^25 + r) / 2r)                                 # d / r in 24 bits; 0 where r = 0
    y = clamp(floor((u factor[c] + offset[c] + 2^39) / 2^40) + output_zero)
    """

    most_inputs: ClassVar[int] = 3
    zeros: tuple[int, ...] = numbers(-128, 127)
    epsilon: int = number(0, 1 << 61)
    factor: Tensor = array("i4")
    offset: Tensor = array("i8")
    output_zero: int = number(-128, 127)
    low: int = number(-128, 127)
    high: int = number(-128, 127)

    @abstractmethod
    def rows(self) -> Sequence[Any]:
        """Return each input's multipliers, one or one for each entry."""

    def check(self) -> None:
        """Raise InvalidNetwork where a number could leave int64."""
        check_range(self.low, self.high)
        require(
            len(self.factor) == len(self.offset) <= MOST_DEPTH
            and len(self.zeros) == len(self.rows())
            and int(self.offset.min()) > -MOST_OFFSET
            and int(self.offset.max()) < MOST_OFFSET,
            _(
                "a layer_norm needs a factor and an offset for each entry, and a scale for each input"
            ),
        )

    def output(self, *inputs: Form) -> Form:
        """The inputs', all of one shape; int32 are wide values, whose zero point is 0."""
        shape, wide = inputs[0].shape, [one.entry_bytes != 1 for one in inputs]
        require(
            len(inputs) == len(self.zeros)
            and all(one.shape == shape for one in inputs)
            and shape[-1:] == self.factor.shape,
            ngettext(
                "a layer_norm of {length} entry gets others",
                "a layer_norm of {length} entries gets others",
                len(self.factor),
            ).format(length=len(self.factor)),
        )
        if any(wide):
            self._check_wide(wide)
        return Form(shape)

    def _check_wide(self, wide: Sequence[bool]) -> None:
        whole = [np.broadcast_to(row, self.factor.shape).astype(object) for row in self.rows()]
        by_entry = [row * reach_of(one) for row, one in zip(whole, wide, strict=True)]
        furthest: list[int] = np.sum(by_entry, axis=0).tolist()
        require(
            not any(zero for zero, one in zip(self.zeros, wide, strict=True) if one)
            and squares_of(furthest) + self.epsilon < MOST_SQUARES,
            _("the squares of a {op} could overflow int64").format(op=self.op),
        )

    def cost(self, *inputs: Form) -> int:
        """Return eight for each entry, and one for each input's."""
        return (8 + len(inputs)) * inputs[0].entries

    def scratch_bytes(self, *inputs: Form) -> int:
        """Return that of some int64 for each entry."""
        return 48 * inputs[0].entries

    def scaled(self, inputs: Sequence[Values]) -> npt.NDArray[np.int64]:
        """Return what is then brought into the output's bounds, in int64 throughout."""
        wide = [x.astype(np.int64).clip(-WIDE, WIDE - 1) for x in inputs]
        terms = zip(wide, self.zeros, self.rows(), strict=True)
        t = reduce(np.add, [(x - zero) * row for x, zero, row in terms])
        n = len(self.factor)
        d = t - (2 * t.sum(axis=-1, keepdims=True) + n) // (2 * n)
        root = integer_root(np.square(d).sum(axis=-1, keepdims=True) + self.epsilon)
        u = ((d << (FRACTION + 1)) + root) // np.maximum(2 * root, 1)
        return (u * self.factor + self.offset + (1 << (SHIFT - 1))) >> SHIFT

    def run(self, do: Backend, *inputs: Values) -> Values:  # noqa: ARG002
        """In int64 throughout."""
        moved = self.scaled(inputs) + self.output_zero
        return np.clip(moved, self.low, self.high).astype(np.int8)


@dataclass(frozen=True, slots=True, eq=False)
class LayerNorm(Norm):
    """A multiplier for each input."""

    op: ClassVar[str] = "layer_norm"
    multipliers: tuple[int, ...] = numbers(1, MOST_MULTIPLIER)

    def rows(self) -> Sequence[Any]:
        """One number each."""
        return self.multipliers


@dataclass(frozen=True, slots=True, eq=False)
class ChannelNorm(Norm):
    """Multipliers for each entry, inputs x n: a scale for each channel of each input."""

    op: ClassVar[str] = "channel_norm"
    multipliers: Tensor = array("i4", 2)

    def rows(self) -> Sequence[Any]:
        """A row each."""
        return list(self.multipliers.astype(np.int64))

    def check(self) -> None:
        """Raise InvalidNetwork where the sum of squares could leave int64."""
        Norm.check(self)
        require(
            self.multipliers.shape[1] == len(self.factor)
            and int(self.multipliers.min()) >= 0
            and int(self.multipliers.max()) <= MOST_CHANNEL_MULTIPLIER,
            _("a channel_norm needs multipliers for each input and entry"),
        )
        furthest = (255 * self.multipliers.astype(np.int64).sum(axis=0)).tolist()
        require(
            squares_of(furthest) + self.epsilon < MOST_SQUARES,
            _("the squares of a {op} could overflow int64").format(op=self.op),
        )


@dataclass(frozen=True, slots=True, eq=False)
class WideNorm(ChannelNorm):
    """A channel_norm to 16 bits, as int32: what the next normalisation adds needs no int8."""

    op: ClassVar[str] = "wide_norm"

    def check(self) -> None:
        """Raise InvalidNetwork where a bound or a zero point of int8 is set."""
        ChannelNorm.check(self)
        require(
            (self.low, self.high, self.output_zero) == (-128, 127, 0),
            _("a {op} has no bounds, and the zero point 0").format(op=self.op),
        )

    def output(self, *inputs: Form) -> Form:
        """The inputs', int32."""
        return Form(Norm.output(self, *inputs).shape, 4)

    def run(self, do: Backend, *inputs: Values) -> Values:  # noqa: ARG002
        """In int64 throughout."""
        return np.clip(self.scaled(inputs), -WIDE, WIDE - 1).astype(np.int32)


def reach_of(wide: bool) -> int:
    """Return how far two entries of an input are from each other at most."""
    return 2 * WIDE if wide else 255


def squares_of(furthest: Sequence[int]) -> int:
    """Return what a sum of squares of differences from the mean stays below."""
    mean = sum(furthest) // len(furthest) + 1
    return sum((one + mean) ** 2 for one in furthest)


def least_wide_step(gamma: Real) -> float:
    """Return the least step of a wide normalisation's output: its factors must fit int32."""
    factors = np.abs(gamma).max() * math.sqrt(len(gamma)) * (1 << (SHIFT - FRACTION))
    return float(factors) / (1 << 30)


def integer_root(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return floor(sqrt(v)) of values from 0 to 2^62: float64's root is off by one at most."""
    root = np.sqrt(values.astype(np.float64)).astype(np.int64)
    root -= root * root > values
    return root + ((root + 1) * (root + 1) <= values)


def make_norm(
    scales: Sequence[Real],
    zeros: tuple[int, ...],
    parameters: tuple[Real, Real, float],
    output: Real,
    output_zero: int,
    bounds: tuple[int, int],
    wide: Sequence[bool],
    *,
    to_wide: bool = False,
) -> LayerNorm | ChannelNorm:
    """Return the operator for inputs of these scales, one or one for each channel; which are wide.

    `parameters` are gamma, beta and epsilon, `output` the output's scale, one or one for each channel.
    Raise InvalidNetwork where no integers stand for these numbers.
    """
    gamma, beta, epsilon = parameters
    n = len(gamma)
    by_channel = to_wide or any(wide) or any(scale.size > 1 for scale in scales)
    rows = np.stack([np.broadcast_to(scale, (n,)) for scale in scales])
    unit = float(rows.max()) / (MOST_CHANNEL_MULTIPLIER if by_channel else MOST_MULTIPLIER)
    if by_channel:
        furthest = (np.array([[reach_of(one)] for one in wide]) * rows).sum(axis=0)
        squares = np.square(furthest + furthest.mean()).sum() + epsilon * n
        unit = max(unit, math.sqrt(2 * squares / MOST_SQUARES))
    # y = d / sqrt(V / n) * gamma + beta, where u is d / sqrt(V) times 2^24.
    factor = np.rint(gamma * math.sqrt(n) / output * (1 << (SHIFT - FRACTION)))
    offset = np.rint(beta / output * (1 << SHIFT))
    if not (np.isfinite(factor).all() and np.isfinite(offset).all() and unit > 0):
        raise InvalidNetwork(_("a scale of the file is not a usable number"))
    if np.abs(factor).max() >= 1 << 31 or np.abs(offset).max() >= MOST_OFFSET:
        raise InvalidNetwork(_("a scale of the file is not a usable number"))
    shared: dict[str, Any] = {
        "zeros": zeros, "epsilon": round(min(epsilon * n / unit**2, float(1 << 61))),
        "factor": factor.astype(np.int32), "offset": offset.astype(np.int64),
        "output_zero": output_zero, "low": bounds[0], "high": bounds[1],
    }  # fmt: skip
    whole = np.rint(rows / unit)
    if by_channel:
        kind = WideNorm if to_wide else ChannelNorm
        return kind(multipliers=whole.astype(np.int32), **shared)
    return LayerNorm(multipliers=tuple(max(1, int(row[0])) for row in whole), **shared)
