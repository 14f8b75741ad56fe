"""Freivalds' check on the device: a wrong product never leaves the card.

For random weights w (R. Freivalds, "Probabilistic machines can use less running time", IFIP 1977),
C is R * transpose(B) if, and but for chance only if,

    sum over j of w[j] * C[i][j]  =  sum over k of R[i][k] * u[k],   u = transpose(B) * w

for every row i: n^2 work for either side in place of n^3. All arithmetic is modulo 2^32. The
product's epilogue adds the left side to `sums` while C is still in registers; the kernels here make
w and u, and subtract the right side. In the end every word of `sums` must be zero.

What it sees: an error that changes an entry of C by 2^k * odd changes its row's sum by w[j] * 2^k *
odd, which is zero with probability 2^-(32-k). An error that changes R touches the low 16 bits, so k
<= 15 and it is missed with probability 2^-17 at the most, 2^-32 for odd differences; errors in
several columns of a row, 2^-17 at the most as well, since their weights are independent. What it
does not see: operands that were expanded wrongly (both sides use them; the parent's spot check from
the seed does), the fold, and hashing (the same).
"""

from typing import Any

from kernels.cuda.compiler import cuda, int32, int64, uint32
from kernels.cuda.intrinsics import (
    add32,
    atomic_add,
    exchange,
    high_word,
    let_next_kernel_start,
    load,
    load4,
    low_word,
    mul32,
    store,
    store4,
    unsigned_divide,
    wait_for_kernel_before,
)
from kernels.cuda.launch import jit
from kernels.cuda.philox import philox
from kernels.cuda.ptx import U32, instruction, word

THREADS = 256
GROUPS = 4
"""Of 256 threads, in a block of `project_kernel` and `subtract_kernel`."""
COLUMNS_ARRAY = 128 * GROUPS
VERDICT_THREADS = 1024
TICKET_BYTES = 16
"""Of the vectors, behind the sums."""


def grid_for(count: int, multiprocessors: int) -> tuple[int]:
    """Blocks for `count` tiles, or pairs of tiles: at most one a multiprocessor but one.

    Blocks go where there is least, so that one multiprocessor is left to whatever runs beside them: at
    the end of a task the last block of the tree, whose single chain of hashes all wait for.
    """
    return (min(-(-count // GROUPS), max(multiprocessors - 1, 1)),)


def _signed_byte(x: Any, position: Any) -> Any:
    value = int(x) >> int(position) & 0xFF
    return word(value - 256 if value > 127 else value)


signed_byte = instruction("bfe.s32 $0, $1, $2, 8;", U32, [U32, U32], meaning=_signed_byte)


@cuda.jit(device=True)
def four_weights(weights: Any, key: Any, counter: Any, i: Any) -> None:
    """Words 4i ... 4i + 3 of w."""
    c2, c3 = low_word(counter), high_word(counter)
    a, b, c, d = philox(uint32(i), uint32(0), c2, c3, low_word(key), high_word(key))
    store4(weights, int64(i) * 16, a, b, c, d)


@cuda.jit(device=True)
def begin_vectors(
    vectors: Any, key: Any, counter: Any, ticket: Any, x: Any, t: Any, tiles: Any, clears_u: Any
) -> None:
    """For P x P: w, then P zeros for u, P for the sums, then the ticket (four words, one is used).

    Thread t of block x; a block of 128 or more does 128 words of each. Without `clears_u` u is left as
    it is.
    """
    length = int64(tiles) * 512  # bytes of a vector
    nothing = uint32(0)
    if t < 32:
        four_weights(vectors, key, counter, int32(32 * x + t))
    elif t < 96 and (t >= 64 or clears_u):
        # Threads 32 to 63 clear a part of u, 64 to 95 of the sums.
        vector = int32(t >> 5)
        at = vector * length + int64(32 * x + t - 32 * vector) * 16
        store4(vectors, int64(at), nothing, nothing, nothing, nothing)
    elif t == 96 and x == 0:
        store4(vectors, int64(3 * length), low_word(ticket), nothing, nothing, nothing)


@cuda.jit
def weights_kernel(weights: Any, key: Any, counter: Any, count: Any) -> None:
    """w: `count` random words, four a thread. Grid count / 1024 rounded up, 256 threads."""
    i = int32(cuda.blockIdx.x) * int32(THREADS) + int32(cuda.threadIdx.x)
    if i * 4 < int32(count):
        four_weights(weights, key, counter, i)


# Tuples are indexed by literals here: by a loop's variable numba chooses the item in a chain of
# branches, which was seen to make `subtract_kernel` five times slower.


@cuda.jit(device=True)
def dot4(x: Any, w: Any) -> Any:
    """Sum of a word's four signed bytes times four words."""
    return add32(
        add32(
            mul32(signed_byte(x, uint32(0)), w[0]),
            mul32(signed_byte(x, uint32(8)), w[1]),
        ),
        add32(
            mul32(signed_byte(x, uint32(16)), w[2]),
            mul32(signed_byte(x, uint32(24)), w[3]),
        ),
    )


@cuda.jit(device=True)
def dot16(chunk: Any, u0: Any, u1: Any, u2: Any, u3: Any) -> Any:
    """Sum of 16 signed bytes (four words) times 16 words."""
    return add32(
        add32(dot4(chunk[0], u0), dot4(chunk[1], u1)),
        add32(dot4(chunk[2], u2), dot4(chunk[3], u3)),
    )


@cuda.jit(device=True)
def share(values: Any, count: Any, bit: Any, lanes: Any) -> None:
    """Add up with the lane that differs in `lanes`, each keeping half of `count` values.

    The lane whose `bit` is clear keeps the first half, the other the second; both find what they
    kept in the first half of `values`.
    """
    for i in range(count):
        low, high = values[i], values[count + i]
        sent, kept = (low, high) if bit != 0 else (high, low)
        values[i] = add32(kept, exchange(sent, uint32(lanes)))


@jit(THREADS * GROUPS)
def project_kernel(b: Any, weights: Any, u: Any, tiles: Any, count: Any) -> None:
    """u[k] += sum over j of w[j] * B[j][k], for the `count` tiles of B, `tiles` = K / 128 in a row.

    Any number of blocks of 256 * GROUPS threads (`grid_for`): 256 threads a tile. A thread's 8 rows
    are equal modulo 8, so that the swizzle puts the same 16 columns at the same place in each of
    them. The lanes of a warp that have the same columns differ in stored place and row class by the
    same bits: 1 and 8, or 2 and 16.
    """
    columns = cuda.shared.array(COLUMNS_ARRAY, uint32)
    t = int32(cuda.threadIdx.x) & 255
    group = int32(cuda.threadIdx.x) >> 8
    stored, row_class, part = t & 7, (t >> 3) & 7, t >> 6
    # Position 8 i + row_class of a group of 64 holds this row: 16 t + 2 b + e for 8 b + 2 t + e.
    row_in_tile = part * 64 + ((row_class >> 1) << 4) + (row_class & 1)
    column = (stored ^ row_class) * 16 + (row_class & 1) * 8 + (row_class & 2) * 2
    sums = cuda.local.array(16, uint32)
    tile = int32(cuda.blockIdx.x) * int32(GROUPS) + group
    step = int32(cuda.gridDim.x) * int32(GROUPS)
    rounds = unsigned_divide(int32(count + step - 1), step)
    let_next_kernel_start()
    wait_for_kernel_before()
    for _ in range(rounds):
        if t < 128:
            columns[group * 128 + t] = uint32(0)
        cuda.syncthreads()
        y = unsigned_divide(tile, int32(tiles))
        if tile < count:
            at = int64(tile) * 32768 + part * 8192 + row_class * 128 + stored * 16
            row = int64(y * 256 + row_in_tile)
            for i in range(16):
                sums[i] = uint32(0)
            for half in range(2):
                first = at + half * 4096
                w = (row + half * 8) * 4
                c0, c1 = load4(b, first), load4(b, first + 1024)
                c2, c3 = load4(b, first + 2048), load4(b, first + 3072)
                w0, w1 = load(weights, w), load(weights, w + 8)
                w2, w3 = load(weights, w + 16), load(weights, w + 24)
                for i in range(4):
                    for j in range(4):
                        shift = uint32(8 * j)
                        total = add32(
                            add32(
                                mul32(w0, signed_byte(c0[i], shift)),
                                mul32(w1, signed_byte(c1[i], shift)),
                            ),
                            add32(
                                mul32(w2, signed_byte(c2[i], shift)),
                                mul32(w3, signed_byte(c3[i], shift)),
                            ),
                        )
                        sums[4 * i + j] = add32(sums[4 * i + j], total)
            share(sums, 8, row_class & 1, 9)
            share(sums, 4, row_class & 2, 18)
            for i in range(4):
                cuda.atomic.add(columns, group * 128 + column + i, sums[i])
        cuda.syncthreads()
        if t < 128 and tile < count:
            x = int32(tile - y * int32(tiles))
            atomic_add(u, int64(x * 128 + t) * 4, columns[group * 128 + t])
        tile = int32(tile + step)


@cuda.jit(device=True)
def place_of_piece(tiles: Any, piece: Any, thread: Any) -> Any:
    """What one of 64 threads takes of a piece: 64 rows by 128 bytes of R, `tiles` tiles in a row.

    Returns three offsets in bytes: of 16 bytes in the first of its 8 rows, of their words in u, and of
    the word of the sums that it is left with. Pieces are numbered as tiles are, two a tile. The 8 rows
    lie 1,024 bytes apart and are equal modulo 8, so that the same words of u belong to each.
    """
    stored, row_class = thread & 7, (thread >> 3) & 7
    mine = (stored & 1) * 4 + (stored & 2) + (stored >> 2)
    tile = piece >> 1
    y = unsigned_divide(tile, int32(tiles))
    column = int32(tile - y * int32(tiles)) * 128 + (stored ^ row_class) * 16
    row = y * 128 + (piece & 1) * 64 + mine * 8 + row_class
    return int64(piece) * 8192 + row_class * 128 + stored * 16, int64(column) * 4, int64(row) * 4


@cuda.jit(device=True)
def subtract_totals(sums: Any, row: Any, totals: Any, thread: Any) -> None:
    """Take 8 rows' totals off the sums: the eight lanes with the same rows add up, each one row."""
    share(totals, 4, thread & 1, 1)
    share(totals, 2, thread & 2, 2)
    share(totals, 1, thread & 4, 4)
    atomic_add(sums, row, add32(~totals[0], uint32(1)))


@cuda.jit(device=True)
def subtract_piece(r: Any, u: Any, sums: Any, tiles: Any, piece: Any, thread: Any) -> None:
    """sums[i] -= sum over k of R[i][k] * u[k], for a piece of R (`place_of_piece`), by 64 threads."""
    at, column, row = place_of_piece(tiles, piece, thread)
    totals = cuda.local.array(8, uint32)
    u0, u1 = load4(u, column), load4(u, column + 16)
    u2, u3 = load4(u, column + 32), load4(u, column + 48)
    for half in range(2):
        first = at + half * 4096
        c0, c1 = load4(r, first), load4(r, first + 1024)
        c2, c3 = load4(r, first + 2048), load4(r, first + 3072)
        totals[4 * half] = dot16(c0, u0, u1, u2, u3)
        totals[4 * half + 1] = dot16(c1, u0, u1, u2, u3)
        totals[4 * half + 2] = dot16(c2, u0, u1, u2, u3)
        totals[4 * half + 3] = dot16(c3, u0, u1, u2, u3)
    subtract_totals(sums, row, totals, thread)


@jit(THREADS * GROUPS)
def subtract_kernel(r: Any, u: Any, sums: Any, tiles: Any, count: Any) -> None:
    """sums[i] -= sum over k of R[i][k] * u[k], for the `count` pairs of tiles of R, 256 rows each.

    `tiles` = K / 128 in a row. Blocks as above: 256 threads a pair, four pieces.
    """
    piece = int32(cuda.blockIdx.x) * int32(4 * GROUPS) + (int32(cuda.threadIdx.x) >> 6)
    step = int32(cuda.gridDim.x) * int32(4 * GROUPS)
    let_next_kernel_start()
    wait_for_kernel_before()
    while piece < 4 * count:
        subtract_piece(r, u, sums, tiles, piece, int32(cuda.threadIdx.x) & 63)
        piece = int32(piece + step)


@cuda.jit
def verdict_kernel(sums: Any, count: Any, verdict: Any, ticket: Any) -> None:
    """Write the word at `ticket` to `verdict` if all `count` sums are zero, 0 otherwise.

    One block of 1,024 threads.
    """
    t = int32(cuda.threadIdx.x)
    let_next_kernel_start()
    wait_for_kernel_before()
    wrong = int32(0)
    i = t
    while i < int32(count):
        if load(sums, int64(i) * 4) != uint32(0):
            wrong = int32(1)
        i = int32(i + VERDICT_THREADS)
    if cuda.syncthreads_or(wrong) == 0:
        if t == 0:
            store(verdict, int64(0), load(ticket, int64(0)))
    elif t == 0:
        store(verdict, int64(0), uint32(0))
