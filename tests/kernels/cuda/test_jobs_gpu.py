"""Products and networks on a real card: docs/jobs.md's vectors, and against the reference.

    python -m pytest tests/kernels/cuda/test_jobs_gpu.py

Skipped, by name, where there is no card.
"""

import importlib.util
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if importlib.util.find_spec("numba_cuda") is None or os.environ.get("NUMBA_ENABLE_CUDASIM"):
    pytest.skip("needs numba-cuda and a GPU", allow_module_level=True)

from numba import cuda

if not cuda.is_available():
    pytest.skip("needs a GPU", allow_module_level=True)

from engine.jobs.blobs import BlobCache
from engine.jobs.inference import quantise_pixels
from engine.jobs.kind import JobLimits
from engine.jobs.models import digits
from engine.jobs.registry import load_kinds, parse_job
from kernels.devices import open_device
from kernels.network import fast, reference
from kernels.network.model import decode_network
from tests.kernels.network.conftest import networks

SHARED = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def card():
    with open_device("cuda:0") as device:
        yield device


def test_vectors(card, vectors, tmp_path):
    cache = BlobCache(tmp_path, 1 << 20)
    cache.put(digits.model_bytes())
    kinds = load_kinds()
    for kind in ("synthetic", "matmul", "inference"):
        for vector in vectors("jobs")[kind]:
            job = parse_job(kinds, vector["payload"], JobLimits(), cache)
            outcome = job.run(card)
            assert outcome.result_hash.hex() == vector["result_hash"]
            assert outcome.proof == vector.get("proof")
            job.check(outcome)


def test_every_digit(card):
    network = decode_network(digits.model_bytes())
    batch = quantise_pixels(network, digits.test_set()[0])
    assert np.array_equal(fast.forward(network, batch, card), reference.forward(network, batch))


@SHARED
@given(networks(), st.integers(1, 3), st.integers(0, 2**32))
def test_networks(card, network, count, number):
    shape = (count, *network.input_shape)
    batch = np.random.default_rng(number).integers(-128, 128, shape).astype(np.int8)
    assert np.array_equal(fast.forward(network, batch, card), reference.forward(network, batch))


@SHARED
@given(
    m=st.integers(1, 600),
    n=st.integers(1, 600),
    k=st.integers(1, 1200),
    number=st.integers(0, 2**32),
)
def test_products(card, m, n, k, number):
    entries = np.random.default_rng(number).integers(-128, 128, (m + n, k)).astype(np.int8)
    # Exact through float64: sums of 1,200 products.
    expected = entries[:m].astype(np.float64) @ entries[m:].astype(np.float64).T
    assert np.array_equal(card.multiply(entries[:m], entries[m:]), expected)


@pytest.mark.parametrize("k", [65_535, 65_536])
def test_longest_sums(card, k):
    A, B = np.full((3, k), -128, np.int8), np.full((130, k), -128, np.int8)
    B[::2] = 127
    C = card.multiply(A, B)
    assert (C[:, ::2] == -128 * 127 * k).all()
    assert (C[:, 1::2] == 2**14 * k).all()
