"""Rows of A and B: the reference against plain Python, and the CPU's kernel against the reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.expand import Operand, cpu, reference
from tests.kernels import oracle

HALVES = st.binary(min_size=16, max_size=16)
ROWS = st.lists(st.integers(0, 65_535), min_size=1, max_size=5)


def expanded(module, half, rows, n):
    out = np.full((len(rows), n), 77, np.int8)
    module.expand_rows(Operand.from_half_seed(half), np.array(rows, np.int64), out)
    return out


def test_philox_known_answer():
    """Random123's own: counter and key zero."""
    zero = np.zeros((), np.uint64)
    words = [int(word) for word in reference.philox((zero, zero, zero, zero), 0, 0)]
    assert words == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert oracle.philox([0] * 4, [0] * 2) == words


@pytest.mark.parametrize("module", [reference, cpu])
@settings(deadline=None)
@given(half=HALVES, rows=ROWS, n=st.integers(1, 70))
def test_like_plain_python(module, half, rows, n):
    expected = [[oracle.entry(half, row, k) for k in range(n)] for row in rows]
    assert expanded(module, half, rows, n).tolist() == expected


@settings(deadline=None)
@given(half=HALVES, rows=ROWS, n=st.integers(1, 3000))
def test_cpu_like_reference(half, rows, n):
    assert np.array_equal(expanded(cpu, half, rows, n), expanded(reference, half, rows, n))


@pytest.mark.parametrize("n", [1, 15, 16, 17, 255, 1023, 1024, 1025, 65_535, 65_536])
def test_around_blocks(n):
    half = bytes(range(200, 216))
    rows = [0, 65_535, 3]
    assert np.array_equal(expanded(cpu, half, rows, n), expanded(reference, half, rows, n))


def test_a_row_does_not_depend_on_n():
    half = bytes(range(16))
    assert np.array_equal(expanded(cpu, half, [7], 300)[:, :100], expanded(cpu, half, [7], 100))
