"""The CPU device and the reference: against plain Python, each other, and any number of threads."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kernels import host, memory
from kernels.check import check_proof
from kernels.devices import open_device
from kernels.errors import InvalidProof, TaskTooLarge
from kernels.host import HostDevice
from kernels.task import Task
from tests.kernels import oracle

SEED = bytes(range(32))
SEEDS = st.binary(min_size=32, max_size=32).filter(lambda seed: seed[:16] != seed[16:])
SIZES = st.one_of(st.integers(1, 400), st.sampled_from([255, 256, 257, 511, 512, 513]))


@pytest.mark.parametrize("name", ["cpu", "reference"])
@pytest.mark.parametrize(
    ("n", "iterations"), [(1, 1), (1, 4), (2, 1), (3, 2), (5, 3), (16, 1), (19, 4), (24, 2)]
)
def test_like_plain_python(name, n, iterations, request):
    device = request.getfixturevalue(name)
    commitment = device.compute(Task(SEED, n, iterations))
    for k in {0, 1, min(n, 4), n}:
        root, proof = oracle.proof(SEED, n, iterations, k)
        assert commitment.root == root
        assert commitment.proof(k) == proof


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS, n=SIZES, iterations=st.integers(1, 4), k=st.integers(0, 8))
@example(seed=SEED, n=257, iterations=4, k=8)
@example(seed=SEED, n=513, iterations=2, k=8)
def test_cpu_like_reference_and_checked(cpu, reference, seed, n, iterations, k):
    task = Task(seed, n, iterations)
    k = min(k, task.leaf_count)
    fast, plain = cpu.compute(task), reference.compute(task)
    assert fast.root == plain.root
    assert fast.proof(k) == plain.proof(k)
    check_proof(task, fast.root, fast.proof(k), least_openings=k)


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_any_number_of_threads(threads, cpu, monkeypatch):
    task = Task(SEED, 300, 2)
    monkeypatch.setattr(host, "LEVEL_PARENTS", 16)
    with open_device("cpu", threads=threads) as device:
        assert device.compute(task).root == cpu.compute(task).root


def test_most_openings(cpu):
    """All leaves of a small tree, and 1,024 of a large one."""
    for n, k in ((32, 32), (1024, 1024)):
        task = Task(SEED, n)
        commitment = cpu.compute(task)
        check_proof(task, commitment.root, commitment.proof(k), least_openings=k)
        with pytest.raises(InvalidProof):
            commitment.proof(k + 1)


def test_siblings_take_any_order(cpu):
    commitment = cpu.compute(Task(SEED, 100))
    assert commitment.siblings([3, 99, 50]) == commitment.siblings((50, 3, 99))
    for wrong in ([100], [-1], [5, 5]):
        with pytest.raises(InvalidProof):
            commitment.siblings(wrong)


@pytest.mark.parametrize("name", ["cpu", "reference"])
def test_profile(name, request):
    profile = request.getfixturevalue(name).profile(Task(SEED, 64))
    assert set(profile) == {"expand", "product", "commit"}
    assert all(seconds > 0 for seconds in profile.values())


def test_too_large_is_refused_before_allocation(cpu, monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 2**20)
    monkeypatch.setattr(np, "empty", lambda *_: pytest.fail("allocated"))
    with pytest.raises(TaskTooLarge, match="MiB"):
        cpu.compute(Task(SEED, 1024))


def test_largest_task_is_counted(cpu):
    """B is 4 GiB, the tree 1 GiB; A and R are never whole."""
    assert isinstance(cpu, HostDevice)
    assert 5 * 2**30 < cpu.bytes_needed(Task(SEED, 65_536)) < 5.2 * 2**30


def test_available_memory(monkeypatch, tmp_path):
    assert 2**20 < memory.available_memory() < 2**50
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "none")
    assert 2**20 < memory.available_memory() < 2**50


def test_an_error_in_a_thread_comes_out(cpu, monkeypatch):
    monkeypatch.setattr(host, "operands", lambda _: (None, None))
    with pytest.raises(TypeError):
        cpu.compute(Task(SEED, 300))


def test_closing_twice():
    device = open_device("cpu", threads=2)
    device.close()
    device.close()
