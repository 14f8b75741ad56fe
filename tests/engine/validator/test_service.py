"""The service when something beside its loop goes wrong: no result is left without a verdict."""

import asyncio
import errno
from concurrent.futures import Future

import pytest

from engine.pool.messages import Done
from engine.runtime.errors import BadInput
from engine.validator.result_checker import ResultChecker
from engine.validator.service import Service
from kernels.work import Outcome
from tests.engine.validator.test_market import MATMUL, Bearer


class FullDisk:
    """A cache whose disk takes nothing more."""

    def __init__(self, error):
        self.error = error

    def put(self, _content):
        raise self.error


class Computed:
    """A desk that has the outcome at once."""

    def submit(self, _job, *, name):
        future = Future()
        future.set_result(Done(1, Outcome(bytes(32), None, b"1234"), "cpu", 1.0))
        return future


def committed(one):
    """A matmul's result, handed in."""
    worker = one.join(Bearer)
    task_id = one.post(MATMUL)
    ((job, _),) = worker.jobs.values()
    one.market.received(worker.connection, worker.result(job, "ab" * 32, None))
    return task_id, one.store.jobs.find(job.job_id)


@pytest.mark.parametrize("error", [BadInput("no room"), OSError(errno.ENOSPC, "no room")])
def test_a_full_disk_is_a_finding_and_no_silence(arena, error):
    one = arena()
    _task, row = committed(one)
    checker = ResultChecker(one.kinds, FullDisk(error), Computed())
    try:
        payload = one.store.jobs.payload(row.job_id)
        finding = asyncio.run(checker.check(row, payload, "full", b""))
    finally:
        checker.close()
    assert finding.right is None
    assert "no room" in finding.reason


def test_a_cheat_is_not_told_the_right_result(arena):
    one = arena()
    _task, row = committed(one)
    checker = ResultChecker(one.kinds, one.kinds._blobs, Computed())
    try:
        payload = one.store.jobs.payload(row.job_id)
        finding = asyncio.run(checker.check(row, payload, "full", b""))
    finally:
        checker.close()
    assert finding.right is False
    assert finding.result_hash == bytes(32).hex()
    assert finding.result_hash not in finding.reason


def test_what_dies_beside_the_loop_ends_the_service(arena):
    one = arena()

    service = Service(one.market, None, one.kinds._blobs, one.store, lambda event: None)

    async def run():
        async def die():
            raise BadInput("the disk is full")

        service._start(die())
        await asyncio.wait_for(service.run(asyncio.Event()), 10)

    with pytest.raises(BadInput, match="the disk is full"):
        asyncio.run(run())
