"""Kernels that take one entry at a time; those that share a form come out of one generator.

`numbers` are what an operator has for all entries: zero points, scale, bounds. The reference is
`kernels.network.graph.reference`.
"""

from typing import Any

from kernels.cuda.compiler import int8, int64, uint32
from kernels.cuda.intrinsics import load4, store
from kernels.cuda.network.fixed import clamp, scale, scale_once
from kernels.cuda.network.kernel import NetworkKernel, device, first, network_kernel, step
from kernels.cuda.network.words import divided, four_scaled


def pairwise(name: str, formula: Any) -> NetworkKernel:
    """Return a kernel: out[i] = formula(a[i], b[i], tables, numbers)."""

    @network_kernel("i1[]", "i1[]", "i4[]", "i8[]", "i1[]", "n", name=name)
    def kernel(a: Any, b: Any, tables: Any, numbers: Any, out: Any, count: Any) -> None:
        for i in range(first(), count, step()):
            out[i] = int8(formula(int64(a[i]), int64(b[i]), tables, numbers))

    return kernel


@device
def added(x: Any, y: Any, tables: Any, numbers: Any) -> Any:
    """Both sides by tables of their 256 scaled values, the second's already signed."""
    total = int64(tables[x + 128]) + int64(tables[y + 384])
    scaled = scale(total, numbers[0], numbers[1])
    return clamp(scaled + numbers[2], numbers[3], numbers[4])


@device
def multiplied(x: Any, y: Any, tables: Any, numbers: Any) -> Any:  # noqa: ARG001
    """The product of both without their zero points."""
    scaled = scale((x - numbers[5]) * (y - numbers[6]), numbers[0], numbers[1])
    return clamp(scaled + numbers[2], numbers[3], numbers[4])


@device
def larger(x: Any, y: Any, tables: Any, numbers: Any) -> Any:  # noqa: ARG001
    """The larger, or with a sign of -1 the smaller."""
    if numbers[0] > 0:
        return max(x, y)
    return min(x, y)


ADD, MULTIPLY, LARGER = (
    pairwise("add", added),
    pairwise("multiply", multiplied),
    pairwise("larger", larger),
)


def per_channel(name: str, formula: Any) -> NetworkKernel:
    """Return a kernel: int8 out of int32 sums, a bias, a multiplier and a shift for each column.

    A row of the sums begins `pitch` entries after the one before; `numbers`: zero, low, high.
    """

    @network_kernel("i4[]", "i4[]", "i8[]", "i1[]", "i8[]", "i1[]", "n", "n", "n", name=name)
    def kernel(
        sums: Any, bias: Any, multiplier: Any, shift: Any, numbers: Any, out: Any,
        columns: Any, pitch: Any, count: Any,
    ) -> None:  # fmt: skip
        for i in range(first(), count, step()):
            row, c = divided(i, columns)
            whole = int64(sums[int64(row) * pitch + c]) + int64(bias[c])
            scaled = formula(whole, multiplier[c], int64(shift[c]))
            out[i] = int8(clamp(scaled + numbers[0], numbers[1], numbers[2]))

    return kernel


REQUANTISE = per_channel("requantise", scale)
REQUANTISE_ONCE = per_channel("requantise once", scale_once)


@network_kernel("w", "w", "w", "n", "n", "n", "n", "n", "n", name="requantise fours")
def requantise_fours_kernel(
    sums: Any, scaling: Any, out: Any,
    zero: Any, low: Any, high: Any, columns: Any, pitch: Any, count: Any,
) -> None:  # fmt: skip
    """The same as REQUANTISE, four columns a thread. `scaling`: bias, multiplier, exponent of each."""
    zero, low, high = uint32(zero), uint32(low), uint32(high)
    for i in range(first(), count, step()):
        row, four = divided(i, columns >> 2)
        four_sums = load4(sums, int64((int64(row) * pitch + int64(four) * 4) * 4))
        store(out, int64(i) * 4, four_scaled(four_sums, scaling, four, columns, zero, low, high))


@network_kernel("i1[]", "i1[]", "i1[]", "n", "n", name="table")
def table_kernel(x: Any, table: Any, out: Any, channels: Any, count: Any) -> None:
    """out[i] = table[c, x[i] + 128], a row for each of the channels, or one for all."""
    for i in range(first(), count, step()):
        _, channel = divided(i, channels)
        out[i] = table[channel * 256 + int64(x[i]) + 128]
