"""Rows of A and B: the reference against plain Python, and the CPU's kernel against the reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.expand import Operand, reference
from tests.kernels import oracle

HALVES = st.binary(min_size=16, max_size=16)
ROWS = st.lists(st.integers(0, 65_535), min_size=1, max_size=5)


def expanded(implementation, half, rows, n):
    out = np.full((len(rows), n), 77, np.int8)
    implementation.expand_rows(Operand.from_half_seed(half), np.array(rows, np.int64), out)
    return out


def test_philox_known_answer():
    """Random123's own: counter and key zero."""
    zero = np.zeros((), np.uint64)
    words = [int(word) for word in reference.philox((zero, zero, zero, zero), 0, 0)]
    assert words == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert oracle.philox([0] * 4, [0] * 2) == words


@settings(deadline=None)
@given(half=HALVES, rows=ROWS, n=st.integers(1, 70))
def test_like_plain_python(operations, half, rows, n):
    expected = [[oracle.entry(half, row, k) for k in range(n)] for row in rows]
    assert expanded(operations, half, rows, n).tolist() == expected


@settings(deadline=None)
@given(half=HALVES, rows=ROWS, n=st.integers(1, 3000))
def test_cpu_like_reference(fast, half, rows, n):
    assert np.array_equal(expanded(fast, half, rows, n), expanded(reference, half, rows, n))


@pytest.mark.parametrize("n", [1, 15, 16, 17, 255, 1023, 1024, 1025, 65_535, 65_536])
def test_around_blocks(fast, n):
    half = bytes(range(200, 216))
    rows = [0, 65_535, 3]
    assert np.array_equal(expanded(fast, half, rows, n), expanded(reference, half, rows, n))


def test_a_row_does_not_depend_on_n(fast):
    half = bytes(range(16))
    assert np.array_equal(expanded(fast, half, [7], 300)[:, :100], expanded(fast, half, [7], 100))


@settings(deadline=None, max_examples=30)
@given(half=HALVES, panel=st.integers(0, 2046), p=st.integers(1, 70), n=st.integers(1, 700))
def test_b_straight_into_panels(fast, half, panel, p, n):
    """Quads of 32 rows side by side; zero beyond n, whatever the memory held before."""
    first = 32 * panel
    B = fast.empty_b(p, n)
    B.quads[:] = -1
    fast.expand_b(Operand.from_half_seed(half), first, B)
    rows = list(range(first, min(first + p, 65_536)))
    expected = np.zeros((len(rows), 4 * B.quads.shape[1]), np.int8)
    expected[:, :n] = expanded(reference, half, rows, n)
    laid_out = B.quads.view(np.int8).reshape(*B.quads.shape, 4).transpose(0, 2, 1, 3)
    assert np.array_equal(laid_out.reshape(-1, expected.shape[1])[: len(rows)], expected)


def test_entries_of_a_row_must_lie_side_by_side(fast):
    with pytest.raises(ValueError, match="side by side"):
        fast.expand_rows(Operand(1, 2, 3, 4), np.array([0]), np.empty((1, 10), np.int8)[:, ::2])
