"""The validator's checking process goes wrong: claims are tried again in another, or end as unknown."""

import asyncio
import os
import pickle
import signal
from functools import partial
from pathlib import Path

import pytest

from engine.pool.checker_main import CheckerReady
from engine.pool.codec import encode, write_frame
from engine.pool.worker_main import next_order
from engine.validator.checker_process import Claim, Findings, perform, run_check
from engine.validator.checker_thread import CheckerThread
from kernels.operations import REFERENCE, Reference
from kernels.task import Task
from kernels.work.synthetic import SyntheticWork
from tests.engine.pool import villains
from tests.processes import PATIENCE_SECONDS, spawned_children
from tests.variants import quick_and_slow

LEAVES = (1, 5)


class RunsWhereItIsRead:
    def __reduce__(self):
        return Path.touch, (Path(os.environ["CPC_VILLAIN"]) / "owned",)


WRONG = {
    "dies": lambda _batch, _reports: os.kill(os.getpid(), signal.SIGKILL),
    "hangs": lambda _batch, _reports: os.kill(os.getpid(), signal.SIGSTOP),
    "says too few": lambda batch, reports: say(reports, Findings(batch.ticket, ())),
    "answers another": lambda batch, reports: say(reports, Findings(batch.ticket + 1, ())),
    "says what runs": lambda _batch, reports: reports.send_bytes(pickle.dumps(RunsWhereItIsRead())),
}


def say(reports, message):
    write_frame(reports.fileno(), encode(message))


def goes_wrong(how, times, orders, reports):
    """An honest process, in numpy, but for its first orders over all processes."""
    say(reports, CheckerReady())
    while (batch := next_order(orders)) is not None:
        with (Path(os.environ["CPC_VILLAIN"]) / "orders").open("ab") as file:
            file.write(b".")
            before = file.tell()
        if before <= times:
            WRONG[how](batch, reports)
            signal.pause()
        say(reports, perform(batch, REFERENCE))


def never_ready(_orders, _reports):
    os._exit(3)


@pytest.fixture
def directory(tmp_path, monkeypatch):
    monkeypatch.setenv("CPC_VILLAIN", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def claims(cpu):
    tasks = [Task(bytes([number, *range(31)]), 64) for number in (50, 51)]
    made = [cpu.compute(task) for task in tasks]
    return [
        Claim(
            SyntheticWork(task, 4),
            "leaves",
            one.root,
            one.proof(4),
            None,
            LEAVES,
            one.siblings(LEAVES),
        )
        for task, one in zip(tasks, made, strict=True)
    ]


def check(claims, entry, **patience):
    async def check_all():
        found = asyncio.gather(*(checks.check(claim) for claim in claims))
        return await asyncio.wait_for(found, PATIENCE_SECONDS)

    checks = CheckerThread(entry, **patience)
    try:
        return asyncio.run(check_all())
    finally:
        checks.close()
        assert spawned_children(os.getpid()) == []


@pytest.mark.parametrize("how", quick_and_slow([how for how in WRONG if how != "hangs"], ["hangs"]))
def test_what_a_process_was_lost_over_is_checked_in_another_one_by_one(claims, directory, how):
    patience = 5.0 if how == "hangs" else PATIENCE_SECONDS
    found = check(claims, partial(goes_wrong, how, 1), patience=patience)
    assert [one.right for one in found] == [True, True]
    assert (directory / "orders").stat().st_size == 1 + len(claims)
    assert not (directory / "owned").exists()


@pytest.mark.parametrize("how", ["dies", "hangs"])
def test_of_what_a_process_was_lost_over_alone_nothing_is_known(claims, directory, how):
    (found,) = check(claims[:1], partial(goes_wrong, how, 1), patience=0.5)
    assert found.right is None
    assert "ended, or hung" in found.reason


def test_where_no_process_becomes_ready_nothing_is_known(claims):
    found = check(claims, never_ready, waits=0.5)
    assert [one.right for one in found] == [None, None]


def test_a_job_that_cannot_be_handed_over_costs_the_others_nothing(claims, directory):
    class Unknown:
        """Pickle finds it in no module."""

        cost = 0

    odd = Claim(Unknown(), "leaves", bytes(32), None, None, LEAVES, b"")
    found = check([claims[0], odd, claims[1]], partial(goes_wrong, "dies", 0))
    assert [one.right for one in found] == [True, None, True]


def leaves_an_heir(orders, reports):
    say(reports, CheckerReady())
    next_order(orders)
    villains.bequeath(orders)


def test_what_a_killed_process_leaves_behind_holds_nobody_up(claims, directory):
    async def lose_two():
        for number in (1, 2):
            found = checks.check(claims[0])
            while heirs() < number:
                await asyncio.sleep(0.01)
            for child in spawned_children(os.getpid()):
                child.kill()
            assert (await asyncio.wait_for(found, PATIENCE_SECONDS)).right is None

    with villains.heirs(directory) as heirs:
        checks = CheckerThread(leaves_an_heir)
        try:
            asyncio.run(lose_two())
        finally:
            checks.close()


class Broken(Reference):
    """Operations that multiply wrong."""

    def multiply_fold(self, R, B, out):
        super().multiply_fold(R, B, out)
        out ^= 1


def test_numpy_has_the_last_word_before_a_worker_is_blamed(claims):
    assert run_check(claims[0], Broken()).right is True
