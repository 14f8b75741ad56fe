"""The same int8 product in Triton, with a few autotuned tiles and int32 output: a baseline only.

Imported where torch and triton are installed; nothing else of this program needs them.
"""

import torch
import triton
import triton.language as tl

_CONFIGS = [
    triton.Config({"BM": bm, "BN": bn, "BK": bk}, num_warps=warps, num_stages=stages)
    for bm, bn, bk, warps, stages in (
        (128, 256, 128, 8, 3),
        (128, 256, 128, 8, 4),
        (128, 128, 128, 8, 4),
        (128, 128, 128, 4, 4),
        (64, 128, 128, 4, 4),
    )
]


@triton.autotune(configs=_CONFIGS, key=["n"])
@triton.jit
def _product(a, b, c, n, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):  # type: ignore[no-untyped-def]
    """C = A * transpose(B), n x n; neighbouring programs share operands in bands of 8 (see
    `raster`).
    """
    number = tl.program_id(0)
    down, across = tl.cdiv(n, BM), tl.cdiv(n, BN)
    band = number // (8 * across)
    height = min(down - band * 8, 8)
    i = band * 8 + (number % (8 * across)) % height
    j = (number % (8 * across)) // height
    rows, columns, depth = i * BM + tl.arange(0, BM), j * BN + tl.arange(0, BN), tl.arange(0, BK)
    from_a = a + rows[:, None] * n + depth[None, :]
    from_b = b + columns[None, :] * n + depth[:, None]
    sums = tl.zeros((BM, BN), dtype=tl.int32)
    for _ in range(0, n, BK):
        sums = tl.dot(tl.load(from_a), tl.load(from_b), sums, out_dtype=tl.int32)
        from_a += BK
        from_b += BK
    tl.store(c + rows[:, None] * n + columns[None, :], sums)


def multiply(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> None:
    """Fill c, n x n int32, from a and b, n x n int8, both read along rows; 256 divides n."""
    n = a.shape[0]
    _product[lambda meta: (triton.cdiv(n, meta["BM"]) * triton.cdiv(n, meta["BN"]),)](a, b, c, n)
