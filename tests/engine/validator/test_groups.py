"""Faults in the middle of what is done together: a batch of checks, a group that was just written."""

import asyncio
import os
import subprocess
import sys
from dataclasses import replace

import pytest
from msgspec import structs

from engine.validator.checker_process import Claim, run_check
from engine.validator.result_checker import ResultChecker
from node_client.keystore import Keystore
from tests.engine.validator.live import LiveValidator, LiveWorker, events
from tests.processes import ENGINE, PATIENCE_SECONDS, end, wait_until

DIES = """
import os, signal
from {module} import {owner}
method, left = {owner}.{name}, {count}

def die(*arguments):
    global left
    left -= {step}
    if left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return method(*arguments)

{owner}.{name} = die
from engine.cli import main
main()
"""


def dies_at(module, owner, name, count, step="1"):
    """`cpc-engine` that gets SIGKILL at the beginning of a method: where the steps come to `count`."""
    text = DIES.format(module=module, owner=owner, name=name, count=count, step=step)
    return [sys.executable, "-c", text]


def synthetic(number, size=64):
    return {"challenge_type": "synthetic", "seed": f"{number:04x}", "matrix_size": size}


def claims(arena):
    """Results of six jobs, each with its proof and leaves that were drawn."""
    one = arena()
    leaves = (1, 5, 40)
    for number in range(6):
        job = one.kinds.job(synthetic(number))
        made = one.device.compute(job.task)
        yield Claim(job, "leaves", made.root, made.proof(16), None, leaves, made.siblings(leaves))


def test_one_wrong_result_among_right_ones_is_the_only_one_found_wrong(arena):
    right = list(claims(arena))
    flipped = bytes([right[2].siblings[0] ^ 1]) + right[2].siblings[1:]
    wrong = replace(right[2], siblings=flipped)
    found = [run_check(claim).right for claim in (*right[:2], wrong, *right[3:])]
    assert found == [True, True, False, True, True, True]


class Deadly:
    """A job whose check ends its process."""

    cost = 0

    def check_leaves(self, *_arguments):
        os._exit(9)


class Kinds:
    """Each payload is a job's number."""

    def __init__(self, jobs):
        self._jobs = jobs

    def job(self, payload):
        return self._jobs[payload["number"]]


class Row:
    """A committed job, as far as checks look at it."""

    data = data_size = None

    def __init__(self, claim):
        self.result_hash, self.proof, self.leaves = (
            claim.result_hash.hex(),
            claim.proof,
            claim.leaves,
        )


@pytest.mark.slow  # it starts three processes that import Numba
def test_what_ends_the_checking_process_costs_the_others_in_its_batch_nothing(arena):
    made = list(claims(arena))
    deadly = Claim(Deadly(), "leaves", bytes(32), None, None, (0,), b"")
    made.insert(3, deadly)
    checker = ResultChecker(Kinds([one.job for one in made]), None, None)

    async def check_all():
        checks = (
            checker.check(Row(claim), {"number": number}, "leaves", claim.siblings)
            for number, claim in enumerate(made)
        )
        return await asyncio.gather(*checks)

    try:
        findings = asyncio.run(check_all())
    finally:
        checker.close()
    assert [one.right for one in findings] == [True, True, True, None, True, True, True]
    assert "ended" in findings[3].reason


@pytest.mark.slow  # it starts a process that imports Numba
def test_a_check_that_comes_in_the_moment_in_which_the_last_batch_ends_is_not_forgotten(arena):
    made = list(claims(arena))[:3]
    checker = ResultChecker(Kinds([one.job for one in made]), None, None)

    async def check_in_turn():
        found = []
        for number, claim in enumerate(made):
            payload = {"challenge_type": "synthetic", "seed": "", "number": number}  # read at once
            found.append(await checker.check(Row(claim), payload, "leaves", claim.siblings))
        return found

    try:
        findings = asyncio.run(asyncio.wait_for(check_in_turn(), PATIENCE_SECONDS))
    finally:
        checker.close()
    assert [one.right for one in findings] == [True] * 3


def require_paid_once(validator, posted, address):
    """Each task was completed by one job, and the worker is owed each reward once."""
    with validator.store() as store:
        for task_id in posted:
            states = [job.state for job in store.jobs.of_task(task_id)]
            assert states.count("accepted") == 1, states
        assert store.rewards.withheld(address) == len(posted) * 15 * 10**17
        assert store.customers.credit("alice") == 10**21 - len(posted) * 15 * 10**17
        assert not any(one.banned_at for one in store.workers.all())


@pytest.mark.slow
def test_a_validator_killed_after_a_group_and_before_its_answers(tmp_path):
    validator = LiveValidator(tmp_path)
    headers = validator.customer()
    # from the fifth verdict on: it is written, with others, and nobody has been told
    verdicts = "sum(str(one).count('Verdict(') for one in arguments[1])"
    validator.engine = dies_at("engine.validator.service", "Service", "perform", 5, verdicts)
    worker = LiveWorker(validator.url, tmp_path / "worker")
    worker.mind.capabilities = structs.replace(worker.mind.capabilities, jobs=16)
    try:
        validator.start()
        posted = [validator.post(headers, synthetic(number)) for number in range(24)]
        worker.start()
        assert validator.process.wait(PATIENCE_SECONDS) == -9
        with validator.store() as store:
            judged = store.tasks.counts()["completed"]
        assert judged >= 5
        validator.engine = ENGINE
        validator.start()
        wait_until(lambda: validator.total("completed") == len(posted))
    finally:
        worker.stop()
        validator.stop()
    require_paid_once(validator, posted, worker.key.address)


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_of_a_group_answers_the_rest_from_its_ledger(tmp_path):
    validator = LiveValidator(tmp_path)
    headers = validator.customer()
    key = Keystore(tmp_path / "keys").create("worker")
    environment = os.environ | {
        "CPC_STATE": str(tmp_path / "state"),
        "CPC_KEYS": str(tmp_path / "keys"),
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = ["work", "--validator", validator.url, "--device", "reference", "--json"]

    def work(engine):
        return subprocess.Popen(
            [*engine, *command], env=environment, stdout=subprocess.PIPE, text=True
        )

    validator.start()
    try:
        posted = [validator.post(headers, synthetic(number)) for number in range(12)]
        dying = work(dies_at("engine.poc_worker.session", "Session", "_answer", 4))
        assert dying.wait(PATIENCE_SECONDS) == -9
        told = [one["job_id"] for one in events(dying.stdout.read()) if one["event"] == "job_done"]
        again = work(ENGINE)
        try:
            wait_until(lambda: validator.total("completed") == len(posted))
        finally:
            again.terminate()
            more = events(again.communicate(timeout=PATIENCE_SECONDS)[0])
            end(again)
    finally:
        validator.stop()
    require_paid_once(validator, posted, key.address)
    computed_again = [one["job_id"] for one in more if one["event"] == "job_taken"]
    answered = [one["job_id"] for one in more if one["event"] == "job_done"]
    assert len(set(told) | set(answered)) == len(posted)
    assert len(computed_again) < len(answered)
