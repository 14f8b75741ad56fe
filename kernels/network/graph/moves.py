"""Operators that only move entries: no arithmetic, so numpy is exact and fast enough everywhere."""

import math
from dataclasses import dataclass
from gettext import gettext as _
from typing import ClassVar

import numpy as np

from kernels.errors import InvalidNetwork
from kernels.network.graph.backend import Backend
from kernels.network.graph.fields import MAX_RANK, Tensor, array, number, numbers
from kernels.network.graph.operator import (
    MAX_SIDE,
    Form,
    Operator,
    Values,
    require,
    require_image,
    text,
)

MAX_JOINED = 64
MAX_STEP = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Moved(Operator):
    """Takes a copy, at most."""

    def scratch_bytes(self, *inputs: Form) -> int:  # noqa: ARG002
        """Nothing besides the output."""
        return 0


@dataclass(frozen=True, slots=True, eq=False)
class Constant(Moved):
    """A value that is the same for all samples, int8."""

    op: ClassVar[str] = "constant"
    least_inputs: ClassVar[int] = 0
    most_inputs: ClassVar[int] = 0
    value: Tensor = array("i1", None)

    def output(self, *inputs: Form) -> Form:  # noqa: ARG002
        """Its own."""
        return Form(self.value.shape)

    def run(self, do: Backend, *inputs: Values) -> Values:  # noqa: ARG002
        """For one sample, to be broadcast."""
        return self.value[np.newaxis]


@dataclass(frozen=True, slots=True, eq=False)
class Reshape(Moved):
    """The same entries in C order in another shape."""

    op: ClassVar[str] = "reshape"
    shape: tuple[int, ...] = numbers(1, MAX_SIDE)

    def output(self, *inputs: Form) -> Form:
        """The shape, of as many entries."""
        if math.prod(self.shape) != inputs[0].entries:
            raise InvalidNetwork(
                _("{a} cannot take the shape {b}").format(
                    a=text(inputs[0].shape), b=text(self.shape)
                )
            )
        return Form(self.shape, inputs[0].entry_bytes)

    def run(self, do: Backend, *inputs: Values) -> Values:  # noqa: ARG002
        """No entry is touched."""
        return inputs[0].reshape(len(inputs[0]), *self.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Transpose(Moved):
    """Side i of the output is side order[i] of the input."""

    op: ClassVar[str] = "transpose"
    order: tuple[int, ...] = numbers(0, MAX_RANK - 1)

    def output(self, *inputs: Form) -> Form:
        """The sides in that order."""
        shape = inputs[0].shape
        require(
            sorted(self.order) == list(range(len(shape))),
            _("an order of dimensions must name each once"),
        )
        return Form(tuple(shape[i] for i in self.order), inputs[0].entry_bytes)

    def run(self, do: Backend, *inputs: Values) -> Values:  # noqa: ARG002
        """Copied in the new order."""
        return np.ascontiguousarray(inputs[0].transpose(0, *(1 + i for i in self.order)))


@dataclass(frozen=True, slots=True, eq=False)
class Slice(Moved):
    """Entries begin, begin + step, ... of each side, `size` of them; a step may be negative."""

    op: ClassVar[str] = "slice"
    begin: tuple[int, ...] = numbers(0, MAX_SIDE)
    size: tuple[int, ...] = numbers(1, MAX_SIDE)
    step: tuple[int, ...] = numbers(-MAX_SIDE, MAX_SIDE)

    def output(self, *inputs: Form) -> Form:
        """The size."""
        shape = inputs[0].shape
        fits = len(shape) == len(self.begin) == len(self.size) == len(self.step) and all(
            begin < side and 0 <= begin + (size - 1) * step < side and step != 0
            for side, begin, size, step in zip(shape, self.begin, self.size, self.step, strict=True)
        )
        require(fits, _("a slice lies outside {text}").format(text=text(shape)))
        return Form(self.size, inputs[0].entry_bytes)

    def run(self, do: Backend, *inputs: Values) -> Values:  # noqa: ARG002
        """A copy."""
        cut = tuple(
            slice(begin, end if (end := begin + size * step) >= 0 else None, step)
            for begin, size, step in zip(self.begin, self.size, self.step, strict=True)
        )
        return np.ascontiguousarray(inputs[0][(slice(None), *cut)])


@dataclass(frozen=True, slots=True, eq=False)
class Pad(Moved):
    """`before` and `after` entries of `value` around each side."""

    op: ClassVar[str] = "pad"
    before: tuple[int, ...] = numbers(0, MAX_SIDE)
    after: tuple[int, ...] = numbers(0, MAX_SIDE)
    value: int = number(-128, 127)

    def output(self, *inputs: Form) -> Form:
        """The sides, longer."""
        shape = inputs[0].shape
        require(
            len(shape) == len(self.before) == len(self.after),
            _("a padding needs two numbers for each side of {text}").format(text=text(shape)),
        )
        sides = zip(shape, self.before, self.after, strict=True)
        return Form(tuple(map(sum, sides)), inputs[0].entry_bytes)

    def run(self, do: Backend, *inputs: Values) -> Values:  # noqa: ARG002
        """A larger copy."""
        around = ((0, 0), *zip(self.before, self.after, strict=True))
        return np.pad(inputs[0], around, constant_values=self.value)


@dataclass(frozen=True, slots=True, eq=False)
class Spread(Moved):
    """An image's entries `step` apart, downwards and across, with `value` between them."""

    op: ClassVar[str] = "spread"
    step: tuple[int, ...] = numbers(1, MAX_STEP, 2)
    value: int = number(-128, 127)

    def output(self, *inputs: Form) -> Form:
        """Height and width, longer."""
        batch, height, width, channels = require_image(inputs[0], self.op)
        down, across = self.step
        return Form((batch, (height - 1) * down + 1, (width - 1) * across + 1, channels))

    def run(self, do: Backend, *inputs: Values) -> Values:  # noqa: ARG002
        """A larger copy."""
        (x,) = inputs
        form = self.output(Form(x.shape[1:]))
        out = np.full((len(x), *form.shape), self.value, np.int8)
        out[:, :, :: self.step[0], :: self.step[1]] = x
        return out


@dataclass(frozen=True, slots=True, eq=False)
class Concatenate(Moved):
    """Inputs side by side along `axis`; LiteRT wants one scale for all of them."""

    op: ClassVar[str] = "concatenate"
    most_inputs: ClassVar[int] = MAX_JOINED
    axis: int = number(0, MAX_RANK - 1)

    def output(self, *inputs: Form) -> Form:
        """The sides of the first, but for the axis."""
        first = inputs[0]

        def rest(form: Form) -> tuple[object, ...]:
            return (*form.shape[: self.axis], *form.shape[self.axis + 1 :], form.entry_bytes)

        if self.axis >= len(first.shape) or any(
            len(one.shape) != len(first.shape) or rest(one) != rest(first) for one in inputs
        ):
            raise InvalidNetwork(
                _("these cannot be put side by side: {texts}").format(
                    texts=", ".join(text(one.shape) for one in inputs)
                )
            )
        along = sum(one.shape[self.axis] for one in inputs)
        shape = first.shape
        return Form((*shape[: self.axis], along, *shape[self.axis + 1 :]), first.entry_bytes)

    def run(self, do: Backend, *inputs: Values) -> Values:  # noqa: ARG002
        """A copy of all."""
        n = max(map(len, inputs))
        whole = [np.broadcast_to(x, (n, *x.shape[1:])) for x in inputs]
        return np.concatenate(whole, axis=1 + self.axis)


@dataclass(frozen=True, slots=True, eq=False)
class Take(Moved):
    """Entries `places` of a side, as often as they are named: a gather, or a nearest resize."""

    op: ClassVar[str] = "take"
    axis: int = number(0, MAX_RANK - 1)
    places: Tensor = array("i4")

    def output(self, *inputs: Form) -> Form:
        """As many as there are places."""
        shape = inputs[0].shape
        require(
            self.axis < len(shape)
            and int(self.places.min()) >= 0
            and int(self.places.max()) < shape[self.axis],
            _("a place lies outside {text}").format(text=text(shape)),
        )
        sides = (*shape[: self.axis], len(self.places), *shape[self.axis + 1 :])
        return Form(sides, inputs[0].entry_bytes)

    def run(self, do: Backend, *inputs: Values) -> Values:  # noqa: ARG002
        """A copy."""
        return np.take(inputs[0], self.places, axis=1 + self.axis)


@dataclass(frozen=True, slots=True, eq=False)
class Embed(Moved):
    """Row i of a table for each int32 i of the input; an i outside is brought to the nearest row."""

    op: ClassVar[str] = "embed"
    rows: Tensor = array("i1", 2)

    def output(self, *inputs: Form) -> Form:
        """The input's sides, and a row's."""
        require(inputs[0].entry_bytes == 4, _("{what} takes int32").format(what=self.op))
        return Form((*inputs[0].shape, self.rows.shape[1]))

    def run(self, do: Backend, *inputs: Values) -> Values:  # noqa: ARG002
        """A copy."""
        return self.rows[np.clip(inputs[0], 0, len(self.rows) - 1)]
