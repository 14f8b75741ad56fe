"""Nothing is left over by children that are killed, nor by a parent that is: no semaphore, no
descriptor, no thread.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from engine.monitor.events.pool import ChildEnded
from engine.pool.limits import Limits
from tests.engine.pool import villains
from tests.engine.pool.conftest import wait_for_state
from tests.engine.pool.works import Echo, Stop
from tests.processes import is_gone, wait_until

KILLS = 30
PATIENCE = 90.0
PATIENT = Limits(restarts=1000, starts=1000, backoff_most=0.0, start=60.0, slowest_rate=1e9)

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="/proc and /dev/shm show semaphores on Linux only"
)


def semaphores(pid="self"):
    """Inodes of the named semaphores that the process has open: they are files, mapped."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    return set(re.findall(r" (\d+) +/dev/shm/sem\.", maps))


def named(inodes):
    """Those of them that still have a name."""
    found = set()
    for path in Path("/dev/shm").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(str(path.stat().st_ino))
    return found & inodes


def descriptors():
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a number is wanted


def writers():
    return [thread for thread in threading.enumerate() if thread.name == "pool-tasks"]


def kill_next(pool, killed):
    """SIGKILL for the next child that was not killed yet; the semaphores of its queue, among others."""
    pid = wait_until(
        lambda: next(
            (pid for pid in pool.child_pids().values() if pid not in {None, *killed}), None
        ),
        "another child",
    )
    seen = semaphores()
    os.kill(pid, signal.SIGKILL)
    killed.append(pid)
    return seen


@pytest.fixture
def others():
    """Semaphores that other tests of this process left, and that may be collected at any time."""
    return semaphores()


def test_after_many_kills_nothing_is_left_over(others, open_pool):
    pool, _ = open_pool(limits=PATIENT)
    assert pool.ready.wait(PATIENCE)
    assert pool.submit(Echo(b"")).result(PATIENCE)
    before, open_before, killed, seen = descriptors(), len(semaphores() - others), [], set()
    for _ in range(KILLS):
        seen |= kill_next(pool, killed) - others
    assert pool.submit(Echo(b"")).result(PATIENCE)
    assert len(seen) >= KILLS  # each child has a queue of its own, with semaphores of its own
    wait_until(lambda: not writers(), lambda: f"no thread that writes: {writers()}")
    wait_until(
        lambda: len(semaphores() - others) == open_before,
        lambda: f"few semaphores: {semaphores()}",
    )
    # Fewer where what earlier tests of this process left is collected meanwhile.
    wait_until(lambda: descriptors() <= before, lambda: f"{before} descriptors: {descriptors()}")
    pool.stop()
    wait_until(lambda: writers() == [], lambda: f"no thread that writes: {writers()}")
    assert semaphores() <= others
    assert named(seen) == set()
    assert all(is_gone(pid) for pid in killed)


def wait_stopped(pid):
    wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED, "the child to stop")


def submit_to_a_stopped_child(pool):
    """Futures of a job that stops the child, and of one that its queue has no room for then."""
    stopped = pool.submit(Stop(b""))
    (pid,) = pool.child_pids().values()
    wait_stopped(pid)
    large = pool.submit(Echo(bytes(2**22)))
    wait_until(lambda: len(writers()) == 1, lambda: f"a thread that writes: {writers()}")
    return stopped, large


def test_a_writer_that_waits_for_a_killed_child_is_freed(others, open_pool):
    """The child is stopped, and its queue full; then it is killed."""
    pool, _ = open_pool(limits=replace(PATIENT, queued=2, silence=PATIENCE, attempts=2))
    assert pool.ready.wait(PATIENCE)
    before, open_before = descriptors(), len(semaphores() - others)
    stopped, large = submit_to_a_stopped_child(pool)
    for _ in range(2):
        (pid,) = pool.child_pids().values()
        wait_stopped(pid)
        os.kill(pid, signal.SIGKILL)
        wait_until(
            lambda pid=pid: pool.child_pids()["reference"] not in (None, pid), "another child"
        )
    assert stopped.exception(PATIENCE).code == "quarantined"
    assert int.from_bytes(large.result(PATIENCE).outcome.result_hash) == 2**22
    wait_until(lambda: not writers(), lambda: f"no thread that writes: {writers()}")
    wait_until(
        lambda: len(semaphores() - others) == open_before,
        lambda: f"few semaphores: {semaphores()}",
    )
    wait_until(lambda: descriptors() <= before, lambda: f"{before} descriptors: {descriptors()}")


def test_a_pool_stops_though_a_writer_waits_for_a_stopped_child(others, open_pool):
    pool, _ = open_pool(limits=replace(PATIENT, queued=2, silence=PATIENCE))
    assert pool.ready.wait(PATIENCE)
    stopped, large = submit_to_a_stopped_child(pool)
    (pid,) = pool.child_pids().values()
    pool.stop()
    assert {future.exception(PATIENCE).code for future in (stopped, large)} == {"stopped"}
    assert is_gone(pid)
    wait_until(lambda: writers() == [], lambda: f"no thread that writes: {writers()}")
    assert semaphores() <= others


def test_what_children_leave_behind_holds_nothing_and_nobody_up(others, open_pool, tmp_path):
    """Each takes its locks, fills its pipes, and dies; a process of its own has all it had."""
    limits = replace(PATIENT, attempts=1000, silence=PATIENCE)
    entry, devices = villains.bequeathing_child, ("cpu", "reference")
    with villains.heirs(tmp_path) as heirs:
        pool, log = open_pool(entry, devices, limits=limits)
        wait_for_state(pool, "cpu", "idle")
        large, open_before, before = Echo(bytes(2**20)), len(semaphores() - others), descriptors()
        for number in range(1, 4):
            wait_until(lambda number=number: heirs() == number, "a child with an heir")
            wait_for_state(pool, "reference", "idle")
            pool.pause("cpu", "so that the other one is given it")
            future = pool.submit(large)
            wait_for_state(pool, "reference", "busy")
            pool.resume("cpu")
            os.kill(pool.child_pids()["reference"], signal.SIGKILL)
            assert future.result(PATIENCE).device == "cpu"
            wait_until(lambda number=number: len(log.of(ChildEnded)) == number, "its end")
        wait_until(lambda: not writers(), lambda: f"no thread that writes: {writers()}")
        wait_until(
            lambda: len(semaphores() - others) <= open_before,
            lambda: f"few semaphores: {semaphores()}",
        )
        wait_until(lambda: descriptors() <= before, lambda: f"{before}: {descriptors()}")
        pool.stop()
        assert writers() == []
        assert semaphores() <= others


PARENT = """
import time
from engine.pool.messages import Setup
from engine.pool.pool import Pool

if __name__ == "__main__":
    with Pool(["reference"], lambda event: None, setup=Setup(threads=1)) as pool:
        pool.ready.wait(90)
        print("ready", flush=True)
        time.sleep(600)
"""


def test_after_kill_9_of_the_parent_no_semaphore_is_left(tmp_path):
    path = tmp_path / "parent.py"
    path.write_text(PARENT)
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    with subprocess.Popen(
        [sys.executable, path],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # the resource tracker says what it cleans up
    ) as parent:
        try:
            assert parent.stdout.readline() == "ready\n"
            seen = semaphores(parent.pid)
            assert len(named(seen)) == 1
            family = psutil.Process(parent.pid).children(recursive=True)
        finally:
            parent.kill()
    wait_until(lambda: not named(seen), lambda: f"an end of {named(seen)}")
    wait_until(lambda: all(is_gone(child.pid) for child in family), f"an end of {family}")
