"""Each stage of a task at n = 1024, and the whole of it, beside the same in straight numpy.

    make bench

The groups are to be read as ratios: `float64` and `reference` are what numpy gives on the same
machine in the same run. One multiply-add counts as 2 operations in `extra_info["GOP/s"]`.
"""

from collections.abc import Callable

import numpy as np
import pytest

from kernels.commit.tree import level_sizes
from kernels.devices import cpu_operations, open_device, usable_cores
from kernels.expand import operands
from kernels.operations import REFERENCE, Operations
from kernels.task import Task

N = 1024
TASK = Task(bytes(range(32)), N)
TIMES = {"rounds": 15, "warmup_rounds": 2}
BOTH = pytest.mark.parametrize("name", ["reference", "cpu"])


@pytest.fixture(scope="module")
def matrices():
    A, B = np.empty((2, N, N), np.int8)
    for operand, matrix in zip(operands(TASK.seed), (A, B), strict=True):
        REFERENCE.expand_rows(operand, np.arange(N), matrix)
    return A, B


def named(name: str) -> Operations:
    return REFERENCE if name == "reference" else cpu_operations()


def timed(benchmark, work: Callable[[], object], multiply_adds: int = 0) -> None:
    benchmark.pedantic(work, **TIMES)
    if multiply_adds and benchmark.stats:
        seconds = benchmark.stats.stats.median
        benchmark.extra_info["GOP/s"] = round(2 * multiply_adds / seconds / 1e9)


@pytest.mark.benchmark(group="expand: one operand, one thread")
@BOTH
def test_expand(benchmark, name):
    do = named(name)
    out, rows, a = np.empty((N, N), np.int8), np.arange(N), operands(TASK.seed)[0]
    timed(benchmark, lambda: do.expand_rows(a, rows, out))


@pytest.mark.benchmark(group="product: numpy on all cores, cpu on one")
@pytest.mark.parametrize("name", ["float64", "reference", "cpu"])
def test_product(benchmark, name, matrices):
    """`float64` is the bare product of operands that are float64 already, without the fold."""
    A, B = matrices
    out = np.empty((N, N), np.int8)
    if name == "float64":
        A64, B64T, C = A.astype(np.float64), B.astype(np.float64).T, np.empty((N, N))
        work = lambda: np.matmul(A64, B64T, out=C)  # noqa: E731
    else:
        do = named(name)
        packed, R, out = do.empty_b(N, N), do.empty_rows(N, N), do.empty_rows(N, N)
        do.load_b(B, packed)
        R[:] = A
        work = lambda: do.multiply_fold(R, packed, out)  # noqa: E731
    timed(benchmark, work, N**3)


@pytest.mark.benchmark(group="commit: leaves and tree, one thread")
@BOTH
def test_commit(benchmark, name, matrices):
    do = named(name)
    levels = [np.empty((m, 32), np.uint8) for m in level_sizes(TASK.leaf_count)]

    def work() -> None:
        do.hash_leaves(matrices[0], levels[0])
        for i in range(1, len(levels)):
            do.hash_level(levels[i - 1], levels[i])

    timed(benchmark, work)


@pytest.mark.benchmark(group="task: seed to root, all cores")
@pytest.mark.parametrize("n", [N, 4096])
@BOTH
def test_task(benchmark, name, n):
    with open_device(name, threads=usable_cores()) as device:
        task = Task(TASK.seed, n)
        if n == N:
            timed(benchmark, lambda: device.compute(task), task.multiply_adds)
        else:
            benchmark.pedantic(lambda: device.compute(task), rounds=3, warmup_rounds=1)
