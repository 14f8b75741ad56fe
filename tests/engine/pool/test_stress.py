"""Several threads submit, cancel, pause and kill: every future ends, and is right or says why."""

import os
import random
import signal
import threading
from concurrent.futures import CancelledError, wait
from contextlib import suppress

import pytest

from engine.monitor.events.pool import ChildEnded, ChildKilled
from engine.pool.limits import Limits
from engine.pool.messages import Computed, Done
from engine.runtime.errors import JobGivenUp
from kernels.devices import open_device
from kernels.task import Task
from tests.engine.pool.works import Echo, Large
from tests.variants import quick_and_slow

JOBS = 60
THREADS = 3
KILLS = 6
TASKS = [Task(bytes(range(32)), n) for n in (16, 33, 64)]


@pytest.mark.parametrize("queued", quick_and_slow([3], [1]))
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_every_future_ends_whatever_threads_and_children_do(open_pool, seed, queued):
    with open_device("reference") as device:
        roots = {task: device.compute(task).root for task in TASKS}
    limits = Limits(
        restarts=1000, starts=1000, backoff_most=0.0, start=60.0, attempts=1000, queued=queued
    )
    pool, log = open_pool(devices=("cpu", "reference"), limits=limits)
    assert pool.ready.wait(90)
    futures, done = [], threading.Event()

    def submit(dice):
        for _ in range(JOBS):
            content = dice.randbytes(dice.randrange(10_000))
            work = dice.choice([*TASKS, Echo(content), Large(content, outcome_bytes=10_000)])
            future = pool.submit(
                work,
                openings=dice.randrange(4),
                owner=dice.choice(["", "blocks"]),
                priority=dice.randrange(2),
                seconds=dice.choice([None, None, None, 0.02]),
            )
            futures.append((work, future))
            match dice.randrange(8):
                case 0:
                    future.cancel()
                case 1:
                    pool.drop_pending("blocks", "dropped by the test")
                case 2:
                    pool.pause(dice.choice(["cpu", "reference"]), "by the test")
                case 3 | 4:
                    pool.resume("cpu")
                    pool.resume("reference")
                case 5:
                    with suppress(CancelledError, JobGivenUp, TimeoutError):
                        future.result(0.05)

    def kill(dice):
        for _ in range(KILLS):
            done.wait(dice.random())
            pids = [pid for pid in pool.child_pids().values() if pid is not None]
            with suppress(ProcessLookupError):
                os.kill(dice.choice(pids), dice.choice([signal.SIGKILL, signal.SIGTERM]))

    threads = [
        threading.Thread(target=run, args=(random.Random(100 * seed + number),))
        for number, run in enumerate([submit] * THREADS + [kill])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pool.resume("cpu")
    pool.resume("reference")
    assert len(futures) == THREADS * JOBS
    wait([future for _work, future in futures], 120)
    given_up = {future.exception(0) for _work, future in futures if not future.cancelled()} - {None}
    assert {type(error) for error in given_up} <= {JobGivenUp}
    assert {error.code for error in given_up} <= {"expired", "dropped"}, given_up
    right = [
        (work, future.result(0))
        for work, future in futures
        if not future.cancelled() and future.exception(0) is None
    ]
    for work, result in right:
        if isinstance(result, Computed):
            assert result.root == roots[work]
        else:
            assert isinstance(result, Done)
            assert int.from_bytes(result.outcome.result_hash) == len(work.content)
    assert right
    assert pool.error is None
    assert pool.status.idle
    assert log.of(ChildEnded) + log.of(ChildKilled)
