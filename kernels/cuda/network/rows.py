"""Kernels that go along rows: sums, products of two values, argmax, softmax. A thread takes a row."""

from typing import Any

from kernels.cuda.compiler import int8, int32, int64
from kernels.cuda.network.fixed import clamp, divide, high_mul, one_over_one_plus
from kernels.cuda.network.kernel import device, first, network_kernel, step
from kernels.cuda.network.words import divided
from kernels.network.graph.normal import FRACTION, SHIFT


@network_kernel("i1[]", "i4[]", "n", "n", "n", name="row sums")
def row_sums_kernel(x: Any, sums: Any, length: Any, zero: Any, count: Any) -> None:
    """The sum of x - zero along each of `count` rows."""
    for i in range(first(), count, step()):
        total = -length * zero
        for j in range(length):
            total += int64(x[i * length + j])
        sums[i] = int32(total)


@network_kernel("i1[]", "i1[]", "i4[]", "n", "n", "n", "n", name="pair sums")
def pair_sums_kernel(a: Any, b: Any, sums: Any, m: Any, n: Any, k: Any, count: Any) -> None:
    """A B^T for each pair of A, m x k, and B, n x k. A thread takes an entry."""
    for i in range(first(), count, step()):
        row = i // n
        left, right = row * k, (row // m * n + i % n) * k
        total = int64(0)
        for j in range(k):
            total += int64(a[left + j]) * int64(b[right + j])
        sums[i] = int32(total)


@network_kernel(
    "i4[]", "i4[]", "i4[]", "i4[]", "n", "n", "n", "n", "n", "n", name="pair zero points"
)
def pair_zeros_kernel(
    sums: Any, rows: Any, columns: Any, out: Any,
    m: Any, n: Any, left_zero: Any, right_zero: Any, both: Any, count: Any,
) -> None:  # fmt: skip
    """Take the zero points off the sums: `rows` and `columns` are the sums of A's and of B's rows."""
    for i in range(first(), count, step()):
        row = i // n
        whole = int64(sums[i]) - right_zero * int64(rows[row]) + both
        out[i] = int32(whole - left_zero * int64(columns[row // m * n + i % n]))


@network_kernel("i1[]", "i4[]", "n", "n", name="argmax")
def argmax_kernel(x: Any, out: Any, length: Any, count: Any) -> None:
    """The first place of each row's largest entry."""
    for i in range(first(), count, step()):
        best, most = int64(0), int64(x[i * length])
        for j in range(length):
            entry = int64(x[i * length + j])
            if entry > most:
                best, most = int64(j), entry
        out[i] = int32(best)


SOFTMAX_PART = 64
"""Entries of a row that one thread looks at: rows are cut into `parts`, the last one shorter."""


@network_kernel("i1[]", "i4[]", "n", "n", "n", name="softmax most")
def softmax_most_kernel(x: Any, most: Any, length: Any, parts: Any, count: Any) -> None:
    """The largest entry of each part of each row."""
    for i in range(first(), count, step()):
        row, part = divided(i, parts)
        found, start = int32(-128), int64(part) * SOFTMAX_PART
        for j in range(start, min(start + SOFTMAX_PART, length)):
            found = max(found, int32(x[int64(row) * length + j]))
        most[i] = found


@device
def largest(most: Any, row: Any, parts: Any) -> Any:
    """Of a row."""
    found = int64(-128)
    for part in range(parts):
        found = max(found, int64(most[int64(row) * parts + part]))
    return found


@network_kernel("i1[]", "i4[]", "i4[]", "i4[]", "n", "n", "n", name="softmax totals")
def softmax_totals_kernel(
    x: Any, exps: Any, most: Any, totals: Any, length: Any, parts: Any, count: Any
) -> None:
    """Of each part. `exps`: exp of minus each difference from the row's largest entry, in Q0.31."""
    for i in range(first(), count, step()):
        row, part = divided(i, parts)
        top, total, start = largest(most, row, parts), int64(0), int64(part) * SOFTMAX_PART
        for j in range(start, min(start + SOFTMAX_PART, length)):
            total += divide(int64(exps[top - int64(x[int64(row) * length + j])]), int64(12))
        totals[i] = int32(total)


@network_kernel("i1[]", "i4[]", "i4[]", "i4[]", "i1[]", "n", "n", "n", name="softmax")
def softmax_kernel(
    x: Any, exps: Any, most: Any, totals: Any, out: Any, length: Any, parts: Any, count: Any
) -> None:
    """Each entry, out of what the two kernels above found."""
    for i in range(first(), count, step()):
        row, _ = divided(i, length)
        total, headroom = int64(0), int64(32)
        for part in range(parts):
            total += int64(totals[int64(row) * parts + part])
        while total >> (32 - headroom) > 0:
            headroom -= 1
        reciprocal = one_over_one_plus((total << headroom) - (1 << 31))
        power = int64(exps[largest(most, row, parts) - int64(x[i])])
        scaled = divide(high_mul(reciprocal, power), int64(35) - headroom)
        out[i] = int8(clamp(scaled - 128, -128, 127))


@device
def root_of(value: Any) -> Any:
    """floor(sqrt(value)), bit by bit, from 0 to 2^62."""
    root = int64(0)
    for i in range(32):
        larger = root + (int64(1) << (31 - i))
        if larger <= value // larger:
            root = larger
    return root


@device
def norm_term(a: Any, b: Any, c: Any, zeros: Any, multipliers: Any, at: Any, j: Any, n: Any) -> Any:
    """The sum of the inputs' entries without zero points, each on its scale; an unused one has 0."""
    term = (int64(a[at]) - zeros[0]) * int64(multipliers[j])
    term += (int64(b[at]) - zeros[1]) * int64(multipliers[n + j])
    return term + (int64(c[at]) - zeros[2]) * int64(multipliers[2 * n + j])


@network_kernel(
    "i1[]", "i1[]", "i1[]", "i8[]", "i4[]", "i4[]", "i8[]", "i1[]", "n", "n", name="layer norm"
)
def layer_norm_kernel(
    a: Any, b: Any, c: Any, numbers: Any, multipliers: Any, factor: Any, offset: Any, out: Any,
    length: Any, count: Any,
) -> None:  # fmt: skip
    """`numbers`: three zero points, epsilon, output zero, low, high; `multipliers`: 3 x length."""
    for i in range(first(), count, step()):
        start = i * length
        total, squares = int64(0), numbers[3]
        for j in range(length):
            total += norm_term(a, b, c, numbers, multipliers, start + j, j, length)
        mean = (2 * total + length) // (2 * length)
        for j in range(length):
            d = norm_term(a, b, c, numbers, multipliers, start + j, j, length) - mean
            squares += d * d
        root = root_of(squares)
        for j in range(length):
            d = norm_term(a, b, c, numbers, multipliers, start + j, j, length) - mean
            u = ((d << (FRACTION + 1)) + root) // max(2 * root, 1)
            scaled = (u * int64(factor[j]) + offset[j] + (1 << (SHIFT - 1))) >> SHIFT
            out[start + j] = int8(clamp(scaled + numbers[4], numbers[5], numbers[6]))
