"""Both operands on the device, straight into the product's layout; and what the check begins with.

One thread makes four 16-byte chunks, each from one Philox call; neighbouring threads write neighbouring
chunks. See section 2 of the specification, and `layout.py`.
"""

from typing import Any

from kernels.cuda.check import begin_vectors
from kernels.cuda.compiler import cuda, int32, int64, uint32
from kernels.cuda.intrinsics import (
    high_word,
    let_next_kernel_start,
    low_word,
    store4,
    wait_for_kernel_before,
)
from kernels.cuda.philox import philox

THREADS = 256


@cuda.jit(device=True)
def keep_bytes(word: Any, count: Any) -> Any:
    """The first `count` bytes of a little-endian word, zero in place of the others."""
    if count >= 4:
        return word
    if count <= 0:
        return uint32(0)
    return uint32(word & ((uint32(1) << uint32(8 * count)) - uint32(1)))


@cuda.jit(device=True)
def cut(w: Any, row: Any, left: Any, n: Any) -> Any:
    """A chunk of which `left` bytes are entries, if its row is one; zeros for the rest."""
    if row >= n:
        left = int32(0)
    return (
        keep_bytes(w[0], left), keep_bytes(w[1], int32(left - 4)),
        keep_bytes(w[2], int32(left - 8)), keep_bytes(w[3], int32(left - 12)),
    )  # fmt: skip


@cuda.jit(device=True)
def four_chunks(
    to: Any, offset: Any, q: Any, row: Any, near: Any, far: Any, n: Any, key: Any, counter: Any
) -> None:
    """Chunk q of four rows, `near` and `far` apart, to four places that lie 4 KiB apart.

    They are four chains of multiplications that need not wait for one another, and what the rows have
    in common (the first of Philox's rounds, but for the row's number) is computed once.
    """
    k0, k1 = low_word(key), high_word(key)
    c2, c3 = low_word(counter), high_word(counter)
    row_b, row_c = int32(row + near), int32(row + far)
    row_d = int32(row_b + far)
    a = philox(uint32(q), uint32(row), c2, c3, k0, k1)
    b = philox(uint32(q), uint32(row_b), c2, c3, k0, k1)
    c = philox(uint32(q), uint32(row_c), c2, c3, k0, k1)
    d = philox(uint32(q), uint32(row_d), c2, c3, k0, k1)
    left = int32(n - q * 16)
    if row_d >= n or left < 16:
        a, b = cut(a, row, left, n), cut(b, row_b, left, n)
        c, d = cut(c, row_c, left, n), cut(d, row_d, left, n)
    store4(to, offset, a[0], a[1], a[2], a[3])
    store4(to, int64(offset + 4096), b[0], b[1], b[2], b[3])
    store4(to, int64(offset + 8192), c[0], c[1], c[2], c[3])
    store4(to, int64(offset + 12288), d[0], d[1], d[2], d[3])


@cuda.jit
def expand_kernel(
    a: Any, b: Any, vectors: Any, n: Any, tiles: Any,
    key_a: Any, counter_a: Any, key_b: Any, counter_b: Any, key_w: Any, counter_w: Any, ticket: Any,
) -> None:  # fmt: skip
    """Write A and B, and begin the check's vectors; `tiles` = P / 128.

    The seed comes as its 8-byte parts, little-endian: of A's half the key and the counter's constant
    words, then B's; so does the seed of the check's weights. Arguments of a launch reach the kernel
    sooner than anything that has to be copied first.

    Grid (tiles, 2 * tiles + 1), 256 threads: block (x, y) writes tile (y, x) of A, or, from y =
    tiles on, the 128-row half tile (y - tiles, x) of B; the last row of blocks writes `vectors`, and
    is left out where nothing is checked. A thread's four chunks lie 32 rows apart, which the swizzle
    does not see; B's permutation makes 8 and 64 of them.
    """
    let_next_kernel_start()
    wait_for_kernel_before()
    x, y = int32(cuda.blockIdx.x), int32(cuda.blockIdx.y)
    tiles, n = int32(tiles), int32(n)
    t = int32(cuda.threadIdx.x)
    position = int32(t >> 3)
    q = int32(x * 8 + ((t & 7) ^ (position & 7)))
    if y < tiles:
        offset = (int64(y) * tiles + x) * 16384 + t * 16
        row = int32(y * 128 + position)
        four_chunks(a, offset, q, row, int32(32), int32(64), n, key_a, counter_a)
    elif y < 2 * tiles:
        y = int32(y - tiles)
        # A tile of B has 256 rows: two of these blocks.
        offset = (int64(y >> 1) * tiles + x) * 32768 + (y & 1) * 16384 + t * 16
        row = int32(
            y * 128 + (((position >> 1) & 3) << 4) + ((position >> 3) << 1) + (position & 1)
        )
        four_chunks(b, offset, q, row, int32(8), int32(64), n, key_b, counter_b)
    else:
        begin_vectors(vectors, key_w, counter_w, ticket, x, t, tiles)
