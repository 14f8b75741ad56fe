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
VERDICT_THREADS = 1024


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
    """u[k] += sum over j of w[j] * B[j][k]. Grid (tiles, 2 * tiles), 256 threads: 64 rows a block.

    A thread's rows are equal modulo 8, so that the swizzle puts the same 16 columns at the same place
    in each of them. Many small blocks, because one thread's chain of loads is what takes the time.
    """
    columns = cuda.shared.array(128, uint32)
    t = int32(cuda.threadIdx.x)
    if t < 128:
        columns[t] = uint32(0)
    cuda.syncthreads()
    x, y = int32(cuda.blockIdx.x), int32(cuda.blockIdx.y)
    stored, row_class, part = t & 7, (t >> 3) & 7, t >> 6
    tile = (int64(y >> 2) * int32(tiles) + x) * 32768 + (y & 3) * 8192
    p = part * 16 + row_class
    q = p + 8
    row_p = y * 64 + (((p >> 1) & 3) << 4) + ((p >> 3) << 1) + (p & 1)
    row_q = y * 64 + (((q >> 1) & 3) << 4) + ((q >> 3) << 1) + (q & 1)
    chunk_p = load4(b, tile + p * 128 + stored * 16)
    chunk_q = load4(b, tile + q * 128 + stored * 16)
    w_p, w_q = load(weights, int64(row_p) * 4), load(weights, int64(row_q) * 4)
    first = (stored ^ row_class) * 16
    for i in range(4):
        for j in range(4):
            entry_p = signed_byte(chunk_p[i], uint32(8 * j))
            entry_q = signed_byte(chunk_q[i], uint32(8 * j))
            total = add32(mul32(w_p, entry_p), mul32(w_q, entry_q))
            cuda.atomic.add(columns, first + 4 * i + j, total)
    cuda.syncthreads()
    if t < 128:
        atomic_add(u, int64(x * 128 + t) * 4, columns[t])


@cuda.jit
def subtract_kernel(r: Any, u: Any, sums: Any, tiles: Any) -> None:
    """sums[i] -= sum over k of R[i][k] * u[k]. Grid (tiles, 2 * tiles), 256 threads: 64 rows a block.

    As above, a thread's rows are equal modulo 8, so that it needs the same 16 words of u for each.
    """
    rows = cuda.shared.array(64, uint32)
    t = int32(cuda.threadIdx.x)
    if t < 64:
        rows[t] = uint32(0)
    cuda.syncthreads()
    x, y = int32(cuda.blockIdx.x), int32(cuda.blockIdx.y)
    stored, row_class, part = t & 7, (t >> 3) & 7, t >> 6
    tile = (int64(y >> 1) * int32(tiles) + x) * 16384 + (y & 1) * 8192
    p = part * 16 + row_class
    chunk_p = load4(r, tile + p * 128 + stored * 16)
    chunk_q = load4(r, tile + (p + 8) * 128 + stored * 16)
    at = int64(x * 128 + (stored ^ row_class) * 16) * 4
    u0, u1 = load4(u, at), load4(u, at + 16)
    u2, u3 = load4(u, at + 32), load4(u, at + 48)
    u16 = u0 + u1 + u2 + u3
    cuda.atomic.add(rows, p, dot16(chunk_p, u16))
    cuda.atomic.add(rows, p + 8, dot16(chunk_q, u16))
    cuda.syncthreads()
    if t < 64:
        atomic_add(sums, int64(y * 64 + t) * 4, add32(~rows[t], uint32(1)))


@cuda.jit
def verdict_kernel(sums: Any, P: Any, verdict: Any, ticket: Any) -> None:
    """Write `ticket` at `verdict` if every sum is zero, 0 otherwise. One block of 1,024 threads."""
    wrong = cuda.shared.array(1, int32)
    t = int32(cuda.threadIdx.x)
    if t == 0:
        wrong[0] = int32(0)
    cuda.syncthreads()
    i = t
    while i < int32(P):
        if load(sums, int64(i) * 4) != uint32(0):
            wrong[0] = int32(1)
        i += int32(VERDICT_THREADS)
    cuda.syncthreads()
    if t == 0:
        good = uint32(0)
        if wrong[0] == 0:
            good = load(ticket, int64(0))
        store(verdict, int64(0), good)
