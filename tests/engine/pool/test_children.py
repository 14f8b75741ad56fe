"""Real child processes: an honest one, and every villain of `villains.py`."""

import contextlib
import os
import queue
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from engine.pool.actions import Accepted, GivenUp, Kill, OutOfService
from engine.pool.children import Children
from engine.pool.job_queue import Job
from engine.pool.limits import Limits
from engine.pool.messages import Setup
from engine.pool.processes import LocalProcesses
from engine.pool.worker_main import child_main
from kernels.check import check_proof
from kernels.devices import open_device
from kernels.task import Task
from tests.engine.pool import villains

TASK = Task(bytes(range(32)), 64)
LIMITS = Limits(
    silence=2.5, work_margin=2.0, start=60.0, slowest_rate=1e9, backoff_most=0.2, attempts=3
)


@pytest.fixture(autouse=True)
def villain_state(tmp_path, monkeypatch):
    monkeypatch.setenv("CPC_VILLAIN", str(tmp_path))


@pytest.fixture
def run():
    """`run(entry, jobs)` gives every report until all jobs ended; no child is left after the test."""
    started = []

    def go(entry, tasks, devices=("cpu",), limits=LIMITS, patience=60.0, until=None, setup=None):
        inbox = queue.SimpleQueue()
        launcher = LocalProcesses(inbox, setup or Setup(threads=1), entry=entry or child_main)
        children = Children(devices, launcher, limits)
        started.append(children)
        reports = children.start()
        for ticket, task in enumerate(tasks, 1):
            reports += children.submit(Job(ticket, task, 4))
        deadline = time.monotonic() + patience
        while not (until or _idle)(children) and not children.all_out:
            assert time.monotonic() < deadline, (reports, children.states())
            with contextlib.suppress(queue.Empty):
                reports += children.handle(inbox.get(timeout=0.1))
            reports += children.tick()
        return children, reports

    yield go
    for children in started:
        children.stop()
    left = [
        child
        for child in psutil.Process().children(recursive=True)
        if "resource_tracker" not in " ".join(child.cmdline())
    ]
    assert left == []


def _idle(children):
    return children.idle


def drain(children):
    reports = []
    while not children.idle:
        reports += children.handle(children._launcher._inbox.get(timeout=30))
    return reports


def kinds(reports, kind):
    return [report for report in reports if isinstance(report, kind)]


def root_of(task):
    with open_device("reference") as device:
        return device.compute(task).root


def test_an_honest_child_computes_what_the_reference_computes(run):
    tasks = [TASK, Task(bytes(range(32)), 17, 3), Task(b"\1" * 31 + b"\2", 300)]
    _, reports = run(None, tasks)
    accepted = kinds(reports, Accepted)
    assert len(accepted) == len(reports) == 3
    for report in accepted:
        assert report.computed.root == root_of(report.job.work)
        check_proof(report.job.work, report.computed.root, report.computed.proof, least_openings=4)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (villains.suicidal_child, None),
        (villains.hanging_child, "hung"),
        (villains.stopping_child, "silent"),
        (villains.half_message_child, None),
        (villains.garbage_child, None),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_child_that_goes_wrong_once_is_replaced_and_the_job_done(run, entry, reason):
    limits = Limits(
        silence=2.5, work_margin=2.0, start=2.0, silence_starting=60.0, slowest_rate=1e9
    )
    if entry is not villains.hanging_child:
        limits = LIMITS
    _, reports = run(entry, [TASK], limits=limits)
    (accepted,) = kinds(reports, Accepted)
    assert accepted.computed.root == root_of(TASK)
    if reason:
        assert any(reason in kill.reason for kill in kinds(reports, Kill))


def test_a_child_that_leaks_is_replaced_and_the_next_job_done(run):
    limits = Limits(memory=2**29, work_margin=30.0)
    children, reports = run(villains.leaking_child, [TASK], limits=limits)
    deadline = time.monotonic() + 30
    while not kinds(reports, Kill):
        assert time.monotonic() < deadline
        reports += children.handle(children._launcher._inbox.get(timeout=30))
    assert "its memory grew to" in kinds(reports, Kill)[0].reason
    reports = children.submit(Job(2, TASK, 4)) + drain(children)
    assert kinds(reports, Accepted)[0].job.ticket == 2


def test_a_liar_is_found_out_and_put_out_of_service(run):
    children, reports = run(villains.lying_child, [TASK])
    assert kinds(reports, Accepted) == []
    assert "wrong result" in kinds(reports, OutOfService)[0].reason
    assert children.all_out


def test_a_child_that_never_starts_ends_out_of_service(run):
    children, reports = run(villains.broken_child, [TASK])
    assert kinds(reports, Accepted) == []
    assert children.all_out
    assert kinds(reports, OutOfService)


def test_a_missing_device_says_so_at_once(run):
    children, reports = run(None, [TASK], devices=("cuda:0",))
    assert children.all_out
    assert kinds(reports, Kill) != []
    assert "CUDA" in kinds(reports, OutOfService)[0].reason


def test_a_task_too_large_is_given_up_and_the_child_lives_on(run):
    _, reports = run(villains.poor_child, [Task(bytes(range(32)), 8192), TASK])
    assert "memory" in kinds(reports, GivenUp)[0].reason
    assert kinds(reports, Accepted)[0].job.ticket == 2
    assert kinds(reports, Kill) == []


def test_two_devices_share_the_jobs(run):
    def both_ready(children):
        return {state for state, _ in children.states().values()} == {"idle"}

    children, _ = run(None, [], devices=("cpu", "reference"), until=both_ready)
    for ticket in range(6):
        assert children.submit(Job(ticket, TASK, 4)) == []
    pids = children.pids()
    reports = drain(children)
    assert {report.computed.device for report in kinds(reports, Accepted)} == {"cpu", "reference"}
    assert children.pids() == pids


def test_stop_ends_a_child_that_will_not(run):
    children, _ = run(villains.stubborn_child, [TASK])
    (pid,) = children.pids().values()
    started = time.monotonic()
    children.stop(patience=0.3)
    assert time.monotonic() - started < 15
    assert not psutil.pid_exists(pid)


def test_children_die_with_a_parent_that_is_killed(tmp_path):
    """Also one that hangs with the interpreter's lock: its heartbeat's thread cannot see it."""
    script = (
        "import queue, time\n"
        "from engine.pool.children import Children\n"
        "from engine.pool.messages import Setup\n"
        "from engine.pool.processes import LocalProcesses\n"
        "from tests.engine.pool.villains import numb_child\n"
        "if __name__ == '__main__':\n"
        "    inbox = queue.SimpleQueue()\n"
        "    honest = Children(['cpu'], LocalProcesses(inbox, Setup(threads=1)))\n"
        "    numb = Children(['cpu'], LocalProcesses(inbox, entry=numb_child))\n"
        "    honest.start(), numb.start()\n"
        "    inbox.get(timeout=60)\n"
        "    print(*honest.pids().values(), *numb.pids().values(), flush=True)\n"
        "    time.sleep(60)\n"
    )
    path = tmp_path / "parent.py"
    path.write_text(script)
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    parent = subprocess.Popen(
        [sys.executable, path], stdout=subprocess.PIPE, text=True, env=environment
    )
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 2
    deadline = time.monotonic() + 30
    while not (tmp_path / "numb").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    while any(psutil.pid_exists(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)
