"""Philox4x32-10 on the device: four random words from a counter and a key.

Section 2 of the specification; Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11.
"""

import struct
from typing import Any

from kernels.cuda.compiler import cuda, uint32
from kernels.cuda.intrinsics import add32, multiply_wide, xor3


def words_of(seed: bytes) -> tuple[int, ...]:
    """A seed in parts of 8 bytes, little-endian, as kernels take it: key, counter, key, ..."""
    return struct.unpack(f"<{len(seed) // 8}q", seed)


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
