"""Two workers on one job: what agrees is shared, what does not is computed, and the liar is banned."""

import base64

import pytest
from msgspec.structs import replace

from engine.validator.policy.audit_policy import Policy
from tests.engine.validator.arena import CAPABILITIES, Worker

ALWAYS = Policy(least_full=1.0, margin=10_000.0, second_worker=0.9999)
PRODUCT = {
    "challenge_type": "matmul",
    "m": 2,
    "k": 3,
    "n": 2,
    "a": {"inline": base64.b64encode(bytes([1, 2, 3, 4, 5, 255])).decode()},
    "b": {"inline": base64.b64encode(bytes([6, 5, 4, 3, 2, 1])).decode()},
    "return_data": False,
}
ONE_AT_A_TIME = replace(CAPABILITIES, jobs=1)


class Multiplier(Worker):
    """Does products, honestly."""

    def work(self, job):
        outcome, tree = self.arena.kinds.job(job.payload).compute(self.arena.device)
        self.jobs[job.job_id] = (job, tree)
        return [self.result(job, outcome.result_hash.hex(), None)]


class Liar(Multiplier):
    """Has a hash of its own invention."""

    def result(self, job, result_hash, proof):
        return super().result(job, "ab" * 32, proof)


class Sleeper(Multiplier):
    """Takes the job, and says nothing."""

    def work(self, job):
        self.jobs[job.job_id] = (job, None)
        return []


def pair(arena, first, second):
    """A first worker, busy with nothing, and a second that comes while the first works."""
    one = arena.join(first, capabilities=ONE_AT_A_TIME)
    other = arena.join(second, capabilities=ONE_AT_A_TIME)
    # By lot or by name, the first must be the first: give it the better name.
    for _ in range(30):
        arena.store.workers.credit(one.key.address, pace=1e-9)
    return one, other


def test_who_agrees_shares_the_reward(arena):
    arena = arena(policy=ALWAYS)
    one, other = pair(arena, Multiplier, Multiplier)
    task = arena.task(arena.post(PRODUCT, reward=1001))
    assert task.status == "completed"
    held = [arena.store.rewards.withheld(worker.key.address) for worker in (one, other)]
    assert held == [501, 500]
    assert arena.full_checks == 0
    roles = {job.role: job.state for job in arena.store.jobs.of_task(task.task_id)}
    assert roles == {"first": "accepted", "second": "accepted"}


@pytest.mark.parametrize(("first", "second"), [(Multiplier, Liar), (Liar, Multiplier)])
def test_who_is_alone_in_the_wrong_is_banned(arena, first, second):
    # Openings tell on a liar that is first; that is another test's.
    arena = arena(policy=ALWAYS)
    honest_first = first is Multiplier
    one, other = pair(arena, first, second)
    if not honest_first:
        one.open = lambda asked: []
    task_id = arena.post(PRODUCT, reward=1000)
    if not honest_first:
        arena.pass_time(61)
    liar, honest = (other, one) if honest_first else (one, other)
    arena.pass_time(31)
    assert arena.store.workers.find(liar.key.address).banned_at is not None
    assert arena.store.workers.find(honest.key.address).banned_at is None
    assert arena.task(task_id).status == "completed"
    assert arena.store.rewards.withheld(liar.key.address) == 0
    assert arena.store.rewards.withheld(honest.key.address) == 1000


def test_a_second_worker_that_is_silent_holds_nobody_up(arena):
    arena = arena(policy=ALWAYS)
    one, other = pair(arena, Multiplier, Sleeper)
    task_id = arena.post(PRODUCT, reward=1000)
    assert arena.task(task_id).status == "in_progress"
    arena.pass_time(62)
    assert arena.task(task_id).status == "completed"
    assert arena.full_checks == 1
    assert arena.store.rewards.withheld(one.key.address) == 1000
    assert other.cancelled


def test_without_a_second_worker_the_validator_computes(arena):
    arena = arena(policy=ALWAYS)
    arena.join(Multiplier)
    task = arena.task(arena.post(PRODUCT))
    assert task.status == "completed"
    assert arena.full_checks == 1


def test_a_second_worker_whose_first_was_refused_is_checked_by_itself(arena):
    arena = arena(policy=ALWAYS)
    one, other = pair(arena, Multiplier, Sleeper)
    task_id = arena.post(PRODUCT, reward=1000)
    first, second = arena.store.jobs.of_task(task_id)
    job = one.jobs[first.job_id][0]
    arena.hear(one, [one.result(job, "cd" * 32, None)])  # another result, after the commitment
    assert arena.store.workers.find(one.key.address).banned_at is not None
    late = other.jobs[second.job_id][0]
    frames = Multiplier.work(other, late)
    arena.hear(other, frames)
    assert arena.full_checks == 1
    assert arena.task(task_id).status == "completed"
    assert arena.store.rewards.withheld(other.key.address) == 1000
