"""Operators on one entry at a time: additions, products, tables, the larger and the smaller of two."""

from dataclasses import dataclass
from gettext import gettext as _
from typing import ClassVar

import numpy as np

from kernels.network.graph.backend import Backend
from kernels.network.graph.fields import Tensor, array, number
from kernels.network.graph.kernels import Side
from kernels.network.graph.operator import Form, Operator, Values, require, require_bytes
from kernels.network.graph.products import (
    LEAST_EXPONENT,
    aligned,
    broadcast,
    check_range,
    one_scale,
)

_MOST = (1 << 31) - 1


@dataclass(frozen=True, slots=True, eq=False)
class Pairwise(Operator):
    """Two int8 values of shapes that can be broadcast together."""

    least_inputs: ClassVar[int] = 2
    most_inputs: ClassVar[int] = 2

    def output(self, *inputs: Form) -> Form:
        """The shape that both are broadcast to."""
        for one in inputs:
            require_bytes(one, self.op)
        return Form(broadcast(inputs[0].shape, inputs[1].shape))


@dataclass(frozen=True, slots=True, eq=False)
class Scaled(Pairwise):
    """With zero points, and a scale to the output."""

    left_zero: int = number(-128, 127)
    right_zero: int = number(-128, 127)
    multiplier: int = number(0, _MOST)
    exponent: int = number(LEAST_EXPONENT, 15)
    output_zero: int = number(-128, 127)
    low: int = number(-128, 127)
    high: int = number(-128, 127)

    def check(self) -> None:
        """Raise InvalidNetwork where no value is left."""
        check_range(self.low, self.high)


@dataclass(frozen=True, slots=True, eq=False)
class Add(Scaled):
    """a + b, or a - b where `sign` is -1, as LiteRT's AddElementwise for int8.

    scaled(x) = MultiplyByQuantizedMultiplier((x - zero) << 20, multiplier, exponent), for both sides
    y = clamp(MultiplyByQuantizedMultiplier(scaled(a) +- scaled(b), multiplier, exponent) + zero)
    """

    op: ClassVar[str] = "add"
    left_multiplier: int = number(0, _MOST)
    left_exponent: int = number(LEAST_EXPONENT, 0)
    right_multiplier: int = number(0, _MOST)
    right_exponent: int = number(LEAST_EXPONENT, 0)
    sign: int = number(-1, 1)

    def check(self) -> None:
        """Raise InvalidNetwork where the sum could overflow."""
        Scaled.check(self)
        require(
            self.sign != 0 and self.exponent <= 1,
            _("the sign is 1 or -1, and the exponent of an addition at most 1"),
        )

    def run(self, do: Backend, *inputs: Values) -> Values:
        """Entry by entry."""
        a, b = np.broadcast_arrays(*aligned(*inputs))
        left = Side(a, self.left_zero, self.left_multiplier, self.left_exponent)
        right = Side(b, self.right_zero, self.right_multiplier, self.right_exponent)
        return do.kernels.add(left, right, self.sign, one_scale(self))


@dataclass(frozen=True, slots=True, eq=False)
class Multiply(Scaled):
    """(a - zero) * (b - zero), scaled, as LiteRT's MulElementwise."""

    op: ClassVar[str] = "multiply"

    def run(self, do: Backend, *inputs: Values) -> Values:
        """Entry by entry."""
        a, b = np.broadcast_arrays(*aligned(*inputs))
        sides = Side(a, self.left_zero), Side(b, self.right_zero)
        return do.kernels.multiply_entries(*sides, one_scale(self))


@dataclass(frozen=True, slots=True, eq=False)
class Larger(Pairwise):
    """The larger of two entries; the smaller where `sign` is -1."""

    op: ClassVar[str] = "larger"
    sign: int = number(-1, 1)

    def check(self) -> None:
        """Raise InvalidNetwork for a sign of 0."""
        require(self.sign != 0, _("the sign is 1 or -1"))

    def run(self, do: Backend, *inputs: Values) -> Values:  # noqa: ARG002
        """Entry by entry."""
        a, b = aligned(*inputs)
        return np.maximum(a, b) if self.sign > 0 else np.minimum(a, b)


@dataclass(frozen=True, slots=True, eq=False)
class Table(Operator):
    """y = table[x + 128]: any function of one entry, such as a sigmoid or another scale."""

    op: ClassVar[str] = "table"
    table: Tensor = array("i1")

    def check(self) -> None:
        """Raise InvalidNetwork unless there is an entry for each int8."""
        require(len(self.table) == 256, _("a table has 256 entries"))

    def output(self, *inputs: Form) -> Form:
        """The input's."""
        require_bytes(inputs[0], self.op)
        return inputs[0]

    def run(self, do: Backend, *inputs: Values) -> Values:  # noqa: ARG002
        """Entry by entry."""
        by_byte = np.roll(self.table, 128)  # -128 is the byte 128
        return by_byte[inputs[0].view(np.uint8)]


@dataclass(frozen=True, slots=True, eq=False)
class ChannelTable(Operator):
    """y = table[c, x + 128], where c is the place along the last side: a table for each channel."""

    op: ClassVar[str] = "channel_table"
    table: Tensor = array("i1", 2)

    def check(self) -> None:
        """Raise InvalidNetwork unless there is an entry for each int8."""
        require(self.table.shape[1] == 256, _("a table has 256 entries"))

    def output(self, *inputs: Form) -> Form:
        """The input's."""
        require_bytes(inputs[0], self.op)
        require(
            inputs[0].shape[-1:] == self.table.shape[:1],
            _("a channel_table needs a row for each entry of the last side"),
        )
        return inputs[0]

    def run(self, do: Backend, *inputs: Values) -> Values:  # noqa: ARG002
        """Entry by entry."""
        by_byte = np.roll(self.table, 128, axis=1)
        return by_byte[np.arange(len(self.table)), inputs[0].view(np.uint8)]
