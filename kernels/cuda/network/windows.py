"""Kernels that look through a window: patches for a product, depthwise sums, pools, enlargement.

`numbers` begins with the window over images of height x width x channels:
"""

from typing import Any

from kernels.cuda.compiler import int8, int32, int64, uint32
from kernels.cuda.intrinsics import load, load4, store, store4
from kernels.cuda.network.fixed import clamp
from kernels.cuda.network.kernel import NetworkKernel, device, first, network_kernel, step
from kernels.cuda.network.words import add_products, divided, four_scaled

FIELDS = (
    "height", "width", "channels", "down", "across", "rows", "columns",
    "stride_down", "stride_across", "top", "left", "apart_down", "apart_across",
)  # fmt: skip
(
    HEIGHT, WIDTH, CHANNELS, DOWN, ACROSS, ROWS, COLUMNS,
    STRIDE_DOWN, STRIDE_ACROSS, TOP, LEFT, APART_DOWN, APART_ACROSS,
) = range(len(FIELDS))  # fmt: skip
REST = len(FIELDS)
"""Where the numbers of the kernel itself begin."""


@device
def corner(place: Any, numbers: Any) -> Any:
    """First row of the image of a place's window, counted down all images, its y, and its x.

    Places are counted across, then down, then image after image.
    """
    line, column = divided(place, numbers[ACROSS])
    image, line = divided(line, numbers[DOWN])
    y = line * int32(numbers[STRIDE_DOWN]) - int32(numbers[TOP])
    x = column * int32(numbers[STRIDE_ACROSS]) - int32(numbers[LEFT])
    return int32(image * int32(numbers[HEIGHT])), int32(y), int32(x)


@device
def entry_at(at: Any, row: Any, column: Any, numbers: Any) -> Any:
    """Number of the image's pixel that this entry of a window at a corner lies on, -1 outside of it."""
    y = int32(at[1] + row * int32(numbers[APART_DOWN]))
    x = int32(at[2] + column * int32(numbers[APART_ACROSS]))
    height, width = int32(numbers[HEIGHT]), int32(numbers[WIDTH])
    if y < 0 or y >= height or x < 0 or x >= width:
        return int32(-1)
    return int32(int32(at[0] + y) * width + x)


def _patches(kind: str) -> NetworkKernel:
    """Return the kernel for entries of 1 byte, or for four channels at a time as entries of 4."""

    @network_kernel(kind, "i8[]", kind, "n", "n", "n", name=f"patches {kind[:2]}")
    def kernel(x: Any, numbers: Any, out: Any, channels: Any, outside: Any, count: Any) -> None:
        """A row for each place: what its window sees."""
        columns = int32(numbers[COLUMNS])
        seen = int32(columns * int32(numbers[ROWS]))
        for i in range(first(), count, step()):
            entry, channel = divided(i, channels)
            place, within = divided(entry, seen)
            row, column = divided(within, columns)
            at = entry_at(corner(place, numbers), row, column, numbers)
            if at >= 0:
                out[i] = x[int64(at) * channels + channel]
            else:
                out[i] = int32(outside)

    return kernel


PATCHES = {size: _patches(f"i{size}[]") for size in (1, 4)}
"""By bytes of an entry."""


@network_kernel("i1[]", "i1[]", "i8[]", "i4[]", "n", name="depthwise")
def depthwise_kernel(x: Any, weights: Any, numbers: Any, sums: Any, count: Any) -> None:
    """Sums of x * w. After the window: what x is outside of the image, and outputs of a channel."""
    channels, zero, multiple = numbers[CHANNELS], int32(numbers[REST]), numbers[REST + 1]
    outputs = channels * multiple
    for i in range(first(), count, step()):
        place, output = divided(i, outputs)
        channel, _ = divided(output, multiple)
        at, total = corner(place, numbers), int32(0)
        for row in range(numbers[ROWS]):
            for column in range(numbers[COLUMNS]):
                entry = entry_at(at, row, column, numbers)
                seen = zero
                if entry >= 0:
                    seen = int32(x[int64(entry) * channels + channel])
                weight = weights[(row * numbers[COLUMNS] + column) * outputs + output]
                total = int32(total + seen * int32(weight))
        sums[i] = total


@network_kernel("w", "w", "i8[]", "w", "w", "n", "n", "n", "n", "n", name="depthwise fours")
def depthwise_fours_kernel(
    x: Any, weights: Any, numbers: Any, scaling: Any, out: Any,
    outside: Any, zero: Any, low: Any, high: Any, count: Any,
) -> None:  # fmt: skip
    """Four channels a thread, one output each, as int8. `outside`: four entries of what is there."""
    channels = numbers[CHANNELS]
    rows, columns = int32(numbers[ROWS]), int32(numbers[COLUMNS])
    none, zero = uint32(outside), uint32(zero)
    low, high = uint32(low), uint32(high)
    for i in range(first(), count, step()):
        place, four = divided(i, channels >> 2)
        at, weight_at = corner(place, numbers), int64(four) * 4
        sums = (uint32(0), uint32(0), uint32(0), uint32(0))
        for row in range(rows):
            for column in range(columns):
                entry = entry_at(at, row, column, numbers)
                seen = none
                if entry >= 0:
                    seen = load(x, int64(int64(entry) * channels + int64(four) * 4))
                sums = add_products(sums, seen, load(weights, weight_at))
                weight_at = int64(weight_at + channels)
        store(out, int64(i) * 4, four_scaled(sums, scaling, four, channels, zero, low, high))


@network_kernel("w", "w", "i8[]", "w", "w", "n", "n", "n", "n", "n", name="depthwise sixteens")
def depthwise_sixteens_kernel(
    x: Any, weights: Any, numbers: Any, scaling: Any, out: Any,
    outside: Any, zero: Any, low: Any, high: Any, count: Any,
) -> None:  # fmt: skip
    """The same for sixteen channels a thread: where an entry lies is found once for all of them."""
    channels = numbers[CHANNELS]
    rows, columns = int32(numbers[ROWS]), int32(numbers[COLUMNS])
    none, zero = uint32(outside), uint32(zero)
    low, high, nothing = uint32(low), uint32(high), uint32(0)
    for i in range(first(), count, step()):
        place, chunk = divided(i, channels >> 4)
        at, weight_at = corner(place, numbers), int64(chunk) * 16
        a = b = c = d = (nothing, nothing, nothing, nothing)
        for row in range(rows):
            for column in range(columns):
                entry = entry_at(at, row, column, numbers)
                seen = (none, none, none, none)
                if entry >= 0:
                    seen = load4(x, int64(int64(entry) * channels + int64(chunk) * 16))
                by = load4(weights, weight_at)
                a, b = add_products(a, seen[0], by[0]), add_products(b, seen[1], by[1])
                c, d = add_products(c, seen[2], by[2]), add_products(d, seen[3], by[3])
                weight_at = int64(weight_at + channels)
        four = int32(chunk * 4)
        store4(
            out, int64(i) * 16,
            four_scaled(a, scaling, four, channels, zero, low, high),
            four_scaled(b, scaling, int32(four + 1), channels, zero, low, high),
            four_scaled(c, scaling, int32(four + 2), channels, zero, low, high),
            four_scaled(d, scaling, int32(four + 3), channels, zero, low, high),
        )  # fmt: skip


@network_kernel("i1[]", "i8[]", "i1[]", "n", name="pool")
def pool_kernel(x: Any, numbers: Any, out: Any, count: Any) -> None:
    """The largest entry, or the mean. After the window: 1 for the mean, low, high."""
    channels = numbers[CHANNELS]
    for i in range(first(), count, step()):
        place, channel = divided(i, channels)
        at = corner(place, numbers)
        total, most, seen = int32(0), int32(-128), int32(0)
        for row in range(numbers[ROWS]):
            for column in range(numbers[COLUMNS]):
                entry = entry_at(at, row, column, numbers)
                if entry >= 0:
                    value = int32(x[int64(entry) * channels + channel])
                    total = int32(total + value)
                    most = max(most, value)
                    seen = int32(seen + 1)
        if numbers[REST] > 0:
            most, _ = divided(abs(total) + (seen >> 1), seen)
            if total < 0:
                most = int32(-most)
        out[i] = int8(clamp(int64(most), numbers[REST + 1], numbers[REST + 2]))


@network_kernel("i1[]", "i8[]", "i1[]", "n", "n", "n", "n", "n", "n", name="resize")
def resize_kernel(
    x: Any, places: Any, out: Any,
    height: Any, width: Any, channels: Any, down: Any, across: Any, count: Any,
) -> None:  # fmt: skip
    """Bilinear, in 1/1024. `places`: upper, lower and weight of each row; left, right and weight of
    each column.
    """
    for i in range(first(), count, step()):
        c, pixel = i % channels, i // channels
        column, row = pixel % across, pixel // across % down
        image = pixel // (across * down) * height
        low, high = (image + places[row]) * width, (image + places[down + row]) * width
        y, at = places[2 * down + row], 3 * down + column
        left, right, z = places[at], places[at + across], places[at + 2 * across]
        one = int64(x[(low + left) * channels + c]) * (1024 - y)
        one += int64(x[(high + left) * channels + c]) * y
        other = int64(x[(low + right) * channels + c]) * (1024 - y)
        other += int64(x[(high + right) * channels + c]) * y
        total = one * (1024 - z) + other * z
        magnitude = (abs(total) + (1 << 19)) >> 20
        if total < 0:
            magnitude = -magnitude
        out[i] = int8(magnitude)
