"""The product's plain tiers under the CUDA simulator, against numpy.

The simulator is Python, thread by thread: about a second for 64 x 64 entries of P = 256. So most tests
compute some squares of C only, through another `raster`; the rest of the output must stay untouched.
"""

import numpy as np
import pytest
from numba import config

if not config.ENABLE_CUDASIM:
    pytest.skip("needs the CUDA simulator: NUMBA_ENABLE_CUDASIM=1", allow_module_level=True)

from kernels.cuda import launch, layout
from kernels.cuda.product import dp4a, epilogue, simt
from tests.variants import quick_and_slow

UNTOUCHED = 0x5A5A5A5A
WORST = -128

# The simulator adds numpy's scalars, which warn where a GPU wraps around.
pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered")


def matrices(n):
    """A and B with the extreme rows: -128 against -128, and against 127."""
    generator = np.random.default_rng(n)
    A = generator.integers(-128, 128, (n, n), dtype=np.int8)
    B = generator.integers(-128, 128, (n, n), dtype=np.int8)
    A[0], B[0], B[-1] = WORST, WORST, 127
    A[n // 2] = B[n // 2] = WORST
    return A, B


def check(monkeypatch, tier, n, output, checked, squares=None, **options):
    P = layout.padded(n)
    A, B = matrices(n)
    spec = tier.build(output, checked, **options)
    (count,) = spec.grid(P, P, 1)
    side = P // int(count**0.5)
    if squares is None:
        squares = [divmod(number, P // side) for number in range(count)]
    else:
        chosen = squares
        monkeypatch.setattr(simt, "raster", lambda number, *_: chosen[int(number)])

    generator = np.random.default_rng(P)
    a = layout.to_tiles(A, layout.offsets_a(P)).view(np.uint32)
    b = layout.to_tiles(B, layout.offsets_b(P)).view(np.uint32)
    out = np.full(P * P // 4 if output == "fold" else P * P, UNTOUCHED, np.uint32)
    weights = generator.integers(0, 2**32, P, dtype=np.uint32)
    before = generator.integers(0, 2**32, P, dtype=np.uint32)
    sums = before.copy()
    spec.kernel[len(squares), spec.threads](a, b, out, weights, sums, P, P, P)

    C = np.zeros((P, P), np.int64)
    C[:n, :n] = A.astype(np.int64) @ B.T.astype(np.int64)
    mine = np.zeros((P, P), bool)
    for i, j in squares:
        mine[i * side : (i + 1) * side, j * side : (j + 1) * side] = True
    if output == "fold":
        got = layout.from_tiles(out.view(np.int8), layout.offsets_a(P), P)
        want = ((C ^ (C >> 8)) & 0xFF).astype(np.uint8).view(np.int8)
        untouched = np.int8(UNTOUCHED & 0x7F)
    else:
        got, want = out.view(np.int32).reshape(P, P), C.astype(np.int32)
        untouched = np.int32(UNTOUCHED)
    np.testing.assert_array_equal(got, np.where(mine, want, untouched))

    C = np.where(mine, C, 0).astype(np.uint64)
    added = (C * weights.astype(np.uint64)).sum(axis=1).astype(np.uint32)
    np.testing.assert_array_equal(sums, before + added if checked else before)


@pytest.mark.slow
def test_the_whole_product(monkeypatch):
    check(monkeypatch, dp4a, 256, "fold", True)


@pytest.mark.parametrize("n", quick_and_slow([17], [1]))
def test_small_matrices(monkeypatch, n):
    check(monkeypatch, simt, n, "fold", True, [(0, 0)])
    check(monkeypatch, simt, n, "int32", True, [(0, 1)])


@pytest.mark.parametrize(
    ("output", "tiles"),
    quick_and_slow(
        [("fold", [(2, 2)])],
        [("fold", [(0, 2), (2, 0), (3, 1)]), ("int32", [(0, 2), (2, 0), (2, 2), (3, 1)])],
    ),
)
def test_a_size_that_is_no_multiple_of_anything(monkeypatch, output, tiles):
    check(monkeypatch, simt, 130, output, output == "fold", tiles)


@pytest.mark.slow
def test_several_tiles_of_a_and_of_b(monkeypatch):
    check(monkeypatch, simt, 300, "fold", False, [(0, 0), (1, 3), (4, 2), (7, 4)])
    check(monkeypatch, dp4a, 300, "int32", True, [(1, 2)])


@pytest.mark.slow
def test_simt_in_larger_squares(monkeypatch):
    check(monkeypatch, simt, 256, "int32", False, [(1, 0)], config=simt.SimtConfig(2))


def test_dp4a_in_smaller_squares(monkeypatch):
    check(monkeypatch, dp4a, 300, "fold", True, [(4, 4)], config=simt.SimtConfig(1))


def test_no_other_product():
    with pytest.raises(ValueError, match="no such product"):
        simt.build("int8")
    with pytest.raises(ValueError, match="no such product"):
        dp4a.build(config=simt.SimtConfig(3))


def test_dot4_as_the_gpu_computes_it():
    words = np.random.default_rng(4).integers(0, 2**32, (64, 2), dtype=np.uint32)
    words[0], words[1] = 0x80808080, (0x80808080, 0x7F7F7F7F)
    for x, y in words:
        product = np.array([x]).view(np.int8).astype(int) @ np.array([y]).view(np.int8).astype(int)
        for total in (0, -5, 2**30):
            assert simt.dot4_on_gpu.py_func(x, y, np.int32(total)) == total + product
            assert simt.scalar_product(x, y, np.int32(total)) == total + product


def test_fold4():
    C = np.random.default_rng(5).integers(-(2**31), 2**31, (64, 4))
    for four in C:
        want = ((four ^ (four >> 8)) & 0xFF).astype(np.uint8).view(np.uint32)[0]
        assert epilogue.fold4(*four.astype(np.int32)) == want


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (4, 4), (8, 8), (20, 20), (3, 6), (9, 5)])
def test_raster_visits_every_tile_once(rows, columns):
    visited = [launch.raster.py_func(k, rows, columns, 8) for k in range(rows * columns)]
    assert sorted((int(i), int(j)) for i, j in visited) == [
        (i, j) for i in range(rows) for j in range(columns)
    ]
    # Those of a band of 8 rows come before any of the next band.
    assert [int(i) // 8 for i, _ in visited] == sorted(int(i) // 8 for i, _ in visited)
