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

from numba import cuda, int32, int64, uint32

from kernels.cuda.expand import philox
from kernels.cuda.ptx import U32, instruction, word
from kernels.cuda.words import add32, atomic_add, load, load4, mul32, store, store4

THREADS = 256
TILES_A_BLOCK = 8
"""Tiles of a row of tiles that a block of `subtract_kernel` goes through."""


def _signed_byte(x: Any, position: Any) -> Any:
    value = int(x) >> int(position) & 0xFF
    return word(value - 256 if value > 127 else value)


signed_byte = instruction("bfe.s32 $0, $1, $2, 8;", U32, [U32, U32], meaning=_signed_byte)


@cuda.jit
def weights_kernel(weights: Any, seed: Any, P: Any) -> None:
    """w: P random words from the 16 bytes at `seed`, four a thread. Grid P / 1024 rounded up, 256."""
    i = int32(cuda.blockIdx.x) * int32(THREADS) + int32(cuda.threadIdx.x)
    if i * 4 < int32(P):
        a, b, c, d = philox(
            uint32(i), uint32(0), load(seed, int64(8)), load(seed, int64(12)),
            load(seed, int64(0)), load(seed, int64(4)),
        )  # fmt: skip
        store4(weights, int64(i) * 16, a, b, c, d)


@cuda.jit(device=True)
def dot16(chunk: Any, u: Any) -> Any:
    """Sum of 16 signed bytes (four words) times 16 words."""
    total = uint32(0)
    for i in range(4):
        for j in range(4):
            total = add32(total, mul32(signed_byte(chunk[i], uint32(8 * j)), u[4 * i + j]))
    return total


@cuda.jit
def project_kernel(b: Any, weights: Any, u: Any, tiles: Any) -> None:
    """u[k] += sum over j of w[j] * B[j][k]. Grid (tiles, tiles / 2), 256 threads: a tile of B a
    block.

    A thread's rows are equal modulo 8, so that the swizzle puts the same 16 columns at the same
    place in each of them.
    """
    columns = cuda.shared.array(128, uint32)
    t = int32(cuda.threadIdx.x)
    if t < 128:
        columns[t] = uint32(0)
    cuda.syncthreads()
    x, y = int32(cuda.blockIdx.x), int32(cuda.blockIdx.y)
    stored, row_class, part = t & 7, (t >> 3) & 7, t >> 6
    sums = cuda.local.array(16, uint32)
    for i in range(16):
        sums[i] = uint32(0)
    tile = (int64(y) * int32(tiles) + x) * 32768
    for step in range(8):
        p = (part * 8 + step) * 8 + row_class
        q = p & 63
        row = y * 256 + (p & 192) + (((q >> 1) & 3) << 4) + ((q >> 3) << 1) + (q & 1)
        w = load(weights, int64(row) * 4)
        chunk = load4(b, tile + p * 128 + stored * 16)
        for i in range(4):
            for j in range(4):
                entry = signed_byte(chunk[i], uint32(8 * j))
                sums[4 * i + j] = add32(sums[4 * i + j], mul32(w, entry))
    first = (stored ^ row_class) * 16
    for i in range(16):
        cuda.atomic.add(columns, first + i, sums[i])
    cuda.syncthreads()
    if t < 128:
        atomic_add(u, int64(x * 128 + t) * 4, columns[t])


@cuda.jit
def subtract_kernel(r: Any, u: Any, sums: Any, tiles: Any) -> None:
    """sums[i] -= sum over k of R[i][k] * u[k]. Grid (tiles, tiles / 8 rounded up), 256 threads.

    A block goes through up to eight tiles of a row of tiles; each thread holds 16 words of u.
    """
    rows = cuda.shared.array(128, uint32)
    t = int32(cuda.threadIdx.x)
    if t < 128:
        rows[t] = uint32(0)
    cuda.syncthreads()
    y = int32(cuda.blockIdx.x)
    tiles = int32(tiles)
    stored, row_class, part = t & 7, (t >> 3) & 7, t >> 6
    column = (stored ^ row_class) * 16
    first = int32(cuda.blockIdx.y) * int32(TILES_A_BLOCK)
    mine = cuda.local.array(4, uint32)
    for step in range(4):
        mine[step] = uint32(0)
    x = first
    while x < min(first + int32(TILES_A_BLOCK), tiles):
        at = int64(x * 128 + column) * 4
        u0, u1 = load4(u, at), load4(u, at + 16)
        u2, u3 = load4(u, at + 32), load4(u, at + 48)
        u16 = u0 + u1 + u2 + u3
        tile = (int64(y) * tiles + x) * 16384
        for step in range(4):
            p = (part * 4 + step) * 8 + row_class
            chunk = load4(r, tile + p * 128 + stored * 16)
            mine[step] = add32(mine[step], dot16(chunk, u16))
        x += int32(1)
    for step in range(4):
        cuda.atomic.add(rows, (part * 4 + step) * 8 + row_class, mine[step])
    cuda.syncthreads()
    if t < 128:
        atomic_add(sums, int64(y * 128 + t) * 4, add32(~rows[t], uint32(1)))


@cuda.jit
def verdict_kernel(sums: Any, P: Any, verdict: Any, ticket: Any) -> None:
    """Write `ticket` at `verdict` if every sum is zero, 0 otherwise. One block of 256 threads."""
    wrong = cuda.shared.array(1, int32)
    t = int32(cuda.threadIdx.x)
    if t == 0:
        wrong[0] = int32(0)
    cuda.syncthreads()
    i = t
    while i < int32(P):
        if load(sums, int64(i) * 4) != uint32(0):
            wrong[0] = int32(1)
        i += int32(THREADS)
    cuda.syncthreads()
    if t == 0:
        good = uint32(0)
        if wrong[0] == 0:
            good = load(ticket, int64(0))
        store(verdict, int64(0), good)
