"""Processes, threads or descriptors are short for a while: the pool waits, and then works."""

import contextlib
import gc
import os
import resource
import subprocess
import sys
import threading

from engine.monitor.events.pool import ChildKilled, OutOfService
from engine.pool.codec import decode_message
from engine.pool.messages import SHORTAGE, Failed, Setup
from engine.pool.pool import Pool
from engine.pool.processes import ChildProcess
from engine.pool.supervisor import Supervisor
from engine.pool.worker_main import child_main
from kernels.task import Task
from tests.processes import wait_until
from tests.situations import control_group, tells_no_bug


def test_a_shortage_takes_no_device_out_of_service():
    supervisor = Supervisor(["cpu"], draw=lambda _task, _computed: ())
    supervisor.start(0.0)
    now = 0.0
    for _again in range(1100):
        generation = supervisor.workers["cpu"].generation
        actions = supervisor.heard("cpu", generation, Failed(None, SHORTAGE, "no process"), now)
        assert not any(type(action).__name__ == "OutOfService" for action in actions)
        assert 1.0 <= supervisor.workers["cpu"].deadline - now <= 60.0
        while not supervisor.tick(now):
            now += 1.0


def test_descriptors_that_are_short_for_a_while_are_waited_for():
    told = []
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    gc.collect()  # what earlier tests left would make room later
    with contextlib.ExitStack() as held:
        last, highest = 0, max(map(int, os.listdir("/proc/self/fd")))  # noqa: PTH208
        while last < highest:
            last = held.enter_context(open(os.devnull)).fileno()  # noqa: PTH123 - no gap is left
        least = last + 6  # the pool's own inbox, and not the pipes of a child
        held.callback(resource.setrlimit, resource.RLIMIT_NOFILE, usual)
        pool = Pool(["reference"], told.append, setup=Setup(threads=1))
        resource.setrlimit(resource.RLIMIT_NOFILE, (least, usual[1]))
        with pool:
            wait_until(lambda: [one for one in told if isinstance(one, ChildKilled)], "its words")
            resource.setrlimit(resource.RLIMIT_NOFILE, usual)
            assert pool.submit(Task(bytes(range(32)), 64), openings=4).result(90).root
    assert not [one for one in told if isinstance(one, OutOfService)]


def test_a_child_that_could_not_be_started_leaves_nothing():
    """Whichever of its descriptors there was no room for."""
    usual, failed = resource.getrlimit(resource.RLIMIT_NOFILE), 0
    gc.collect()
    with contextlib.ExitStack() as held:
        last, highest = 0, max(map(int, os.listdir("/proc/self/fd")))  # noqa: PTH208
        while last < highest:
            last = held.enter_context(open(os.devnull)).fileno()  # noqa: PTH123
        held.callback(resource.setrlimit, resource.RLIMIT_NOFILE, usual)
        child = None
        while child is None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (last + 1 + failed, usual[1]))
            with contextlib.suppress(OSError):
                child = ChildProcess(child_main, ("cpu", Setup()), decode_message, "cpc-cpu")
            failed += child is None
            assert child or not [one for one in threading.enumerate() if one.name == "pool-tasks"]
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)
        child.kill()
        assert child.join(float("inf"))
        while not child.close():
            pass
        assert failed > 4
        assert max(map(int, os.listdir("/proc/self/fd"))) <= last + 1  # noqa: PTH208 - of listdir


def test_threads_that_are_short_for_a_while_are_waited_for():
    """A control group that allows no more processes, as pids.max of a container does."""
    with control_group("pids", pids_max="max") as enter:
        done = subprocess.run(
            [*enter, sys.executable, "-c", SHORT],
            env=dict(os.environ),
            capture_output=True,
            text=True,
        )
    tells_no_bug(done.stderr)
    assert done.returncode == 0, done.stderr
    assert "no process could be started" in done.stdout  # for want of a thread, or of a process
    assert "True" in done.stdout


SHORT = """
import pathlib, threading
import psutil
from engine.pool.messages import Setup
from engine.pool.pool import Pool
from kernels.task import Task
from tests.processes import wait_until

groups = pathlib.Path("/proc/self/cgroup").read_text().splitlines()
path = next(line.split(":", 2)[2] for line in groups if ":pids:" in line)
limit = pathlib.Path(f"/sys/fs/cgroup/pids{path}/pids.max")
told = threading.Event()

def current():
    return int(limit.with_name("pids.current").read_text())

def report(event):
    line = event.line()
    print(line, flush=True)
    if "no process could be started" in line:
        told.set()

if __name__ == "__main__":
    alone = current()
    with Pool([], report, setup=Setup(threads=1)):
        pass
    # Threads that were joined end a moment later, and would leave room for a child.
    wait_until(lambda: current() <= alone + len(psutil.Process().children()))
    pool = Pool(["reference"], report, setup=Setup(threads=1))
    limit.write_text(str(current() + 1))  # the pool's own thread
    with pool:
        assert told.wait(60)
        limit.write_text("max")
        print(bool(pool.submit(Task(bytes(range(32)), 64), openings=4).result(90).root))
"""
