"""A check's digests: ordered before the child has opened its leaves, and divided among checkers."""

import os
import time
from multiprocessing.connection import wait

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.pool.actions import Check, Foresee, Opening
from engine.pool.check_queue import CheckQueue
from engine.pool.job_queue import Job, new_ticket
from engine.pool.leaf_digests import LeafCheckers, shares
from engine.pool.messages import Computed, Done
from engine.runtime.right_of_way import RightOfWay
from kernels.check import opened_digests
from kernels.task import Task
from kernels.work.synthetic import SyntheticWork
from tests.engine.pool import villains
from tests.processes import spawned_children, wait_until

TASK = Task(bytes(range(32)), 2048)
DRAWN = (3, 77, 5000)


def listen(checkers):
    """Take what checkers say within a moment."""
    checkers.read(wait(checkers.sources(), 0.1), time.monotonic())


@pytest.fixture
def open_checkers():
    """`open_checkers(count)` gives so many checkers, all of them ready."""
    opened = []

    def start(count):
        checkers = LeafCheckers(count, entry=villains.honest_checker)
        opened.append(checkers)
        checkers.want(time.monotonic())
        while checkers.free < count:
            listen(checkers)
        return checkers

    yield start
    for checkers in opened:
        checkers.stop()


@given(st.sets(st.integers(0, 16383), min_size=1, max_size=40), st.integers(0, 5))
def test_parts_are_all_leaves_and_share_no_columns(leaves, count):
    parts = shares(TASK, sorted(leaves), count)
    assert sorted(leaf for part in parts for leaf in part) == sorted(leaves)
    columns = [{leaf % 8 for leaf in part} for part in parts]
    assert sum(map(len, columns)) == len(set().union(*columns))


def test_further_iterations_are_not_divided():
    assert len(shares(Task(bytes(range(32)), 2048, 2), range(16), 4)) == 1


def test_a_large_check_is_divided_among_free_checkers(open_checkers):
    checkers, found = open_checkers(2), []
    leaves = list(range(0, 64, 3))
    assert checkers.digest(TASK, leaves, found.append, time.monotonic())
    assert not checkers.free
    wait_until(lambda: listen(checkers) or found, "the digests")
    assert found == [opened_digests(TASK, leaves)]
    assert checkers.done == 2


def test_a_part_that_is_lost_leaves_the_check_to_the_caller(open_checkers):
    checkers, found = open_checkers(2), []
    one = spawned_children(os.getpid())[0]
    one.suspend()
    assert checkers.digest(TASK, list(range(0, 64, 3)), found.append, time.monotonic())
    one.kill()
    wait_until(lambda: listen(checkers) or found, "the answer")
    assert found == [None]


def test_small_checks_that_wait_together_are_judged_each_by_itself(cpu):
    checks, wrong = CheckQueue(LeafCheckers(0), RightOfWay()), {3, 5}
    for number in range(7):  # of two forms
        task = Task(bytes([number]) + bytes(range(31)), 64 + number % 2)
        outcome = SyntheticWork(task, 16).run(cpu)
        if number in wrong:  # which its own leaves lead to, and not the task's
            outcome = SyntheticWork(Task(bytes(range(1, 33)), task.n), 16).run(cpu)
        job = Job(new_ticket(), SyntheticWork(task, 16))
        checks.put(Check("cpu", 1, job, Done(job.ticket, outcome, "cpu", 0.1)))
    found = list(checks.work([], time.monotonic()))
    assert sorted(one.job.work.task.seed[0] for one, _reason in found) == list(range(7))
    assert {one.job.work.task.seed[0] for one, reason in found if reason} == wrong


@pytest.fixture
def answered(cpu):
    """A job, what a device computed, and its openings of DRAWN."""
    commitment = cpu.compute(TASK)
    job = Job(1, TASK, openings=16)
    computed = Computed(job.ticket, commitment.root, commitment.proof(16), "cpu", 0.1)
    return job, computed, Opening(computed, DRAWN, commitment.siblings(DRAWN))


def test_digests_that_came_ahead_are_what_the_answer_is_compared_with(open_checkers, answered):
    checkers, (job, computed, opening) = open_checkers(1), answered
    checks, found = CheckQueue(checkers, RightOfWay()), []

    def work():
        found.extend(checks.work(wait(checkers.sources(), 0.1), time.monotonic()))

    other = bytes([opening.siblings[0] ^ 1]) + opening.siblings[1:]
    for times, siblings in enumerate((opening.siblings, other), start=1):
        checks.foresee(Foresee(job, computed, DRAWN))
        wait_until(lambda times=times: work() or checkers.done == times, "the digests")
        check = Check("cpu", 1, job, Opening(computed, DRAWN, siblings))
        checks.put(check)
        wait_until(lambda times=times: work() or len(found) == times, "the check's end")
        assert found[-1][0] is check
    assert checkers.done == 2  # none was asked again
    assert found[0][1] is None
    assert "do not give the root" in found[1][1]
