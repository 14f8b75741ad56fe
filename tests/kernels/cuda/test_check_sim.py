"""The check's arithmetic on the simulated device.

NUMBA_ENABLE_CUDASIM=1 pytest tests/kernels/cuda
"""

import os

import numpy as np
import pytest

if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
    pytest.skip("numba must start with NUMBA_ENABLE_CUDASIM=1", allow_module_level=True)

from numba import cuda

from kernels.cuda import bytewise, check
from kernels.cuda.intrinsics import load4


@cuda.jit
def dot_kernel(chunk, u, found):
    """16 bytes times 16 words, both ways."""
    c = load4(chunk, 0)
    u0, u1, u2, u3 = load4(u, 0), load4(u, 16), load4(u, 32), load4(u, 48)
    found[0] = check.dot16(c, u0, u1, u2, u3)
    planes = (
        bytewise.by_bytes(u0),
        bytewise.by_bytes(u1),
        bytewise.by_bytes(u2),
        bytewise.by_bytes(u3),
    )
    found[1] = bytewise.dot16_by_bytes(c, planes[0], planes[1], planes[2], planes[3])


# The simulator computes with numpy's scalars, which warn where a GPU wraps around.
@pytest.mark.filterwarnings("ignore:overflow encountered")
@pytest.mark.parametrize("seed", range(8))
def test_bytes_times_words_in_both_ways(seed):
    rng = np.random.default_rng(seed)
    chunk, u = rng.integers(-128, 128, 16, np.int8), rng.integers(0, 1 << 32, 16, np.uint32)
    if seed < 2:
        chunk[:], u[:] = (-128, 0xFFFFFFFF) if seed else (127, 0x80000000)
    found = np.zeros(2, np.uint32)
    dot_kernel[1, 1](chunk.view(np.uint32), u, found)
    expected = int(chunk.astype(np.int64) @ u.astype(np.int64)) % (1 << 32)
    assert found.tolist() == [expected, expected]
