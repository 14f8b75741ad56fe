"""Many small jobs at one child, told and answered several at a time: faults among them, and urgency."""

import os

import pytest

from engine.monitor.events.pool import ChildEnded, ChildKilled
from engine.pool.job_queue import BLOCK_PRIORITY
from engine.pool.limits import Limits
from engine.runtime.errors import JobGivenUp
from kernels.task import Task
from tests.engine.pool import villains
from tests.engine.pool.works import Die, Echo, Laborious, Note
from tests.processes import PATIENCE_SECONDS, wait_until

QUICK = Limits(start=60.0, work_margin=1.0, slowest_rate=1e9, backoff_most=0.0, restarts=100)


def echoes(count):
    return [Echo(bytes(length)) for length in range(1, count + 1)]


def results(pool, works):
    """Content's lengths, as the child gave them back; why a job was given up in place of one."""
    for warm_up in (Echo(b""), Note(os.fsencode(os.devnull))):  # so that their pace is known
        pool.submit(warm_up).result(PATIENCE_SECONDS)
    futures = [pool.submit(work, name=str(at)) for at, work in enumerate(works)]
    found = []
    for future in futures:
        try:
            found.append(int.from_bytes(future.result(PATIENCE_SECONDS).outcome.result_hash))
        except JobGivenUp as error:
            found.append(error.code)
    return found


HANGS = Note(os.fsencode(os.devnull), seconds=3600.0)


@pytest.mark.parametrize("fault", [Die(b""), pytest.param(HANGS, marks=pytest.mark.slow)])
def test_what_ends_or_hangs_a_child_amid_a_batch_is_blamed_and_all_else_is_done(open_pool, fault):
    pool, log = open_pool(limits=QUICK)
    works = [*echoes(2), fault, *echoes(20)]
    assert results(pool, works) == [1, 2, "quarantined", *range(1, 21)]
    ends = [*log.of(ChildEnded), *log.of(ChildKilled)]
    assert len(ends) == QUICK.attempts


@pytest.mark.parametrize(
    "villain", ["twice_answering_child", "foreign_answering_child", "cutting_child"]
)
def test_what_a_child_answers_amid_a_batch_is_one_answer_to_each_of_its_jobs(open_pool, villain):
    pool, log = open_pool(getattr(villains, villain), limits=QUICK)
    assert results(pool, echoes(20)) == [*range(1, 21)]
    assert len([*log.of(ChildEnded), *log.of(ChildKilled)]) == 1


def test_a_blocks_task_comes_before_all_jobs_but_the_one_at_work(open_pool, tmp_path):
    pool, _log = open_pool(villains.noting_child)
    order, go = tmp_path / "order", tmp_path / "go"
    pool.submit(Note(os.fsencode(order))).result(PATIENCE_SECONDS)
    flood = [pool.submit(Note(os.fsencode(order), until=str(go))) for _number in range(30)]
    wait_until(lambda: order.stat().st_size == 2, "the first job to be at work")
    block = pool.submit(Task(bytes(range(32)), 64), openings=4, priority=BLOCK_PRIORITY)
    # Turns of the pool's thread: what is submitted and paused in one is handed out in the second, and
    # the third says that the second has ended.
    for paused in ("to see that it was taken", "", "to see that it was handed out"):
        pool.pause("reference", paused) if paused else pool.resume("reference")
        wait_until(
            lambda paused=paused: pool.status.devices["reference"].paused == paused, "the next turn"
        )
    go.touch()
    pool.resume("reference")
    for future in [block, *flood]:
        future.result(PATIENCE_SECONDS)
    done = order.read_bytes()
    assert len(done) == 32
    assert done.index(b"B") <= 4  # the next; or after what began while the order was being written


def test_a_blocks_task_waits_for_no_check_of_jobs_that_were_answered_before(open_pool):
    pool, _log = open_pool()
    pool.submit(Task(bytes(range(32)), 64)).result(PATIENCE_SECONDS)  # compiled from here on
    flood = [pool.submit(Laborious(bytes(length))) for length in range(60)]
    wait_until(flood[2].done, "some jobs to be checked while others' answers wait")
    pool.way.take()
    before = sum(job.done() for job in flood)
    ended = []
    block = pool.submit(Task(bytes(range(32)), 64), openings=4, priority=BLOCK_PRIORITY)
    block.add_done_callback(lambda _done: ended.append(sum(job.done() for job in flood)))
    block.result(PATIENCE_SECONDS)
    pool.way.give()
    assert ended[0] - before < 8
    for job in flood:
        job.result(PATIENCE_SECONDS)
