"""Leaves and levels: both implementations against hashlib, for every length that can be."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.commit.sha256 import padding_words, state_after_prefix
from kernels.cpu.commit import lanes, messages, shani
from kernels.cpu.features import usable_features
from kernels.cpu.jit import Jit, finish
from kernels.digest import tag_prefix, tagged_hash
from tests.kernels import oracle
from tests.variants import quick_and_slow

METHODS = {
    "lanes16": lambda jit: lanes.build(jit, 16),
    "lanes8": lambda jit: lanes.build(jit, 8),
    "shani": shani.build,
}


@pytest.fixture(scope="module", params=quick_and_slow(["lanes8", "shani"], ["lanes16"]))
def hash_messages(request):
    if request.param == "shani" and not usable_features() >= shani.FEATURES:
        pytest.skip("this CPU has no SHA-NI")
    jit = Jit(f"test-{request.param}")
    kernel = messages.build(jit, METHODS[request.param](jit))
    finish([jit])
    return kernel


def test_tagged_hash():
    assert tagged_hash("cpc/leaf", b"abc") == oracle.tagged("cpc/leaf", b"abc")


@pytest.mark.parametrize(
    "sizes",
    quick_and_slow([[*range(1, 257, 11), 55, 56, 63, 64, 65, 119, 120, 128, 256]], [range(1, 257)]),
    ids=["some", "all"],
)
def test_many_messages(hash_messages, sizes):
    """Lengths of a leaf, every way that the last group can be filled, and gaps between."""
    state = state_after_prefix("cpc/leaf")
    for size in sizes:
        rng = np.random.default_rng(size)
        count, stride = int(rng.integers(1, 40)), size + int(rng.integers(0, 3))
        data = rng.integers(0, 256, count * stride, np.uint8)
        out = np.zeros((count, 2, 32), np.uint8)
        here, padding = out.reshape(-1)[32:], padding_words(size)
        hash_messages(state, padding, data.ctypes.data, stride, size, here, 64, count)
        for i in range(count):
            message = data[i * stride : i * stride + size].tobytes()
            expected = hashlib.sha256(tag_prefix("cpc/leaf") + message).digest()
            assert out[i, 1].tobytes() == expected
        assert not out[:, 0].any()


@settings(deadline=None)
@given(m=st.integers(1, 130), n=st.integers(1, 700), number=st.integers(0, 2**32 - 1))
def test_leaves(operations, m, n, number):
    R = np.random.default_rng(number).integers(-128, 128, (m, n), np.int8)
    out = np.zeros((m * -(-n // 256), 32), np.uint8)
    operations.hash_leaves(R, out)
    assert [digest.tobytes() for digest in out] == oracle.leaves(R.tolist())


@pytest.mark.parametrize("count", [2, 3, 4, 127, 128, 129, 130, 300])
def test_level(operations, count):
    nodes = np.random.default_rng(count).integers(0, 256, (count, 32), np.uint8)
    out = np.zeros(((count + 1) // 2, 32), np.uint8)
    operations.hash_level(nodes, out)
    for parent in range(count // 2):
        pair = nodes[2 * parent : 2 * parent + 2].tobytes()
        assert out[parent].tobytes() == oracle.tagged("cpc/node", pair)
    if count % 2:
        assert np.array_equal(out[-1], nodes[-1])
