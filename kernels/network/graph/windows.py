"""Pools, means, the bilinear enlargement and argmax: sums and comparisons, in numpy throughout."""

from collections.abc import Iterator
from dataclasses import dataclass
from gettext import gettext as _
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from kernels.network import Window
from kernels.network.graph.backend import Backend
from kernels.network.graph.convolutions import padded_entries, places, window_of
from kernels.network.graph.fields import MAX_RANK, number, numbers
from kernels.network.graph.operator import (
    MAX_SIDE,
    Form,
    Operator,
    Values,
    require,
    require_bytes,
    require_image,
)
from kernels.network.graph.products import (
    CALL_COST,
    LEAST_EXPONENT,
    MAX_WINDOW,
    check_range,
    one_scale,
)

_INT32 = 1 << 31


@dataclass(frozen=True, slots=True, eq=False)
class Pool(Operator):
    """What lies in a window and in the image, made one entry for each channel."""

    size: tuple[int, ...] = numbers(1, MAX_WINDOW, 2)
    stride: tuple[int, ...] = numbers(1, MAX_WINDOW, 2)
    padding: tuple[int, ...] = numbers(0, MAX_WINDOW, 4)
    low: int = number(-128, 127)
    high: int = number(-128, 127)

    def check(self) -> None:
        """Raise InvalidNetwork where no value is left, or a window could see nothing."""
        check_range(self.low, self.high)

    @property
    def window(self) -> Window:
        """Without dilation."""
        return window_of(self.size, self.stride, (1, 1), self.padding)

    def output(self, *inputs: Form) -> Form:
        """Places of the window."""
        batch, height, width, channels = require_image(inputs[0], self.op)
        return Form((batch, *places(self.window, height, width), channels))

    def cost(self, *inputs: Form) -> int:
        """Return each entry of the window at each place, and numpy's call for each."""
        return (self.output(*inputs).entries + CALL_COST) * self.size[0] * self.size[1]

    def scratch_bytes(self, *inputs: Form) -> int:
        """Return the padded input's, as int32, and sums'."""
        padded = padded_entries(inputs[0], self.padding)
        return 12 * self.output(*inputs).entries + 4 * (inputs[0].entries + padded)

    def seen(self, x: Values, outside: int, dtype: type) -> Iterator[npt.NDArray[np.integer]]:
        """Yield, for each entry of the window, what lies under it at every place."""
        window = self.window
        top, left, bottom, right = window.padding
        images: npt.NDArray[np.integer] = x.reshape(-1, *x.shape[2:]).astype(dtype)
        down, across = window.positions(images.shape[1], images.shape[2])
        if any(window.padding):
            around = ((0, 0), (top, bottom), (left, right), (0, 0))
            images = np.pad(images, around, constant_values=outside)
        for i in range(window.height):
            for j in range(window.width):
                rows = slice(i, i + (down - 1) * window.stride[0] + 1, window.stride[0])
                columns = slice(j, j + (across - 1) * window.stride[1] + 1, window.stride[1])
                yield images[:, rows, columns]


@dataclass(frozen=True, slots=True, eq=False)
class MaxPool(Pool):
    """The largest entry."""

    op: ClassVar[str] = "max_pool"

    def run(self, do: Backend, *inputs: Values) -> Values:  # noqa: ARG002
        """One comparison of all outputs for each entry of the window."""
        (x,) = inputs
        parts = self.seen(x, -128, np.int8)
        most = next(parts).copy()
        for part in parts:
            np.maximum(most, part, out=most)
        out = np.clip(most, self.low, self.high).astype(np.int8)
        return out.reshape(len(x), *self.output(Form(x.shape[1:])).shape)


@dataclass(frozen=True, slots=True, eq=False)
class AveragePool(Pool):
    """The mean of what lies in the image, rounded half away from zero."""

    op: ClassVar[str] = "average_pool"

    def run(self, do: Backend, *inputs: Values) -> Values:  # noqa: ARG002
        """One addition of all outputs for each entry of the window."""
        (x,) = inputs
        shape = self.output(Form(x.shape[1:])).shape
        sums = np.zeros((len(x) * shape[0], *shape[1:]), np.int32)
        for part in self.seen(x, 0, np.int8):
            sums += part
        inside = np.ones((1, 1, *x.shape[2:4], 1), np.int32)
        counts = sum(self.seen(inside, 0, np.int32))
        magnitude = (np.abs(sums) + counts // 2) // counts
        out = np.clip(np.sign(sums) * magnitude, self.low, self.high).astype(np.int8)
        return out.reshape(len(x), *shape)


@dataclass(frozen=True, slots=True, eq=False)
class Sum(Operator):
    """The sum over some sides of x - zero, scaled: with 1/count in its scale it is a mean."""

    op: ClassVar[str] = "sum"
    axes: tuple[int, ...] = numbers(0, MAX_RANK - 1)
    keep_dims: int = number(0, 1)
    input_zero: int = number(-128, 127)
    multiplier: int = number(0, _INT32 - 1)
    exponent: int = number(LEAST_EXPONENT, 30)
    output_zero: int = number(-128, 127)
    low: int = number(-128, 127)
    high: int = number(-128, 127)

    def check(self) -> None:
        """Raise InvalidNetwork for a side that is named twice."""
        require(len(set(self.axes)) == len(self.axes), _("a dimension is named twice"))
        check_range(self.low, self.high)

    def output(self, *inputs: Form) -> Form:
        """The other sides, and ones where they are kept."""
        (x,) = inputs
        require_bytes(x, self.op)
        require(all(axis < len(x.shape) for axis in self.axes), _("there is no such dimension"))
        shape = tuple(
            1 if i in self.axes else side
            for i, side in enumerate(x.shape)
            if self.keep_dims or i not in self.axes
        )
        count = x.entries // Form(shape).entries
        require(
            (255 * count) << max(0, self.exponent) < _INT32,
            _("a sum could overflow int32: bias or weights are too large"),
        )
        return Form(shape)

    def cost(self, *inputs: Form) -> int:
        """Return each entry once."""
        return inputs[0].entries

    def run(self, do: Backend, *inputs: Values) -> Values:
        """Numpy's sum."""
        (x,) = inputs
        form = self.output(Form(x.shape[1:]))
        count = x[0].size // form.entries
        sums = x.sum(axis=tuple(1 + axis for axis in self.axes), dtype=np.int32)
        sums = sums.reshape(-1, 1) - np.int32(count * self.input_zero)
        return do.kernels.requantise(sums, one_scale(self)).reshape(len(x), *form.shape)


@dataclass(frozen=True, slots=True, eq=False)
class ResizeBilinear(Operator):
    """LiteRT's ResizeBilinearInteger: positions in 1/1024, weights of four neighbours in integers."""

    op: ClassVar[str] = "resize_bilinear"
    size: tuple[int, ...] = numbers(1, MAX_SIDE, 2)
    align_corners: int = number(0, 1)
    half_pixel: int = number(0, 1)

    def check(self) -> None:
        """Raise InvalidNetwork for both kinds of alignment at once."""
        require(not (self.align_corners and self.half_pixel), _("corners or half pixels, not both"))

    def output(self, *inputs: Form) -> Form:
        """The new height and width."""
        batch, height, width, channels = require_image(inputs[0], self.op)
        require(max(height, width, *self.size) < 1 << 20, _("an image is too large to be resized"))
        return Form((batch, *self.size, channels))

    def cost(self, *inputs: Form) -> int:
        """Return two for each entry, and for each on the way: the new height, the old width."""
        return 2 * (self.output(*inputs).entries + self._rows(inputs[0]))

    def scratch_bytes(self, *inputs: Form) -> int:
        """Return that of sums and neighbours, on the way too."""
        on_the_way = inputs[0].entries + 4 * self._rows(inputs[0])
        return 48 * self.output(*inputs).entries + 8 * on_the_way

    def _rows(self, x: Form) -> int:
        batch, _height, width, channels = x.shape
        return batch * self.size[0] * width * channels

    def run(self, do: Backend, *inputs: Values) -> Values:  # noqa: ARG002
        """First along the height, then along the width, in integers."""
        (x,) = inputs
        y0, y1, down = self.places(x.shape[2], self.size[0])
        x0, x1, across = self.places(x.shape[3], self.size[1])
        down, across = down[:, np.newaxis, np.newaxis], across[:, np.newaxis]
        wide = x.astype(np.int64)
        rows = wide[:, :, y0] * (1024 - down) + wide[:, :, y1] * down
        sums = rows[:, :, :, x0] * (1024 - across) + rows[:, :, :, x1] * across
        magnitude = (np.abs(sums) + (1 << 19)) >> 20
        return (np.sign(sums) * magnitude).astype(np.int8)

    def places(self, side: int, wanted: int) -> tuple[npt.NDArray[np.int64], ...]:
        """Return, for each of `wanted` places, its two neighbours and 1024ths of the second."""
        scale = (1024 * side + wanted // 2) // wanted
        if self.align_corners and wanted > 1:
            scale = (1024 * (side - 1) + (wanted - 1) // 2) // (wanted - 1)
        at = np.arange(wanted, dtype=np.int64) * scale
        if self.half_pixel:
            at = at + scale // 2 - 512
        lower = np.maximum(_towards_zero(at), 0)
        upper = np.minimum(_towards_zero(at + 1023), side - 1)
        return np.minimum(lower, side - 1), np.maximum(upper, 0), at - 1024 * lower


@dataclass(frozen=True, slots=True, eq=False)
class ArgMax(Operator):
    """The first position of the largest entry along the last side, int32."""

    op: ClassVar[str] = "argmax"

    def output(self, *inputs: Form) -> Form:
        """The other sides."""
        require_bytes(inputs[0], self.op)
        require(len(inputs[0].shape) > 0, _("there is no such dimension"))
        return Form(inputs[0].shape[:-1], 4)

    def cost(self, *inputs: Form) -> int:
        """Return each entry once."""
        return inputs[0].entries

    def run(self, do: Backend, *inputs: Values) -> Values:  # noqa: ARG002
        """Numpy's."""
        return inputs[0].argmax(axis=-1).astype(np.int32)


def _towards_zero(at: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.sign(at) * (np.abs(at) // 1024)
