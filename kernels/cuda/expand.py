"""Both operands on the device, straight into the product's layout; and what the check begins with.

One thread makes four 16-byte chunks, each from one Philox call; neighbouring threads write neighbouring
chunks. See section 2 of the specification, and `layout.py`.
"""

from typing import Any

from kernels.cuda.check import begin_vectors, share, signed_byte
from kernels.cuda.compiler import cuda, int32, int64, uint32
from kernels.cuda.intrinsics import (
    add32,
    atomic_add,
    high_word,
    let_next_kernel_start,
    low_word,
    mul32,
    store4,
    wait_for_kernel_before,
)
from kernels.cuda.launch import jit
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
) -> Any:
    """Chunk q of four rows, `near` and `far` apart, to four places that lie 4 KiB apart; returns them.

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
    return a, b, c, d


@cuda.jit(device=True)
def add_to_u(
    vectors: Any, first: Any, weights: Any, columns: Any, row: Any, chunks: Any, t: Any
) -> None:
    """The check's u = transpose(B) * w: what a block's 128 rows add to 128 words of it.

    These begin at byte `first` of the vectors. `weights`: the rows', in shared memory; `columns`: 128
    zeros there; `row`: the thread's first one, of 128; `chunks`: what it made of B, as `four_chunks`
    returns it. A barrier has gone before.
    """
    a, b, c, d = chunks
    w0, w1, w2, w3 = weights[row], weights[row + 8], weights[row + 64], weights[row + 72]
    sums = cuda.local.array(16, uint32)
    for i in range(4):
        for j in range(4):
            shift = uint32(8 * j)
            sums[4 * i + j] = add32(
                add32(mul32(w0, signed_byte(a[i], shift)), mul32(w1, signed_byte(b[i], shift))),
                add32(mul32(w2, signed_byte(c[i], shift)), mul32(w3, signed_byte(d[i], shift))),
            )
    # As in `check.project_kernel`: lanes with the same columns differ in their stored place and in
    # their row by the same bits.
    stored, position = t & 7, t >> 3
    share(sums, 8, position & 1, 9)
    share(sums, 4, position & 2, 18)
    column = (stored ^ (position & 7)) * 16 + (position & 1) * 8 + (position & 2) * 2
    for i in range(4):
        cuda.atomic.add(columns, column + i, sums[i])
    cuda.syncthreads()
    if t < 128:
        atomic_add(vectors, int64(first + t * 4), columns[t])


def _expansion(projects: bool) -> Any:
    """The kernel; with `projects` it also makes the check's u, which must be zero before."""

    def expand(
        a: Any, b: Any, vectors: Any, n: Any, tiles: Any,
        key_a: Any, counter_a: Any, key_b: Any, counter_b: Any, key_w: Any, counter_w: Any,
        ticket: Any,
    ) -> None:  # fmt: skip
        """Write A and B, and begin the check's vectors; `tiles` = P / 128.

        The seed comes as its 8-byte parts, little-endian: of A's half the key and the counter's
        constant words, then B's; so does the seed of the check's weights. Arguments of a launch reach
        the kernel sooner than anything that has to be copied first.

        Grid (tiles, 2 * tiles + 1), 256 threads: block (x, y) writes tile (y, x) of A, or, from y =
        tiles on, the 128-row half tile (y - tiles, x) of B; the last row of blocks writes `vectors`,
        and is left out where nothing is checked. A thread's four chunks lie 32 rows apart, which the
        swizzle does not see; B's permutation makes 8 and 64 of them.
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
            in_tile = (((position >> 1) & 3) << 4) + ((position >> 3) << 1) + (position & 1)
            row = int32(y * 128 + in_tile)
            if projects:
                weights = cuda.shared.array(128, uint32)
                columns = cuda.shared.array(128, uint32)
                if t < 32:
                    w = philox(
                        uint32(y * 32 + t), uint32(0), low_word(counter_w), high_word(counter_w),
                        low_word(key_w), high_word(key_w),
                    )  # fmt: skip
                    weights[4 * t], weights[4 * t + 1] = w[0], w[1]
                    weights[4 * t + 2], weights[4 * t + 3] = w[2], w[3]
                elif t >= 128:
                    columns[t - 128] = uint32(0)
                chunks = four_chunks(b, offset, q, row, int32(8), int32(64), n, key_b, counter_b)
                cuda.syncthreads()
                first = int64(tiles + x) * 512
                add_to_u(vectors, first, weights, columns, in_tile, chunks, t)
            else:
                four_chunks(b, offset, q, row, int32(8), int32(64), n, key_b, counter_b)
        else:
            begin_vectors(vectors, key_w, counter_w, ticket, x, t, tiles, not projects)

    return expand


expand_kernel = cuda.jit(_expansion(projects=False))
expand_and_project_kernel = jit(THREADS, 4)(_expansion(projects=True))
