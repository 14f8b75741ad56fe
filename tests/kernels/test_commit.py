"""Leaves and levels: both implementations against hashlib, for every length that can be."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.commit import cpu, reference
from kernels.commit.sha256 import hash_many, state_after_prefix
from kernels.digest import tag_prefix, tagged_hash
from tests.kernels import oracle

IMPLEMENTATIONS = pytest.mark.parametrize("module", [reference, cpu])


def test_tagged_hash():
    assert tagged_hash("cpc/leaf", b"abc") == oracle.tagged("cpc/leaf", b"abc")


@pytest.mark.parametrize("size", range(1, 260))
def test_many_lane_sha256(size):
    rng = np.random.default_rng(size)
    count, stride = int(rng.integers(1, 140)), size + int(rng.integers(0, 3))
    data = rng.integers(0, 256, count * stride, np.uint8)
    out = np.zeros((count, 2, 32), np.uint8)
    hash_many(state_after_prefix("cpc/leaf"), data, stride, size, out, 1)
    for i in range(count):
        message = data[i * stride : i * stride + size].tobytes()
        expected = hashlib.sha256(tag_prefix("cpc/leaf") + message).digest()
        assert out[i, 1].tobytes() == expected
    assert not out[:, 0].any()


@IMPLEMENTATIONS
@settings(deadline=None)
@given(m=st.integers(1, 130), n=st.integers(1, 700), number=st.integers(0, 2**32 - 1))
def test_leaves(module, m, n, number):
    R = np.random.default_rng(number).integers(-128, 128, (m, n), np.int8)
    out = np.zeros((m * -(-n // 256), 32), np.uint8)
    module.hash_leaves(R, out)
    assert [digest.tobytes() for digest in out] == oracle.leaves(R.tolist())


@IMPLEMENTATIONS
@pytest.mark.parametrize("count", [2, 3, 4, 127, 128, 129, 130, 300])
def test_level(module, count):
    nodes = np.random.default_rng(count).integers(0, 256, (count, 32), np.uint8)
    out = np.zeros(((count + 1) // 2, 32), np.uint8)
    module.hash_level(nodes, out)
    for parent in range(count // 2):
        pair = nodes[2 * parent : 2 * parent + 2].tobytes()
        assert out[parent].tobytes() == oracle.tagged("cpc/node", pair)
    if count % 2:
        assert np.array_equal(out[-1], nodes[-1])
