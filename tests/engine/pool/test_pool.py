"""Pools with real child processes: honest ones, and every villain of `villains.py`."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError, wait
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from engine.monitor.events.pool import (
    ChildEnded,
    ChildKilled,
    DeviceReady,
    DeviceState,
    OutOfService,
)
from engine.pool.limits import Limits
from engine.pool.messages import Computed, Done, Setup
from engine.pool.pool import Pool
from engine.runtime.errors import JobGivenUp, NoDevice
from kernels.check import check_proof
from kernels.devices import open_device
from kernels.task import Task
from tests.engine.pool import villains
from tests.engine.pool.conftest import LIMITS, wait_for_state
from tests.engine.pool.works import Bomb, Bug, Die, Echo, Large, Lie, Nap, Poison, Stop, Touch
from tests.processes import is_gone, wait_until
from tests.variants import quick_and_slow

TASK = Task(bytes(range(32)), 64)
PATIENCE = 90.0
LASTING = Limits(restarts=100, slowest_rate=1e9, start=30.0)


def root_of(task):
    with open_device("reference") as device:
        return device.compute(task).root


def test_an_honest_child_computes_what_the_reference_computes(open_pool):
    pool, log = open_pool()
    tasks = [TASK, Task(bytes(range(32)), 17, 3), Task(b"\1" * 31 + b"\2", 300)]
    futures = [pool.submit(task, openings=4) for task in tasks]
    for task, future in zip(tasks, futures, strict=True):
        computed = future.result(PATIENCE)
        assert computed.root == root_of(task)
        check_proof(task, computed.root, computed.proof, least_openings=4)
    assert pool.ready.is_set()
    assert {type(event) for event in log.events} <= {DeviceReady, DeviceState}
    wait_until(lambda: pool.status.idle, "the pool to be idle")


@pytest.mark.parametrize(
    ("entry", "reason"),
    quick_and_slow(
        [
            (villains.suicidal_child, None),
            (villains.hanging_child, "hung"),
            (villains.pickling_child, "BrokenMessage: not a message"),
            (villains.boundless_child, "more than its jobs can give"),
        ],
        [
            (villains.stopping_child, "silent"),
            (villains.half_message_child, None),
            (villains.garbage_child, "BrokenMessage: not a message"),
            (villains.closing_child, None),
        ],
    ),
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_child_that_goes_wrong_once_is_replaced_and_the_job_done(
    open_pool, entry, reason, tmp_path
):
    pool, log = open_pool(entry)
    if entry is villains.hanging_child:  # so that the device's pace is known
        pool.submit(Task(bytes(range(32)), 17)).result(PATIENCE)
    assert pool.submit(TASK, openings=4).result(PATIENCE).root == root_of(TASK)
    if reason:
        assert any(reason in said for said in log.reasons(ChildKilled))
    else:
        assert log.of(ChildKilled) + log.of(ChildEnded)
    assert not (tmp_path / "owned").exists()  # nothing that a child said was unpickled


def test_half_a_message_of_a_stopped_child_holds_no_other_device_up(open_pool, tmp_path):
    limits = replace(LIMITS, silence_starting=PATIENCE)
    pool, log = open_pool(villains.half_stopped_child, ("cpu", "reference"), limits=limits)
    wait_until((tmp_path / "half_stopped").exists, "the child to stop")
    for length in range(20):
        assert pool.submit(Echo(bytes(length))).result(PATIENCE).device == "cpu"
    assert pool.status.devices["reference"].state == "starting"
    assert log.of(ChildKilled) == []


def test_a_child_that_says_it_is_slow_is_waited_for_no_longer(open_pool):
    pool, log = open_pool(villains.child_that_says_it_is_slow)
    for _task in range(2):
        assert pool.submit(TASK, openings=4).result(PATIENCE).root == root_of(TASK)
    assert any("hung" in reason for reason in log.reasons(ChildKilled))


def test_a_child_that_talks_without_end_is_ended_and_the_others_work_on(open_pool):
    pool, log = open_pool(villains.chattering_child, ("cpu", "reference"))
    wait_until(lambda: log.of(ChildKilled), "the child to be ended")
    assert log.reasons(ChildKilled)[0].startswith("sent a message out of turn")
    assert pool.submit(Echo(b"")).result(PATIENCE).device == "cpu"


def test_a_child_that_leaks_is_replaced_and_the_next_job_done(open_pool):
    limits = Limits(memory=2**29, work_margin=PATIENCE, silence=PATIENCE)
    pool, log = open_pool(villains.leaking_child, limits=limits)
    assert pool.submit(TASK, openings=4).result(PATIENCE)
    wait_until(lambda: log.of(ChildKilled), "the child to be replaced")
    assert "its memory grew to" in log.reasons(ChildKilled)[0]
    assert pool.submit(TASK, openings=4).result(PATIENCE).root == root_of(TASK)


def test_a_liar_is_found_out_and_put_out_of_service(open_pool):
    failed = []
    pool, log = open_pool(villains.lying_child, failed=failed.append)
    future = pool.submit(TASK, openings=4)
    assert future.exception(PATIENCE).code == "stopped"
    assert "wrong result" in log.reasons(OutOfService)[0]
    assert pool.status.all_out
    wait_until(lambda: failed, "the pool to say that it failed")
    assert isinstance(pool.error, NoDevice)
    assert failed == [pool.error]


def test_a_child_that_never_starts_ends_out_of_service(open_pool):
    pool, log = open_pool(villains.broken_child)
    assert isinstance(pool.submit(TASK).exception(PATIENCE), JobGivenUp)
    assert pool.status.all_out
    assert log.of(OutOfService)
    assert not pool.ready.is_set()


def test_a_missing_device_says_so_at_once(open_pool):
    pool, log = open_pool(devices=("cuda:0",))
    wait_until(lambda: pool.error, "the pool to end")
    assert pool.status.all_out
    assert log.of(ChildKilled) != []
    assert "CUDA" in log.reasons(OutOfService)[0]


def test_a_task_too_large_is_given_up_and_the_child_lives_on(open_pool):
    pool, log = open_pool(villains.poor_child, ("cpu",))  # which needs the least memory
    large = pool.submit(Task(bytes(range(32)), 8192))
    small = pool.submit(TASK, openings=4)
    assert "memory" in str(large.exception(PATIENCE))
    assert small.result(PATIENCE).root == root_of(TASK)
    assert log.of(ChildKilled) == []


def test_two_devices_share_the_jobs(open_pool):
    pool, _ = open_pool(devices=("cpu", "reference"))
    for device in ("cpu", "reference"):
        wait_for_state(pool, device, "idle")
    pids = pool.child_pids()
    futures = [pool.submit(TASK, openings=4) for _ in range(6)]
    assert {future.result(PATIENCE).device for future in futures} == {"cpu", "reference"}
    assert pool.child_pids() == pids


def test_a_device_goes_by_the_parents_name_for_it(open_pool):
    pool, _ = open_pool(villains.cpu_under_a_wrong_name)
    assert pool.submit(TASK).result(PATIENCE).device == "reference"
    assert pool.submit(Echo(b"")).result(PATIENCE).device == "reference"


def test_stop_ends_a_child_that_will_not(open_pool):
    pool, _ = open_pool(villains.stubborn_child)
    pool.submit(TASK).result(PATIENCE)
    (pid,) = pool.child_pids().values()
    pool.stop()
    assert not psutil.pid_exists(pid)


def test_children_die_with_a_parent_that_is_killed(tmp_path):
    """Also one that hangs with the interpreter's lock: its heartbeat's thread cannot see it."""
    script = (
        "import time\n"
        "from functools import partial\n"
        "from engine.pool.messages import Setup\n"
        "from engine.pool.pool import Pool\n"
        "from engine.pool.processes import LocalProcesses\n"
        "from tests.engine.pool.villains import numb_child\n"
        "if __name__ == '__main__':\n"
        "    honest = Pool(['cpu'], print, setup=Setup(threads=1))\n"
        "    numb = Pool(['cpu'], print, launch=partial(LocalProcesses, entry=numb_child))\n"
        "    with honest, numb:\n"
        "        honest.ready.wait(60)\n"
        "        pids = [*honest.child_pids().values(), *numb.child_pids().values()]\n"
        "        print('pids', *pids, flush=True)\n"
        "        time.sleep(600)\n"
    )
    path = tmp_path / "parent.py"
    path.write_text(script)
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        try:
            lines = iter(parent.stdout.readline, "")
            line = next(line for line in lines if line.startswith("pids"))
            pids = [int(pid) for pid in line.split()[1:]]
            assert len(pids) == 2
            wait_until((tmp_path / "numb").exists, "the numb child to hang")
        finally:
            parent.kill()
    for pid in pids:
        wait_until(lambda pid=pid: is_gone(pid), "the children to end")


def test_several_threads_share_one_child_and_everybody_gets_their_own(open_pool):
    pool, _ = open_pool(limits=LASTING)
    futures = {}

    def submit(first):
        for length in range(first, first + 20, 2):
            futures[length] = pool.submit(Echo(bytes(length)))

    threads = [threading.Thread(target=submit, args=(first,)) for first in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert isinstance(pool.submit(TASK, openings=4).result(PATIENCE), Computed)
    for length, future in futures.items():
        assert int.from_bytes(future.result(PATIENCE).outcome.result_hash) == length


def test_what_is_cancelled_or_late_is_given_up_and_the_next_job_done(open_pool):
    pool, log = open_pool(limits=LASTING, setup=Setup(1, TASK))
    assert pool.submit(Echo(b"warm")).result(PATIENCE)
    late = pool.submit(Nap(b""), seconds=0.5)
    with pytest.raises(JobGivenUp, match="deadline") as caught:
        late.result(PATIENCE)
    assert caught.value.code == "expired"
    hung = pool.submit(Nap(b""))
    waiting = pool.submit(Nap(b""))
    assert waiting.cancel()
    wait_for_state(pool, "reference", "busy")
    assert hung.cancel()
    with pytest.raises(CancelledError):
        hung.result(1)
    assert pool.submit(Echo(b"next")).result(PATIENCE).outcome.data == b"next"
    assert sum("no longer wanted" in reason for reason in log.reasons(ChildKilled)) == 2


@pytest.mark.slow
def test_a_full_pipe_to_a_stopped_child_holds_nobody_up(open_pool):
    pool, log = open_pool(limits=replace(LASTING, silence=2.0))
    stopped = pool.submit(Stop(b""))
    large = pool.submit(Echo(bytes(2**24)))
    with pytest.raises(JobGivenUp, match="2 children"):
        stopped.result(PATIENCE)
    assert int.from_bytes(large.result(PATIENCE).outcome.result_hash) == 2**24
    assert sum("silent" in reason for reason in log.reasons(ChildKilled)) == 2


def test_a_large_result_streams_through_beside_small_ones(open_pool):
    pool, log = open_pool(devices=("cpu", "reference"))
    content = os.urandom(2**26)
    large = pool.submit(Large(content, outcome_bytes=len(content)))
    for length in range(10):
        assert pool.submit(Echo(bytes(length))).result(PATIENCE)
    assert large.result(PATIENCE).outcome.data == content
    assert log.of(ChildKilled) == []


def test_a_result_larger_than_its_job_can_give_costs_the_child(open_pool):
    pool, log = open_pool(limits=replace(LASTING, attempts=1))
    with pytest.raises(JobGivenUp, match="more than its jobs can give"):
        pool.submit(Large(bytes(2**20), outcome_bytes=2**10)).result(PATIENCE)
    assert pool.submit(Large(bytes(2**20), outcome_bytes=2**20)).result(PATIENCE)
    assert len(log.of(ChildKilled)) == 1


@pytest.mark.parametrize(
    ("work", "said"),
    [
        pytest.param(Poison(b""), "ILLEGAL_ADDRESS", id="poison"),
        pytest.param(Bug(b""), "IndexError", id="bug", marks=pytest.mark.slow),
        pytest.param(Lie(b"x"), "another length", id="lie"),
        pytest.param(Bomb(b""), "ZeroDivisionError", id="bomb", marks=pytest.mark.slow),
    ],
)
def test_work_that_takes_children_down_is_quarantined(open_pool, work, said):
    pool, _ = open_pool(limits=LASTING)
    with pytest.raises(JobGivenUp, match=said) as caught:
        pool.submit(work, name="bad").result(PATIENCE)
    assert caught.value.code == "quarantined"
    if not isinstance(work, Lie | Bomb):  # a second wrong result takes the device out, and the pool
        again = pool.submit(work, name="bad")
        assert again.exception(PATIENCE).code == "quarantined"
        assert pool.submit(Echo(b"")).result(PATIENCE)
    else:
        wait_until(lambda: pool.error, "the pool to end")
        assert isinstance(pool.error, NoDevice)
        assert pool.submit(Echo(b"")).exception(PATIENCE).code == "stopped"


def test_work_that_cannot_be_sent_to_a_child_is_given_up_and_costs_none(open_pool):
    pool, log = open_pool()
    with pytest.raises(JobGivenUp, match="InvalidJob") as caught:
        pool.submit(Echo(threading.Lock())).result(PATIENCE)
    assert caught.value.code == "invalid"
    assert pool.submit(Echo(b"")).result(PATIENCE)
    assert log.of(ChildKilled) == []


def test_stopping_tells_whoever_waits(open_pool):
    pool, _ = open_pool(limits=LASTING)
    futures = [pool.submit(Nap(b"")) for _ in range(3)]
    pool.stop()
    assert not wait(futures, 1).not_done
    assert {future.exception().code for future in futures} == {"stopped"}
    assert pool.submit(Echo(b"")).exception(1).code == "stopped"
    assert not pool.submit(Echo(b"")).cancel()
    pool.pause("reference", "too late")
    pool.stop()


def test_a_pool_that_is_not_entered_starts_nothing_and_can_be_stopped():
    pool = Pool(["reference"], lambda event: None)
    future = pool.submit(Echo(b""))
    pool.stop()
    assert future.exception(1).code == "stopped"


def test_what_an_owner_drops_is_what_no_child_was_given(open_pool, tmp_path):
    pool, _ = open_pool()
    began = tmp_path / "began"
    first = pool.submit(Touch(os.fsencode(began), seconds=1.0), owner="blocks")
    mine = [pool.submit(Echo(b""), owner="blocks", priority=0) for _ in range(3)]
    other = pool.submit(Echo(b""), owner="jobs", priority=0)
    wait_until(began.exists, "the first job to begin")
    pool.drop_pending("blocks", "a newer block came")
    for future in mine:
        with pytest.raises(JobGivenUp, match="a newer block came") as caught:
            future.result(PATIENCE)
        assert caught.value.code == "dropped"
    assert isinstance(first.result(PATIENCE), Done)
    assert isinstance(other.result(PATIENCE), Done)


def test_several_jobs_wait_at_a_child_and_those_of_a_killed_one_are_done(open_pool):
    pool, log = open_pool(limits=replace(LASTING, queued=3))
    futures = [pool.submit(TASK, openings=4)]
    futures += [pool.submit(Echo(bytes(length))) for length in range(2)]
    killer = pool.submit(Die(b""))
    futures += [pool.submit(TASK, openings=4), pool.submit(Echo(bytes(9)))]
    with pytest.raises(JobGivenUp, match="2 children"):
        killer.result(PATIENCE)
    results = [future.result(PATIENCE) for future in futures]
    assert [type(result) for result in results] == [Computed, Done, Done, Computed, Done]
    assert results[0].root == results[3].root == root_of(TASK)
    assert len(log.of(ChildEnded)) == 2


def test_devices_are_paused_resumed_and_withdrawn_from_other_threads(open_pool):
    pool, log = open_pool(devices=("cpu", "reference"))
    assert pool.ready.wait(PATIENCE)
    pool.pause("cpu", "it is hot")
    pool.pause("reference", "it is hot")
    pool.pause("cuda:7", "there is no such device")
    wait_until(lambda: pool.status.all_paused, "both to be paused")
    assert pool.status.devices["cpu"].paused == "it is hot"
    assert pool.status.capacity(TASK, 1.0) == 0
    future = pool.submit(Echo(b"x"))
    wait_until(lambda: not pool.status.idle, "the job to wait")
    assert not future.done()
    pool.resume("cpu")
    assert future.result(PATIENCE).device == "cpu"
    assert pool.status.capacity(Echo(b""), 1e9) >= 1
    pool.withdraw("reference", "its memory is broken")
    wait_for_state(pool, "reference", "out")
    assert pool.status.devices["reference"].reason == "its memory is broken"
    assert not pool.status.all_out
    wait_until(
        lambda: DeviceState("reference", "out", "its memory is broken") in log.events,
        "the state to be told",
    )
    assert pool.submit(TASK).result(PATIENCE).device == "cpu"


def test_the_thread_turns_while_nothing_happens(open_pool):
    pool, _ = open_pool()
    assert pool.ready.wait(PATIENCE)
    before = pool.turned_at
    wait_until(lambda: pool.turned_at > before, "the thread to turn")
    assert time.monotonic() - pool.turned_at < PATIENCE
