"""The specification's 15 vectors, on every device."""

import numpy as np
import pytest

from kernels.check import check_full, check_proof
from kernels.device import Device
from kernels.devices import available_devices
from kernels.expand import operands
from kernels.proof import draw_openings
from kernels.task import Task

COUNT = 15
REFERENCE_UP_TO = 1024


@pytest.fixture(params=range(COUNT))
def vector(request, vectors):
    every = vectors("matrix_mult_v1")
    assert len(every) == COUNT
    return every[request.param]


def task_of(vector) -> Task:
    return Task(bytes.fromhex(vector["seed"]), vector["matrix_size"], vector["iterations"])


@pytest.mark.parametrize("name", available_devices())
def test_root_and_proof(vector, name, request):
    if name == "reference" and vector["matrix_size"] > REFERENCE_UP_TO:
        pytest.skip("the reference is slow")
    device: Device = request.getfixturevalue(name)
    task = task_of(vector)
    commitment = device.compute(task)
    assert commitment.root.hex() == vector["result_hash"]
    assert commitment.proof(vector["openings"]) == vector["proof"]
    assert commitment.task == task


def test_opened_positions(vector):
    task = task_of(vector)
    assert task.leaf_count == vector["leaves"]
    root = bytes.fromhex(vector["result_hash"])
    assert list(draw_openings(root, task, vector["openings"])) == vector["opened"]


def test_proof_is_accepted(vector):
    check_proof(
        task_of(vector),
        bytes.fromhex(vector["result_hash"]),
        vector["proof"],
        least_openings=vector["openings"],
    )


def test_rows_and_first_leaf(vector, fast):
    task = task_of(vector)
    n = task.n
    a, b = operands(task.seed)
    R, B, last = fast.empty_rows(1, n), fast.empty_b(n, n), np.empty((1, n), np.int8)
    fast.expand_rows(a, np.array([0]), R[:1, :n])
    fast.expand_rows(b, np.array([n - 1]), last)
    fast.expand_b(b, 0, B)
    shown = len(vector["a_row0"])
    assert R[0, :shown].tolist() == vector["a_row0"]
    assert last[0, :shown].tolist() == vector["b_last_row"]
    for _ in range(task.iterations):
        out = fast.empty_rows(1, n)
        fast.multiply_fold(R, B, out)
        R = out
    assert R[0, :shown].tolist() == vector["r_row0"]
    digests = np.empty((task.leaves_per_row, 32), np.uint8)
    fast.hash_leaves(R[:1, :n], digests)
    assert digests[0].tobytes().hex() == vector["leaf0"]


def test_full_check(vectors, cpu):
    vector = vectors("matrix_mult_v1")[8]
    check_full(task_of(vector), bytes.fromhex(vector["result_hash"]), cpu)
