"""Reads digests out of the tree on the device: for openings, wherever they lie."""

from typing import Any

from kernels.cuda.compiler import cuda, int32, int64
from kernels.cuda.intrinsics import load, load4, store4, swap_bytes

THREADS = 128


@cuda.jit
def gather_kernel(tree: Any, places: Any, out: Any, count: Any) -> None:
    """Copy `count` digests, turned from SHA-256's words into bytes.

    `places`: buffer of 32-bit digest numbers (byte offset / 32). Grid count / 128 rounded up.
    """
    i = int32(cuda.blockIdx.x) * int32(THREADS) + int32(cuda.threadIdx.x)
    if i < int32(count):
        at = int64(load(places, int64(i) * 4)) * 32
        for half in range(2):
            a, b, c, d = load4(tree, at + half * 16)
            store4(
                out,
                int64(i) * 32 + half * 16,
                swap_bytes(a),
                swap_bytes(b),
                swap_bytes(c),
                swap_bytes(d),
            )
