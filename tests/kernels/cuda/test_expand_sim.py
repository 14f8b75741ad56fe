"""Expansion, the check's vectors and the packing of customers' matrices, in the simulator."""

import numpy as np
import pytest
from numba import config

if not config.ENABLE_CUDASIM:
    pytest.skip("needs the CUDA simulator: NUMBA_ENABLE_CUDASIM=1", allow_module_level=True)

from kernels.cuda import check, expand, layout, pack
from kernels.cuda.philox import words_of
from kernels.expand import operands, reference
from tests.variants import quick_and_slow

SEED = bytes(range(40, 88))

# The simulator computes with numpy's scalars, which warn where a GPU wraps around.
pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered")


@pytest.mark.parametrize("n", quick_and_slow([100, 256], [1, 250]))
def test_some_tiles_of_both_operands(n):
    P, tiles = layout.padded(n), layout.padded(n) // layout.TILE
    a, b = (np.full(P * P // 4, 0x5A5A5A5A, np.uint32) for _ in "ab")
    vectors = np.full(3 * P + 4, 0x5A5A5A5A, np.uint32)
    # One column of tiles: tiles of A, half tiles of B, and the vectors' first 128 words.
    expand.expand_kernel[(1, 2 * tiles + 1), expand.THREADS](
        a, b, vectors, n, tiles, *words_of(SEED), 77
    )
    for found, stream, offsets in zip(
        (a, b), operands(SEED[:32]), (layout.offsets_a(P), layout.offsets_b(P)), strict=True
    ):
        rows = np.empty((n, n), np.int8)
        reference.expand_rows(stream, np.arange(n), rows)
        expected = layout.to_tiles(rows, offsets)[offsets[:, :128]]
        np.testing.assert_array_equal(found.view(np.int8)[offsets[:, :128]], expected)
    weights = np.zeros(P, np.uint32)
    check.weights_kernel[1, 32](weights, *words_of(SEED[32:]), 128)
    np.testing.assert_array_equal(vectors[:128], weights[:128])
    assert len(set(weights[:128].tolist())) == 128
    assert not vectors[P : P + 128].any()
    assert not vectors[2 * P : 2 * P + 128].any()
    assert vectors[3 * P] == 77


@pytest.mark.parametrize(
    ("shape", "as_b"),
    quick_and_slow(
        [((3, 5), False), ((130, 77), True), ((9, 20), False)],
        [((200, 129), False), ((5, 144), True)],
    ),
)
def test_packing(shape, as_b):
    rows, columns = shape
    matrix = np.random.default_rng(rows).integers(-128, 128, shape, dtype=np.int8)
    P = layout.padded(max(shape))
    tiles = P // layout.TILE
    source = np.zeros(-(-matrix.size // 4), np.uint32)
    source.view(np.int8)[: matrix.size] = matrix.ravel()
    to = np.full(P * P // 4, 0x5A5A5A5A, np.uint32)
    used = -(-columns // layout.TILE)
    pack.pack_kernel[(used, tiles, 4), pack.THREADS](source, to, rows, columns, tiles, int(as_b))
    offsets = layout.offsets_b(P) if as_b else layout.offsets_a(P)
    some = offsets[:, : used * layout.TILE]
    expected = layout.to_tiles(matrix, offsets)[some]
    np.testing.assert_array_equal(to.view(np.int8)[some], expected)
