"""The verdict on a product's check, by all multiprocessors: how many of its rows' sums are zero.

`check.verdict_kernel` is one block. The products of a network have many more rows than columns, and
there it took longer than the product.
"""

from typing import Any

from kernels.cuda.compiler import cuda, int32, int64, uint32
from kernels.cuda.intrinsics import atomic_add, load4

THREADS = 256
EACH = 4
"""Words that a thread reads at a time."""


@cuda.jit
def zero_sums_kernel(sums: Any, verdict: Any, count: Any) -> None:
    """Add to `verdict` how many of `count` sums, a multiple of 4, are zero. Any grid."""
    found = cuda.shared.array(1, int32)
    thread = int32(cuda.threadIdx.x)
    if thread == 0:
        found[0] = 0
    cuda.syncthreads()
    mine = int32(0)
    at = int64(cuda.grid(1)) * EACH
    while at < count:
        for word in load4(sums, int64(at * 4)):
            mine = int32(mine + (word == uint32(0)))
        at += int64(cuda.gridsize(1)) * EACH
    cuda.atomic.add(found, 0, mine)
    cuda.syncthreads()
    if thread == 0:
        atomic_add(verdict, int64(0), uint32(found[0]))
