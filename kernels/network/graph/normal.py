"""Layer normalisation in integers, after I-BERT: an integer square root instead of a real one.

Source: Kim et al., "I-BERT: Integer-only BERT Quantization" (ICML 2021), section 3.6. There the root
comes from Newton steps; here it is exact, floor(sqrt(V)). The sum before it, of up to three values with
scales of their own, is part of the operator, so that it needs no int8 of its own: in a transformer that
sum has outliers that int8 represents badly.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from gettext import gettext as _
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from kernels.errors import InvalidNetwork
from kernels.network.graph.backend import Backend
from kernels.network.graph.fields import Tensor, array, number, numbers
from kernels.network.graph.operator import Form, Operator, Values, require, require_bytes
from kernels.network.graph.products import check_range

MOST_MULTIPLIER = 1 << 12
MOST_DEPTH = 1 << 14
FRACTION = 24
"""Bits after the point of an entry divided by the root of the sum of squares."""
SHIFT = 40
"""Bits after the point of the scaled entry: 24, and 16 of the factor."""
MOST_OFFSET = 1 << 60


@dataclass(frozen=True, slots=True, eq=False)
class LayerNorm(Operator):
    """Over the last side, of n entries, with t = sum over inputs of multipliers[i] (x_i - zeros[i]).

    d = t - floor((2 sum(t) + n) / 2n), r = floor(sqrt(sum(d^2) + epsilon))
    u = floor((d 2^25 + r) / 2r)                                 # d / r in 24 bits; 0 where r = 0
    y = clamp(floor((u factor[c] + offset[c] + 2^39) / 2^40) + output_zero)
    """

    op: ClassVar[str] = "layer_norm"
    most_inputs: ClassVar[int] = 3
    zeros: tuple[int, ...] = numbers(-128, 127)
    multipliers: tuple[int, ...] = numbers(1, MOST_MULTIPLIER)
    epsilon: int = number(0, 1 << 61)
    factor: Tensor = array("i4")
    offset: Tensor = array("i8")
    output_zero: int = number(-128, 127)
    low: int = number(-128, 127)
    high: int = number(-128, 127)

    def check(self) -> None:
        """Raise InvalidNetwork where a number could leave int64."""
        check_range(self.low, self.high)
        require(
            len(self.factor) == len(self.offset) <= MOST_DEPTH
            and len(self.zeros) == len(self.multipliers)
            and int(self.offset.min()) > -MOST_OFFSET
            and int(self.offset.max()) < MOST_OFFSET,
            _(
                "a layer_norm needs a factor and an offset for each entry, and a scale for each input"
            ),
        )

    def output(self, *inputs: Form) -> Form:
        """The inputs', all of one shape."""
        for one in inputs:
            require_bytes(one, self.op)
        shape = inputs[0].shape
        require(
            len(inputs) == len(self.zeros)
            and all(one.shape == shape for one in inputs)
            and shape[-1:] == self.factor.shape,
            _("a layer_norm of {length} entries gets others").format(length=len(self.factor)),
        )
        return inputs[0]

    def cost(self, *inputs: Form) -> int:
        """Return eight for each entry, and one for each input's."""
        return (8 + len(inputs)) * inputs[0].entries

    def scratch_bytes(self, *inputs: Form) -> int:
        """Return that of some int64 for each entry."""
        return 48 * inputs[0].entries

    def run(self, do: Backend, *inputs: Values) -> Values:  # noqa: ARG002
        """In int64 throughout."""
        terms = zip(inputs, self.zeros, self.multipliers, strict=True)
        parts = [(x.astype(np.int64) - zero) * multiplier for x, zero, multiplier in terms]
        t = reduce(np.add, parts)
        n = len(self.factor)
        d = t - (2 * t.sum(axis=-1, keepdims=True) + n) // (2 * n)
        root = integer_root(np.square(d).sum(axis=-1, keepdims=True) + self.epsilon)
        u = ((d << (FRACTION + 1)) + root) // np.maximum(2 * root, 1)
        scaled = (u * self.factor + self.offset + (1 << (SHIFT - 1))) >> SHIFT
        return np.clip(scaled + self.output_zero, self.low, self.high).astype(np.int8)


def integer_root(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return floor(sqrt(v)) of values from 0 to 2^62: float64's root is off by one at most."""
    root = np.sqrt(values.astype(np.float64)).astype(np.int64)
    root -= root * root > values
    return root + ((root + 1) * (root + 1) <= values)


def norm_constants(
    scales: Sequence[float],
    epsilon: float,
    gamma: npt.NDArray[np.float64],
    beta: npt.NDArray[np.float64],
    output_scale: float,
) -> tuple[tuple[int, ...], int, npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """Return multipliers, epsilon, factor and offset for these scales. Raise InvalidNetwork."""
    unit = max(scales) / MOST_MULTIPLIER
    multipliers = tuple(max(1, round(scale / unit)) for scale in scales)
    n = len(gamma)
    # y = d / sqrt(V / n) * gamma + beta, where u is d / sqrt(V) times 2^24.
    factor = np.rint(gamma * math.sqrt(n) / output_scale * (1 << (SHIFT - FRACTION)))
    offset = np.rint(beta / output_scale * (1 << SHIFT))
    if not (np.isfinite(factor).all() and np.isfinite(offset).all()):
        raise InvalidNetwork(_("a scale of the file is not a usable number"))
    if np.abs(factor).max() >= 1 << 31 or np.abs(offset).max() >= MOST_OFFSET:
        raise InvalidNetwork(_("a scale of the file is not a usable number"))
    least = round(min(epsilon * n / unit**2, float(1 << 61)))
    return multipliers, least, factor.astype(np.int32), offset.astype(np.int64)
