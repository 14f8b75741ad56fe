"""Kernels that look through a window: patches for a product, depthwise sums, pools, enlargement.

`numbers` begins with the window over images of height x width x channels:
"""

from typing import Any

from kernels.cuda.compiler import int8, int32, int64
from kernels.cuda.network.fixed import clamp
from kernels.cuda.network.kernel import device, first, network_kernel, step

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
def entry_at(place: Any, row: Any, column: Any, numbers: Any) -> Any:
    """Number of the image's pixel that this entry of the window lies on, -1 outside of the image.

    Places are counted across, then down, then image after image.
    """
    across, down = numbers[ACROSS], numbers[DOWN]
    y = place // across % down * numbers[STRIDE_DOWN] - numbers[TOP] + row * numbers[APART_DOWN]
    x = place % across * numbers[STRIDE_ACROSS] - numbers[LEFT] + column * numbers[APART_ACROSS]
    if y < 0 or y >= numbers[HEIGHT] or x < 0 or x >= numbers[WIDTH]:
        return int64(-1)
    image = place // (across * down)
    return (image * numbers[HEIGHT] + y) * numbers[WIDTH] + x


@network_kernel("i1[]", "i8[]", "i1[]", "n", name="patches")
def patches_kernel(x: Any, numbers: Any, out: Any, count: Any) -> None:
    """A row for each place: what its window sees. After the window: the zero point."""
    channels, columns = numbers[CHANNELS], numbers[COLUMNS]
    seen = numbers[ROWS] * columns
    for i in range(first(), count, step()):
        entry = i // channels
        within = entry % seen
        at = entry_at(entry // seen, within // columns, within % columns, numbers)
        if at >= 0:
            out[i] = x[at * channels + i % channels]
        else:
            out[i] = int8(numbers[REST])


@network_kernel("i1[]", "i1[]", "i8[]", "i4[]", "n", name="depthwise")
def depthwise_kernel(x: Any, weights: Any, numbers: Any, sums: Any, count: Any) -> None:
    """Sums of (x - zero) * w. After the window: the zero point, and outputs of a channel."""
    channels, zero, multiple = numbers[CHANNELS], numbers[REST], numbers[REST + 1]
    outputs = channels * multiple
    for i in range(first(), count, step()):
        output = i % outputs
        total = int64(0)
        for row in range(numbers[ROWS]):
            for column in range(numbers[COLUMNS]):
                at = entry_at(i // outputs, row, column, numbers)
                if at >= 0:
                    weight = weights[(row * numbers[COLUMNS] + column) * outputs + output]
                    seen = int64(x[at * channels + output // multiple])
                    total += (seen - zero) * int64(weight)
        sums[i] = int32(total)


@network_kernel("i1[]", "i8[]", "i1[]", "n", name="pool")
def pool_kernel(x: Any, numbers: Any, out: Any, count: Any) -> None:
    """The largest entry, or the mean. After the window: 1 for the mean, low, high."""
    channels = numbers[CHANNELS]
    for i in range(first(), count, step()):
        total, most, seen = int64(0), int64(-128), int64(0)
        for row in range(numbers[ROWS]):
            for column in range(numbers[COLUMNS]):
                at = entry_at(i // channels, row, column, numbers)
                if at >= 0:
                    entry = int64(x[at * channels + i % channels])
                    total += entry
                    most = max(most, entry)
                    seen += 1
        if numbers[REST] > 0:
            most = (abs(total) + seen // 2) // seen
            if total < 0:
                most = -most
        out[i] = int8(clamp(most, numbers[REST + 1], numbers[REST + 2]))


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
