"""The folded product: both implementations against exact 64-bit sums, extremes included."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernels import host, memory
from kernels.device import Device
from kernels.devices import open_device
from kernels.errors import InvalidTask, TaskTooLarge
from kernels.operations import REFERENCE
from kernels.product import reference
from tests.kernels import oracle


def exact(R, B):
    C = R.astype(np.int64) @ B.astype(np.int64).T
    return ((C ^ (C >> 8)) & 0xFF).astype(np.uint8).view(np.int8)


def product(operations, R, B):
    (m, n), p = R.shape, len(B)
    rows, packed = operations.empty_rows(m, n), operations.empty_b(p, n)
    rows[:m, :n] = R
    operations.load_b(B, packed)
    out = operations.empty_rows(m, p)
    operations.multiply_fold(rows, packed, out)
    return out[:m, :p]


@settings(deadline=None)
@given(
    m=st.integers(1, 70),
    p=st.integers(1, 70),
    n=st.integers(1, 600),
    number=st.integers(0, 2**32 - 1),
)
def test_like_exact_sums(operations, m, p, n, number):
    entries = np.random.default_rng(number).integers(-128, 128, (m + p, n), np.int8)
    R, B = entries[:m], entries[m:]
    assert np.array_equal(product(operations, R, B), exact(R, B))


@pytest.mark.parametrize("n", [1, 63, 64, 65, 1024, 65_536])
@pytest.mark.parametrize(("x", "y"), [(-128, -128), (-128, 127), (127, 127), (127, -128)])
def test_extreme_rows(operations, n, x, y):
    R, B = np.full((5, n), x, np.int8), np.full((6, n), y, np.int8)
    expected = oracle.fold(n * x * y)
    assert (product(operations, R, B) == expected).all()


def test_fold_takes_every_low_bit(operations):
    """One entry of R against 1: C runs over every int8; against 128 copies, over multiples."""
    R = np.arange(-128, 128, dtype=np.int8).reshape(256, 1)
    for factor in (1, -1, 127, -128):
        B = np.array([[factor]], np.int8)
        expected = [[oracle.fold(int(x) * factor)] for x in R[:, 0]]
        assert product(operations, R, B).tolist() == expected


def test_reference_in_blocks(monkeypatch):
    entries = np.random.default_rng(5).integers(-128, 128, (40, 100), np.int8)
    monkeypatch.setattr(reference, "BLOCK_ENTRIES", 700)
    assert np.array_equal(
        product(REFERENCE, entries[:23], entries[23:]), exact(entries[:23], entries[23:])
    )


def test_many_blocks(fast):
    """More rows than a strip, more columns than a block, k in three pieces, something left of each."""
    entries = np.random.default_rng(6).integers(-128, 128, (300 + 600, 1100), np.int8)
    entries[299], entries[899] = -128, -128
    R, B = entries[:300], entries[300:]
    assert np.array_equal(product(fast, R, B), exact(R, B))


def test_no_room_for_whole_panels(fast):
    R, B = fast.empty_rows(3, 64), fast.empty_b(40, 64)
    with pytest.raises(ValueError, match="empty_rows"):
        fast.multiply_fold(R, B, np.empty((3, 64), np.int8))
    with pytest.raises(ValueError, match="empty_rows"):
        fast.multiply_fold(R, B, np.empty((32, 40), np.int8))


@pytest.mark.parametrize("name", ["cpu", "reference"])
@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    m=st.integers(1, 150),
    n=st.integers(1, 70),
    k=st.integers(1, 600),
    number=st.integers(0, 2**32 - 1),
)
def test_multiply_like_exact_sums(name, request, m, n, k, number):
    device: Device = request.getfixturevalue(name)
    entries = np.random.default_rng(number).integers(-128, 128, (m + n, k), np.int8)
    C = device.multiply(entries[:m], entries[m:])
    assert C.dtype == np.int32
    assert np.array_equal(C, entries[:m].astype(np.int64) @ entries[m:].astype(np.int64).T)


def test_products_of_one_shape_after_another(monkeypatch):
    """Each with the B that it was given, whether threads load it apart or together."""
    rng = np.random.default_rng(3)
    with open_device("cpu", threads=3) as device:
        for most in (host.MOST_OWN_B, 0):
            monkeypatch.setattr(host, "MOST_OWN_B", most)
            for n in (70, 70, 33, 70):
                A, B = rng.integers(-128, 128, (2, n, 200), np.int8)
                expected = A.astype(np.int64) @ B.astype(np.int64).T
                assert np.array_equal(device.multiply(A, B), expected)


@pytest.mark.parametrize("name", ["cpu", "reference"])
def test_multiply_extremes(name, request):
    """The longest sums, of the largest products; and operands that are views."""
    device: Device = request.getfixturevalue(name)
    A, B = np.full((65, 65_536), -128, np.int8), np.full((3, 65_536), -128, np.int8)
    assert (device.multiply(A, B) == 2**30).all()
    assert (device.multiply(A[:, ::2], B[::2, 1::2]) == 2**29).all()
    fallback = Device.multiply(device, A[:2], B)
    assert (fallback == 2**30).all()


@pytest.mark.parametrize(
    ("a", "b"),
    [((1, 3), (1, 4)), ((0, 3), (1, 3)), ((1, 0), (1, 0)), ((3,), (1, 3)), ((1, 65_537),) * 2],
)
def test_multiply_refuses(a, b, cpu):
    with pytest.raises(InvalidTask):
        cpu.multiply(np.ones(a, np.int8), np.ones(b, np.int8))


def test_multiply_refuses_other_types_and_too_much(cpu, monkeypatch):
    with pytest.raises(InvalidTask, match="int8"):
        cpu.multiply(np.ones((2, 2), np.uint8), np.ones((2, 2), np.int8))
    A = np.ones((1000, 1), np.int8)
    monkeypatch.setattr(memory, "available_memory", lambda: 2**20)
    with pytest.raises(TaskTooLarge, match="1000 x 1000"):
        cpu.multiply(A, A)
