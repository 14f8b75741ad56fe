"""Operators with weights, and the product of two values: sums of int8 products, brought to int8.

    sum over the window of (x - input_zero) * w   + bias[o]
    y = clamp(MultiplyByQuantizedMultiplier(sum, multiplier[o], exponent[o]) + output_zero, low, high)

As LiteRT's reference_integer_ops: ConvPerChannel, DepthwiseConvPerChannel, FullyConnected(PerChannel),
which rounds once only, and reference_ops::BatchMatMul. A device multiplies int8
by int8, so the zero points are taken into the bias beforehand; sums are refused where one could leave
int32.
"""

from abc import abstractmethod
from dataclasses import dataclass, field
from gettext import gettext as _
from gettext import ngettext
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from kernels.errors import InvalidNetwork
from kernels.network.graph.backend import Backend
from kernels.network.graph.fields import Tensor, array, number
from kernels.network.graph.kernels import Requantise, RequantiseOnce, Sums
from kernels.network.graph.operator import (
    Form,
    Operator,
    Values,
    require,
    require_bytes,
    text,
)
from kernels.product import MAX_SUM_LENGTH

MAX_WINDOW = 1024
MAX_PADDING = 1 << 16
MOST_SHIFT = 62
INT32 = 1 << 31
WIDE = 1 << 15
"""A wide value is below it, an int32 in a graph."""
Operands = tuple[Values, Values]
"""A, m x k, and B, n x k, both int8: a product's sums are A B^T."""
PAIR_BYTES = 1024
"""What a pair of matrices takes as Python's objects."""
CALL_COST = 1 << 12
"""Multiply-adds of a slow device in the time of one call of numpy's, or of a product's."""
LEAST_EXPONENT, MOST_EXPONENT = -31, 30


@dataclass(frozen=True, slots=True, eq=False)
class Weighted(Operator):
    """What convolutions and fully connected layers share."""

    weights: Tensor
    bias: Tensor = array("i4")
    input_zero: int = number(-128, 127)
    output_zero: int = number(-128, 127)
    low: int = number(-128, 127)
    high: int = number(-128, 127)
    absorbed: Tensor = field(init=False, repr=False)
    """The bias for sums of x * w alone, int32: the zero point is taken into it."""

    outputs_axis: ClassVar[int] = 0

    def check(self) -> None:
        """Raise InvalidNetwork unless all fits, and every possible sum fits int32."""
        by_output = np.moveaxis(self.weights, self.outputs_axis, 0)
        rows = by_output.reshape(len(by_output), -1).astype(np.int64)
        if any(len(part) != len(rows) for part in (self.bias, *self.scaling())):
            raise InvalidNetwork(
                _("a {op} needs a bias and a scaling for each output").format(op=self.op)
            )
        if rows.shape[1] > MAX_SUM_LENGTH:
            raise InvalidNetwork(
                _("a sum of more than {MAX_SUM_LENGTH} products is too long: {length}").format(
                    length=rows.shape[1], MAX_SUM_LENGTH=MAX_SUM_LENGTH
                )
            )
        check_range(self.low, self.high)
        absorbed = self.bias.astype(np.int64) - self.input_zero * rows.sum(axis=1)
        magnitude = np.abs(rows).sum(axis=1)
        most = np.maximum(
            128 * magnitude + np.abs(absorbed), 255 * magnitude + np.abs(self.bias.astype(np.int64))
        )
        if (most >= INT32).any():
            raise InvalidNetwork(_("a sum could overflow int32: bias or weights are too large"))
        self.check_scaling(most)
        object.__setattr__(self, "absorbed", absorbed.astype(np.int32))

    @abstractmethod
    def scaling(self) -> tuple[Tensor, Tensor]:
        """Return what brings each output's sums to int8."""

    @abstractmethod
    def check_scaling(self, most: npt.NDArray[np.int64]) -> None:
        """Raise InvalidNetwork unless sums of these magnitudes can be scaled."""

    def scratch_bytes(self, *inputs: Form) -> int:
        """Return that of the sums."""
        return 4 * self.output(*inputs).entries

    @abstractmethod
    def sums(self, do: Backend, *inputs: Values) -> Sums:
        """Return the sums, places x outputs, without bias."""

    @abstractmethod
    def scaled(self, do: Backend, sums: Sums) -> Values:
        """Return int8 from the sums."""

    def finish(self, do: Backend, inputs: tuple[Values, ...], sums: Sums) -> Values:
        """Return the output from the sums."""
        x = inputs[0]
        form = self.output(Form(x.shape[1:]))
        return self.scaled(do, sums).reshape(len(x), *form.shape)

    def run(self, do: Backend, *inputs: Values) -> Values:
        """Sums, and their rescaling."""
        return self.finish(do, inputs, self.sums(do, *inputs))


@dataclass(frozen=True, slots=True, eq=False)
class FullyConnected(Weighted):
    """Weights, outputs x features; the input is cut into rows of as many features.

    LiteRT's reference kernel scales these sums in float64 and rounds once, halves away from zero; the
    integers here give the same int8 for every sum (tflite/scales.py chooses them).
    """

    op: ClassVar[str] = "fully_connected"
    weights: Tensor = array("i1", 2)
    multiplier: Tensor = array("i8")
    shift: Tensor = array("u1")
    keep_dims: int = number(0, 1)

    def scaling(self) -> tuple[Tensor, Tensor]:
        """Multiplier and shift."""
        return self.multiplier, self.shift

    def check_scaling(self, most: npt.NDArray[np.int64]) -> None:
        """Raise InvalidNetwork unless multiplier * sum stays below 2^62."""
        products = zip(self.multiplier.tolist(), most.tolist(), strict=True)
        require(
            int(self.multiplier.min()) >= 0
            and int(self.shift.max()) <= MOST_SHIFT
            and all(a * b < 1 << 62 for a, b in products),
            _("a multiplier times a sum must stay below 2^62, and a shift is at most 62"),
        )

    def output(self, *inputs: Form) -> Form:
        """Rows x outputs; the last side alone replaced with keep_dims."""
        (x,) = inputs
        require_bytes(x, self.op)
        outputs, features = self.weights.shape
        if x.entries % features or (self.keep_dims and x.shape[-1:] != (features,)):
            raise InvalidNetwork(
                ngettext(
                    "a dense layer of {features} feature gets {text}",
                    "a dense layer of {features} features gets {text}",
                    features,
                ).format(features=features, text=text(x.shape))
            )
        rows = x.shape[:-1] if self.keep_dims else (x.entries // features,)
        return Form((*rows, outputs))

    def cost(self, *inputs: Form) -> int:
        """Return one for each weight and row."""
        return self.output(*inputs).entries * self.weights.shape[1]

    def operands(self, do: Backend, *inputs: Values) -> list[Operands]:  # noqa: ARG002
        """The rows and the weights."""
        return [(inputs[0].reshape(-1, self.weights.shape[1]), self.weights)]

    def sums(self, do: Backend, *inputs: Values) -> Sums:
        """One product."""
        return multiplied(do, self.operands(do, *inputs))

    def scaled(self, do: Backend, sums: Sums) -> Values:
        """Rounded once."""
        to = RequantiseOnce(
            self.absorbed, self.multiplier, self.shift, self.output_zero, self.low, self.high
        )
        return do.kernels.requantise_once(sums, to)


@dataclass(frozen=True, slots=True, eq=False)
class WideFullyConnected(FullyConnected):
    """The same to 16 bits, as int32: what a normalisation takes needs no int8, which has outliers."""

    op: ClassVar[str] = "wide_fully_connected"

    def check(self) -> None:
        """Raise InvalidNetwork where a bound or a zero point of int8 is set."""
        FullyConnected.check(self)
        require(
            (self.low, self.high, self.output_zero) == (-128, 127, 0),
            _("a {op} has no bounds, and the zero point 0").format(op=self.op),
        )

    def output(self, *inputs: Form) -> Form:
        """Those of a fully connected layer, int32."""
        return Form(FullyConnected.output(self, *inputs).shape, 4)

    def scaled(self, do: Backend, sums: Sums) -> Values:  # noqa: ARG002
        """Rounded once, in int64."""
        whole = sums.astype(np.int64) + self.absorbed
        shift = self.shift.astype(np.int64)
        magnitude = (np.abs(whole) * self.multiplier + ((np.int64(1) << shift) >> 1)) >> shift
        return np.clip(np.sign(whole) * magnitude, -WIDE, WIDE - 1).astype(np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class BatchMatMul(Operator):
    """The product of two values: ... x m x k by ... x k x n; leading sides are broadcast."""

    op: ClassVar[str] = "batch_matmul"
    least_inputs: ClassVar[int] = 2
    most_inputs: ClassVar[int] = 2
    left_zero: int = number(-128, 127)
    right_zero: int = number(-128, 127)
    multiplier: int = number(0, INT32 - 1)
    exponent: int = number(LEAST_EXPONENT, MOST_EXPONENT)
    output_zero: int = number(-128, 127)
    low: int = number(-128, 127)
    high: int = number(-128, 127)

    def check(self) -> None:
        """Raise InvalidNetwork where no value is left."""
        check_range(self.low, self.high)

    def output(self, *inputs: Form) -> Form:
        """... x m x n."""
        a, b = inputs
        require_bytes(a, self.op)
        require_bytes(b, self.op)
        if min(len(a.shape), len(b.shape)) < 2 or a.shape[-1] != b.shape[-2]:
            raise InvalidNetwork(
                _("there is no product of {a} and {b}").format(a=text(a.shape), b=text(b.shape))
            )
        depth = a.shape[-1]
        require(
            depth <= MAX_SUM_LENGTH and (255 * 255 * depth) << max(0, self.exponent) < INT32,
            _("a sum could overflow int32: bias or weights are too large"),
        )
        lead = broadcast(a.shape[:-2], b.shape[:-2])
        return Form((*lead, a.shape[-2], b.shape[-1]))

    def cost(self, *inputs: Form) -> int:
        """Return k for each entry, and a call for each pair."""
        entries, (m, k), n = self.output(*inputs).entries, inputs[0].shape[-2:], inputs[1].shape[-1]
        return entries * k + entries // (m * n) * CALL_COST

    def scratch_bytes(self, *inputs: Form) -> int:
        """Return that of the sums, and of each pair: both are copied where they are broadcast."""
        entries, (m, k), n = self.output(*inputs).entries, inputs[0].shape[-2:], inputs[1].shape[-1]
        return 32 * entries + entries // (m * n) * (m * k + 2 * n * k + PAIR_BYTES)

    def run(self, do: Backend, *inputs: Values) -> Values:
        """One product for each pair of matrices."""
        return self.finish(do, inputs, self.sums(do, *inputs))

    def sums(self, do: Backend, *inputs: Values) -> Sums:
        """Return sums of a * b without zero points, pairs * m x n."""
        return multiplied(do, self.operands(do, *inputs))

    def operands(self, do: Backend, *inputs: Values) -> list[Operands]:  # noqa: ARG002
        """Each pair of matrices."""
        return list(zip(*self.pairs(*inputs), strict=True))

    def pairs(self, left: Values, right: Values) -> tuple[Values, Values]:
        """Return pairs x m x k and pairs x n x k, broadcast."""
        a, b = aligned(left, right)
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        a = np.broadcast_to(a, (*lead, *a.shape[-2:])).reshape(-1, *a.shape[-2:])
        b = np.broadcast_to(b, (*lead, *b.shape[-2:])).reshape(-1, *b.shape[-2:])
        return a, np.ascontiguousarray(b.transpose(0, 2, 1))

    def finish(self, do: Backend, inputs: tuple[Values, ...], sums: Sums) -> Values:
        """Return the output from the sums: the zero points are taken off here."""
        a, b = self.pairs(*inputs)
        depth = a.shape[2]
        rows = self.right_zero * a.sum(axis=2, dtype=np.int64)[:, :, np.newaxis]
        columns = self.left_zero * b.sum(axis=2, dtype=np.int64)[:, np.newaxis, :]
        whole = sums.reshape(len(a), a.shape[1], b.shape[1]) - rows - columns
        whole += depth * self.left_zero * self.right_zero
        to = one_scale(self)
        n = max(len(inputs[0]), len(inputs[1]))
        form = self.output(*(Form(x.shape[1:]) for x in inputs))
        out = do.kernels.requantise(whole.astype(np.int32).reshape(-1, 1), to)
        return out.reshape(n, *form.shape)


def multiplied(do: Backend, operands: list[Operands]) -> Sums:
    """Return A B^T of all these, one below the other."""
    products = [do.multiply(A, B) for A, B in operands]
    return products[0] if len(products) == 1 else np.concatenate(products)


def one_scale(op: Any) -> Requantise:
    """Return the rescaling of an operator with one multiplier for all entries."""
    return Requantise(
        np.zeros(1, np.int32),
        np.array([op.multiplier], np.int32),
        np.array([op.exponent], np.int8),
        op.output_zero,
        op.low,
        op.high,
    )


def check_range(low: int, high: int) -> None:
    """Raise InvalidNetwork where no value is left."""
    if low > high:
        raise InvalidNetwork(_("low = {low} is above high = {high}").format(low=low, high=high))


def broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape that both are broadcast to. Raise InvalidNetwork."""
    try:
        return np.broadcast_shapes(a, b)
    except ValueError:
        raise InvalidNetwork(
            _("{a} and {b} cannot be broadcast together").format(a=text(a), b=text(b))
        ) from None


def aligned(a: Values, b: Values) -> tuple[Values, Values]:
    """Return both with as many dimensions, so that numpy broadcasts samples with samples."""
    rank = max(a.ndim, b.ndim)
    left, right = (x.reshape(len(x), *(1,) * (rank - x.ndim), *x.shape[1:]) for x in (a, b))
    return left, right
