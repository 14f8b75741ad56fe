"""The check's small kernels on the simulated device.

NUMBA_ENABLE_CUDASIM=1 pytest tests/kernels/cuda
"""

import os

import numpy as np
import pytest

if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
    pytest.skip("numba must start with NUMBA_ENABLE_CUDASIM=1", allow_module_level=True)

from kernels.cuda import check


@pytest.mark.parametrize("count", [4, 256, 1028])
def test_planes_are_u_byte_by_byte(count):
    u = np.random.default_rng(count).integers(0, 1 << 32, count, np.uint32)
    planes = np.zeros(count, np.uint32)
    check.planes_kernel[-(-count // (4 * check.THREADS)), check.THREADS](u, planes, count)
    by_bytes = u.view(np.uint8).reshape(-1, 4, 4)  # of four words each: word, byte
    assert np.array_equal(planes.view(np.uint8).reshape(-1, 4, 4), by_bytes.transpose(0, 2, 1))
