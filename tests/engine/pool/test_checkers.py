"""Checks in processes of their own: right, quick, and never trusted to blame a device."""

import os

import pytest

from engine.monitor.events.pool import CheckerEnded, ChildKilled
from engine.pool.leaf_digests import LeafCheckers
from engine.pool.messages import Computed, Setup
from engine.runtime.errors import JobGivenUp
from kernels.task import Task
from tests.engine.pool import checker_villains, villains
from tests.processes import PATIENCE_SECONDS, spawned_children, wait_until

TASKS = [Task(bytes([index, *range(31)]), 512) for index in range(1, 9)]


def compute(pool, tasks):
    futures = [pool.submit(task, openings=16) for task in tasks]
    return [future.result(PATIENCE_SECONDS) for future in futures]


@pytest.fixture
def open_checked(open_pool):
    """`open_checked(entry)` gives a pool whose one checker runs `entry`, and its log."""

    def enter(entry=villains.honest_checker, **options):
        checkers = LeafCheckers(1, entry=entry, **options)
        return *open_pool(checkers=checkers), checkers

    return enter


def test_checks_are_done_by_a_checker_and_devices_go_on_meanwhile(open_checked):
    pool, log, checkers = open_checked()
    compute(pool, TASKS[:1])
    wait_until(lambda: checkers.ready, "a checker to be ready")
    before = checkers.done
    results = compute(pool, TASKS)
    assert all(isinstance(result, Computed) for result in results)
    assert checkers.done - before == len(TASKS)
    assert not log.of(CheckerEnded)


@pytest.mark.parametrize("villain", ["lies", "gives_too_few", "dies", "hangs", "babbles"])
def test_whatever_a_checker_does_right_results_are_accepted(open_checked, villain):
    pool, log, checkers = open_checked(entry=getattr(checker_villains, villain), patience=0.5)
    compute(pool, TASKS[:1])
    # on a busy machine it may have been ready for the first check, and be lost by now
    wait_until(lambda: checkers.ready or log.of(CheckerEnded), "a checker to be ready")
    assert len(compute(pool, TASKS[:3])) == 3
    assert not log.of(ChildKilled)
    if villain in ("dies", "hangs", "babbles"):
        wait_until(lambda: log.of(CheckerEnded), "the lost checker to be told")


def test_one_checker_compiles_and_the_others_start_once_it_is_ready(open_pool, tmp_path):
    (tmp_path / "compiling").touch()
    checkers = LeafCheckers(3, entry=checker_villains.compiles_for_long)
    pool, log = open_pool(checkers=checkers)
    compute(pool, TASKS[:3])
    assert len(spawned_children(os.getpid())) == 1 + 1  # the device's, and one checker
    (tmp_path / "compiling").unlink()
    wait_until(lambda: checkers.free == 3, "all checkers to be ready")
    assert not log.of(CheckerEnded)


def test_a_checker_that_talks_without_end_is_replaced(open_checked):
    pool, log, _checkers = open_checked(entry=checker_villains.is_ready_again_and_again)
    compute(pool, TASKS[:1])
    wait_until(lambda: log.of(CheckerEnded), "the loss of the checker to be told")
    assert log.reasons(CheckerEnded)[0].startswith("sent a message out of turn")


def test_a_checker_that_fails_its_known_answer_test_checks_nothing(open_checked):
    pool, log, checkers = open_checked(entry=checker_villains.fails_its_test)
    compute(pool, TASKS[:1])
    wait_until(lambda: log.of(CheckerEnded), "the failed checker to be told")
    assert any("known-answer test" in reason for reason in log.reasons(CheckerEnded))
    assert len(compute(pool, TASKS[:2])) == 2
    assert checkers.done == 0


def test_a_wrong_result_is_found_by_a_checker(open_pool):
    checkers = LeafCheckers(1, entry=villains.honest_checker)
    setup = Setup(threads=1, warm=Task(TASKS[0].seed, 1024))  # so that checkers start at once
    pool, log = open_pool(villains.lying_child, checkers=checkers, setup=setup)
    wait_until(lambda: checkers.ready, "a checker to be ready")
    with pytest.raises(JobGivenUp, match="wrong result"):
        compute(pool, TASKS[:1])
    assert checkers.done
    assert any("wrong result" in reason for reason in log.reasons(ChildKilled))


def test_no_checker_outlives_its_pool(open_checked):
    pool, _log, checkers = open_checked()
    compute(pool, TASKS[:1])
    wait_until(lambda: checkers.ready, "a checker to be ready")
    pool.stop()
    assert spawned_children(os.getpid()) == []


def test_small_tasks_start_no_checker(open_checked):
    pool, _log, checkers = open_checked()
    compute(pool, [Task(TASKS[0].seed, 64)])
    assert not checkers.ready
    assert len(spawned_children(os.getpid())) == 1
