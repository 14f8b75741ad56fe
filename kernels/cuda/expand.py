"""Philox4x32-10 on the device: both operands, straight into the product's layout.

One thread makes 16-byte chunks, each from one Philox call; neighbouring threads write neighbouring
chunks. See section 2 of the specification, and `layout.py`. The source is Salmon et al., "Parallel
random numbers: as easy as 1, 2, 3", SC'11.
"""

from typing import Any

from numba import cuda, int32, int64, uint32

from kernels.cuda.words import add32, load, multiply_wide, store4, xor3

THREADS = 256
CHUNKS_A_BLOCK = 1024
"""Chunks of a 128-row tile: a block of threads writes one."""


@cuda.jit(device=True)
def philox(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> Any:
    """Ten rounds: four 32-bit words."""
    for _ in range(10):
        high0, low0 = multiply_wide(uint32(0xD2511F53), c0)
        high1, low1 = multiply_wide(uint32(0xCD9E8D57), c2)
        c0, c1, c2, c3 = xor3(high1, c1, k0), low1, xor3(high0, c3, k1), low0
        k0 = add32(k0, uint32(0x9E3779B9))
        k1 = add32(k1, uint32(0xBB67AE85))
    return c0, c1, c2, c3


@cuda.jit(device=True)
def keep_bytes(word: Any, count: Any) -> Any:
    """The first `count` bytes of a little-endian word, zero in place of the others."""
    if count >= 4:
        return word
    if count <= 0:
        return uint32(0)
    return uint32(word & ((uint32(1) << uint32(8 * count)) - uint32(1)))


@cuda.jit
def expand_kernel(a: Any, b: Any, seed: Any, n: Any, tiles: Any) -> None:
    """Write A and B; `seed` is a buffer of 32 bytes, `tiles` = P / 128.

    Grid (tiles, 2 * tiles), 256 threads: block (x, y) writes tile (y, x) of A, or, from y = tiles on,
    the 128-row half tile (y - tiles, x) of B.
    """
    x, y = int32(cuda.blockIdx.x), int32(cuda.blockIdx.y)
    tiles = int32(tiles)
    n = int32(n)
    is_b = y >= tiles
    half = int32(0)
    if is_b:
        y -= tiles
        half = int32(16)
    k0, k1 = load(seed, int64(half)), load(seed, int64(half + 4))
    c2, c3 = load(seed, int64(half + 8)), load(seed, int64(half + 12))
    for step in range(CHUNKS_A_BLOCK // THREADS):
        chunk = int32(cuda.threadIdx.x) + int32(step * THREADS)
        position = chunk >> 3
        q = x * 8 + ((chunk & 7) ^ (position & 7))
        if is_b:
            p = position & 63
            row = (position & 64) + (((p >> 1) & 3) << 4) + ((p >> 3) << 1) + (p & 1)
            # A tile of B has 256 rows: two of these blocks.
            offset = (int64(y >> 1) * tiles + x) * 32768 + (y & 1) * 16384 + chunk * 16
        else:
            row = position
            offset = (int64(y) * tiles + x) * 16384 + chunk * 16
        row += y * 128
        w0, w1, w2, w3 = uint32(0), uint32(0), uint32(0), uint32(0)
        left = n - q * 16
        if row < n and left > 0:
            w0, w1, w2, w3 = philox(uint32(q), uint32(row), c2, c3, k0, k1)
            if left < 16:
                w0, w1 = keep_bytes(w0, left), keep_bytes(w1, left - 4)
                w2, w3 = keep_bytes(w2, left - 8), keep_bytes(w3, left - 12)
        if is_b:
            store4(b, offset, w0, w1, w2, w3)
        else:
            store4(a, offset, w0, w1, w2, w3)
