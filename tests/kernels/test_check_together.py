"""Leaves of many small tasks at once: the same digests as of each by itself."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.check import opened_digests
from kernels.check_together import MOST_N, digests_together, may_go_together
from kernels.task import SEED_BYTES, Task


@st.composite
def opened(draw):
    """Tasks of one form, each with some of its leaves."""
    n, iterations = draw(st.integers(1, MOST_N)), draw(st.integers(1, 3))
    seeds = st.binary(min_size=SEED_BYTES, max_size=SEED_BYTES).filter(
        lambda seed: seed[:16] != seed[16:]
    )
    tasks = [Task(seed, n, iterations) for seed in draw(st.lists(seeds, min_size=1, max_size=4))]
    leaves = st.sets(st.integers(0, tasks[0].leaf_count - 1), min_size=1, max_size=9)
    return [(task, draw(leaves)) for task in tasks]


@settings(deadline=None, max_examples=50)
@given(opened())
def test_together_as_one_by_one(some):
    assert digests_together(some) == [opened_digests(task, leaves) for task, leaves in some]


@pytest.mark.parametrize(("n", "small"), [(1, True), (MOST_N, True), (MOST_N + 1, False)])
def test_only_small_tasks_go_together(n, small):
    assert may_go_together(Task(bytes(range(32)), n)) is small
