"""What is a task, and what is none."""

import dataclasses

import pytest

from kernels.errors import InvalidTask
from kernels.task import MAX_ITERATIONS, MAX_SIZE, Task

SEED = bytes(range(32))


@pytest.mark.parametrize(
    ("seed", "n", "iterations"),
    [
        (SEED[:31], 16, 1),
        (SEED + b"\0", 16, 1),
        (SEED[:16] * 2, 16, 1),
        (bytearray(SEED), 16, 1),
        (SEED.hex(), 16, 1),
        (SEED, 0, 1),
        (SEED, -1, 1),
        (SEED, MAX_SIZE + 1, 1),
        (SEED, 16.0, 1),
        (SEED, "16", 1),
        (SEED, True, 1),
        (SEED, 16, 0),
        (SEED, 16, MAX_ITERATIONS + 1),
    ],
)
def test_refused(seed, n, iterations):
    with pytest.raises(InvalidTask):
        Task(seed, n, iterations)


@pytest.mark.parametrize(
    ("n", "per_row", "count"),
    [
        (1, 1, 1),
        (255, 1, 255),
        (256, 1, 256),
        (257, 2, 514),
        (1024, 4, 4096),
        (65536, 256, 1 << 24),
    ],
)
def test_leaves(n, per_row, count):
    task = Task(SEED, n)
    assert (task.leaves_per_row, task.leaf_count) == (per_row, count)
    assert task.leaf_place(0) == (0, 0, min(256, n))
    row, first, last = task.leaf_place(count - 1)
    assert (row, last) == (n - 1, n)
    assert last - first == (n - 1) % 256 + 1


def test_multiply_adds():
    assert Task(SEED, 100, 7).multiply_adds == 7_000_000


def test_frozen_and_hashable():
    task = Task(SEED, 16)
    assert {task: 1}[Task(SEED, 16, 1)] == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.n = 17  # type: ignore[misc]
