"""tests/vectors/jobs.json, which docs/jobs.md points to, on every device."""

import hashlib

import numpy as np
import pytest

from engine.jobs.kind import JobLimits
from engine.jobs.models import digits
from engine.jobs.registry import parse_job
from kernels.network import Rescale, cpu, reference

DEVICES = pytest.mark.parametrize("name", ["cpu", "reference"])
KINDS = ("synthetic", "matmul", "inference")


@pytest.fixture
def jobs(vectors, kinds, cache):
    """Vector and job of every vector that has a payload."""
    cache.put(digits.model_bytes())
    found = [vector for kind in KINDS for vector in vectors("jobs")[kind]]
    return [(vector, parse_job(kinds, vector["payload"], JobLimits(), cache)) for vector in found]


@DEVICES
def test_results(jobs, name, request):
    device = request.getfixturevalue(name)
    assert len(jobs) == 7
    for vector, job in jobs:
        outcome = job.run(device)
        assert outcome.result_hash.hex() == vector["result_hash"]
        assert outcome.proof == vector.get("proof")
        if "data_sha256" in vector:
            assert hashlib.sha256(outcome.data).hexdigest() == vector["data_sha256"]
        if "outputs" in vector:
            assert job.form.entries(outcome.data).tolist() == vector["outputs"]
            best = np.argmax(vector["outputs"], axis=1)
            assert best.tolist() == vector["labels"]


@DEVICES
def test_openings(jobs, name, request):
    device = request.getfixturevalue(name)
    for vector, job in jobs:
        if "opened" in vector:
            assert job.leaf_count == vector["leaf_count"]
            result_hash = bytes.fromhex(vector["result_hash"])
            opened = job.opening(result_hash, vector["opened"]).run(device)
            assert opened.data.hex() == vector["siblings"]
            job.check_leaves(result_hash, vector["opened"], bytes.fromhex(vector["siblings"]))


@pytest.mark.parametrize("operations", [reference.OPERATIONS, cpu.OPERATIONS])
def test_requantisation(vectors, operations):
    for total, multiplier, shift, zero, low, high, expected in vectors("jobs")["requantise"]:
        to = Rescale(
            np.zeros(1, np.int32),
            np.array([multiplier], np.int32),
            np.array([shift], np.uint8),
            zero,
            low,
            high,
        )
        assert operations.rescale(np.array([[total]], np.int32), to).tolist() == [[expected]]
