"""A flood of which only a share is checked: how soon a liar is found, and what its answers become."""

import os
from collections import deque
from dataclasses import replace
from itertools import count
from random import Random
from statistics import fmean

import pytest

from engine.monitor.events.pool import ChildKilled
from engine.pool.actions import Accepted, Check
from engine.pool.check_share import PROVING, CheckShare
from engine.pool.job_queue import Job
from engine.pool.limits import Limits
from engine.pool.messages import Done, Ready
from engine.pool.supervisor import Supervisor
from kernels.task import Task
from kernels.work import Outcome
from tests.engine.pool.conftest import LIMITS
from tests.engine.pool.works import Deceive, Echo, Note
from tests.processes import PATIENCE_SECONDS

LIES = Outcome(b"lie".ljust(32))
RIGHT = Outcome(b"right".ljust(32))


class Flood:
    """A supervisor with one child, which answers one job after the other; checks are never late."""

    def __init__(self, share, random):
        limits = Limits(check_share=share, restarts=10**6, backoff_most=0.0, period=1e-9)
        self.supervisor = Supervisor(["a"], draw=lambda *_: (), limits=limits, chance=random.random)
        self.supervisor.start(0.0)
        self.accepted, self.checked, self.found = [], 0, 0
        self.tickets, self.now = 0, 0.0
        self.ready()

    @property
    def worker(self):
        return self.supervisor.workers["a"]

    def ready(self):
        self.take(self.supervisor.heard("a", self.worker.generation, Ready("a", 0.1), 0.0))

    def take(self, actions):
        to_do = deque(actions)
        while to_do:
            match to_do.popleft():
                case Check() as check:
                    self.checked += 1
                    wrong = "wrong" if check.answer.outcome is LIES else None
                    self.found += wrong is not None
                    self.now += 1.0
                    to_do += self.supervisor.checked(check, wrong, self.now)
                case Accepted() as accepted:
                    self.accepted.append(accepted.result.outcome is LIES)

    def answer(self, outcome):
        """Answer the next job; there is always another one."""
        while len(list(self.supervisor._backlog)) < 3:
            self.tickets += 1
            self.take(self.supervisor.submit(Job(self.tickets, Echo(b"")), 0.0))
        job = self.worker.orders[0].job
        done = Done(job.ticket, outcome, "a", 1e-4)
        self.take(self.supervisor.heard("a", self.worker.generation, done, self.now))

    def prove(self):
        while self.worker.answers.unproven:
            self.answer(RIGHT)


@pytest.mark.parametrize(("share", "lies"), [(0.1, 0.3), (0.25, 0.9), (0.5, 0.5)])
def test_a_liar_is_found_after_as_many_lies_as_predicted_and_what_is_held_is_not_accepted(
    share, lies
):
    random, told, accepted, rounds = Random(17), [], [], 1000
    for _round in range(rounds):
        answers = CheckShare(share, random.random, unproven=0)
        told.append(0)
        accepted.append(0)
        for ticket in count():
            lie = random.random() < lies
            job = Job(ticket, Echo(b""))
            done = Done(ticket, LIES if lie else RIGHT, "a", 1e-4)
            if answers.holds(job, done, 0.0, quick=True):
                told[-1] += lie
            elif lie:
                break  # found
            else:
                accepted[-1] += sum(held.answer.outcome is LIES for held in answers.passed(job))
    unfound, held = (1 - share) / share, (1 - share) * lies / share
    deviation = 3 / share / rounds**0.5  # of the mean of as many geometric numbers
    assert abs(fmean(told) - unfound) < deviation
    assert abs(fmean(accepted) - (unfound - held)) < deviation


def test_everything_is_checked_at_first_and_for_longer_after_each_wrong_answer():
    flood = Flood(0.1, Random(1))
    for wrongs in (0, 1, 2):
        before = flood.checked
        flood.prove()
        assert flood.checked - before == PROVING << wrongs
        for _number in range(300):
            flood.answer(RIGHT)
        assert 10 < flood.checked - before - (PROVING << wrongs) < 60
        while flood.found == wrongs:
            flood.answer(LIES)
        flood.ready()  # another child


def test_a_child_that_ends_has_nothing_that_it_held_accepted():
    flood = Flood(0.1, Random(1))
    flood.prove()
    while flood.worker.answers.held < 5:
        flood.answer(RIGHT)
    before = len(flood.accepted)
    waiting = [at.job.ticket for at in flood.worker.jobs.values()]
    flood.take(flood.supervisor.exited("a", flood.worker.generation, -9, 0.0))
    assert len(flood.accepted) == before
    again = {job.ticket for job in flood.supervisor._backlog}
    assert set(waiting) <= again
    assert flood.worker.answers.unproven == PROVING


def test_a_device_that_leaves_and_comes_back_keeps_its_record():
    flood = Flood(0.1, Random(1))
    flood.prove()
    while not flood.found:
        flood.answer(LIES)
    flood.take(flood.supervisor.remove("a", 0.0, "its machine left"))
    flood.take(flood.supervisor.add("a", 0.0))
    flood.ready()
    assert flood.worker.answers.unproven == 2 * PROVING


def test_a_last_answer_is_not_held_for_ever():
    flood = Flood(0.01, Random(1))
    flood.prove()
    while flood.worker.orders:
        job = flood.worker.orders[0].job
        done = Done(job.ticket, RIGHT, "a", 1e-4)
        flood.take(flood.supervisor.heard("a", 1, done, 0.0))
    assert len(flood.accepted) == flood.tickets
    assert flood.supervisor.idle


def test_a_child_that_lies_now_and_then_is_found_and_its_answers_are_computed_again(
    open_pool, tmp_path
):
    pool, log = open_pool(limits=replace_share(0.2))
    content = os.fsencode(tmp_path / "runs")
    futures = [pool.submit(Deceive(content, number=number)) for number in range(600)]
    outcomes = [future.result(PATIENCE_SECONDS).outcome for future in futures]
    (reason,) = log.reasons(ChildKilled)
    assert "wrong result" in reason
    lies = sum(outcome.result_hash == bytes(32) for outcome in outcomes)
    assert lies < 60  # 60 that are not found have a chance of 0.8^60, one in 600,000
    assert (tmp_path / "runs").stat().st_size > 600


def test_what_is_held_does_not_wait_for_a_long_job_behind_it(open_pool, tmp_path):
    pool, _log = open_pool(limits=replace_share(1e-9))
    for _number in range(PROVING):
        pool.submit(Echo(b"")).result(PATIENCE_SECONDS)
    quick = [pool.submit(Echo(b"")) for _number in range(20)]
    long = pool.submit(Note(os.fsencode(tmp_path / "began"), until=str(tmp_path / "until")))
    assert all(one.result(PATIENCE_SECONDS) for one in quick)
    assert not long.done()
    (tmp_path / "until").touch()
    assert long.result(PATIENCE_SECONDS)


def test_a_blocks_task_is_checked_whatever_the_share(open_pool):
    pool, log = open_pool(limits=replace_share(0.01))
    task = Task(bytes(range(32)), 64)
    for _number in range(PROVING):
        pool.submit(Echo(b"")).result(PATIENCE_SECONDS)
    results = [pool.submit(task, openings=4) for _number in range(20)]
    assert len({result.result(PATIENCE_SECONDS).root for result in results}) == 1
    assert not log.of(ChildKilled)


def replace_share(share):
    return replace(LIMITS, check_share=share)
