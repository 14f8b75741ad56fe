"""What a check costs: 16 openings out of a proof, and the four leaves that a parent draws."""

import pytest

from kernels.check import check_leaves, check_proof
from kernels.devices import open_device
from kernels.task import Task

TIMES = {"rounds": 15, "warmup_rounds": 2}


@pytest.mark.benchmark(group="check at n = 1024: 16 openings, or 4 leaves")
@pytest.mark.parametrize("iterations", [1, 10])
@pytest.mark.parametrize("kind", ["proof", "leaves"])
def test_check(benchmark, kind, iterations):
    task = Task(bytes(range(32)), 1024, iterations)
    with open_device("cpu") as device:
        commitment = device.compute(task)
    root = commitment.root
    if kind == "proof":
        text = commitment.proof(16)
        benchmark.pedantic(lambda: check_proof(task, root, text, least_openings=16), **TIMES)
    else:
        leaves = [0, 1111, 2222, 4095]
        siblings = commitment.siblings(leaves)
        benchmark.pedantic(lambda: check_leaves(task, root, leaves, siblings), **TIMES)


@pytest.mark.benchmark(group="openings at n = 1024")
def test_prove(benchmark):
    """Drawing 16 leaves and reading their siblings, once the task is computed."""
    with open_device("cpu") as device:
        commitment = device.compute(Task(bytes(range(32)), 1024))
    benchmark.pedantic(lambda: commitment.proof(16), **TIMES)
