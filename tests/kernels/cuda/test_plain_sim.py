"""Row-major matrices out of tiles, the fold as a pass of its own, and the comparison, simulated."""

import numpy as np
import pytest
from numba import config

if not config.ENABLE_CUDASIM:
    pytest.skip("needs the CUDA simulator: NUMBA_ENABLE_CUDASIM=1", allow_module_level=True)

from kernels.cuda import layout, plain

UNTOUCHED = 0x5A5A5A5A
N = 208
RNG = np.random.default_rng(18)


@pytest.mark.parametrize("as_b", [0, 1])
def test_unpacking_gives_the_matrix_back(as_b):
    matrix = RNG.integers(-128, 128, (N, N), dtype=np.int8)
    P = layout.padded(N)
    offsets = layout.offsets_b(P) if as_b else layout.offsets_a(P)
    to = np.full(N * N // 4 + 4, UNTOUCHED, np.uint32)
    tiles = layout.to_tiles(matrix, offsets).view(np.uint32)
    plain.unpack_kernel[(P // 128, P // 128, 4), plain.THREADS](tiles, to, N, P // 128, as_b)
    np.testing.assert_array_equal(to[:-4].view(np.int8).reshape(N, N), matrix)
    assert (to[-4:] == UNTOUCHED).all()


def test_the_fold_is_the_specification_s():
    C = RNG.integers(-(2**31), 2**31, 4100, dtype=np.int64).astype(np.int32)
    C[:6] = -(2**31), 2**31 - 1, -1, 0, 255, -32768
    r = np.full(4100 // 4 + 1, UNTOUCHED, np.uint32)
    plain.fold_kernel[2, plain.THREADS](C.view(np.uint32), r, C.size)
    folded = ((C ^ (C >> 8)) & 0xFF).astype(np.uint8)
    np.testing.assert_array_equal(r[:-1].view(np.uint8), folded)
    assert r[-1] == UNTOUCHED


def test_every_word_that_differs_is_counted_and_padding_is_not():
    one = RNG.integers(0, 2**32, (3, 1036), dtype=np.uint32)
    other = np.zeros((3, 1048), np.uint32)
    other[:, :1028] = one[:, :1028]
    found = np.array([7], np.uint32)

    def compare():
        plain.differences_kernel[(2, 3), plain.THREADS](
            one.reshape(-1), other.reshape(-1), found, 1028, 4 * 1036, 4 * 1048
        )
        return int(found[0])

    assert compare() == 7
    for row, column in ((0, 0), (1, 1027), (2, 1024), (2, 1025)):
        other[row, column] ^= 1 << column % 32
    assert compare() == 11
