"""Starting other processes, waiting for what they do, and ending them with all that they started."""

import contextlib
import ctypes
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil

ENGINE = [sys.executable, "-c", "from engine.cli import main; main()"]
"""`cpc-engine` of this source tree."""

PATIENCE_SECONDS = 300.0
"""How long a test waits for what is to happen: long, since a busy machine takes its time."""


def free_port():
    """A port of this machine on which nothing listens, and that the system gives to nobody else.

    From below the range that systems take such ports from (32768 on in Linux), a part of it for each
    of pytest's processes: else another test may have it before its owner does.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 16
    while True:
        port = 16_000 + 1_000 * worker + secrets.randbelow(1_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def run_python(code, *arguments, **environment):
    """What a new interpreter prints that runs this code, with more in its environment."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | environment,
        capture_output=True,
        timeout=PATIENCE_SECONDS,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def wait_until(condition, what="it to happen", *, seconds=PATIENCE_SECONDS, every=0.05):
    """Wait until `condition()` gives something true, and give that. `what`: text, or gives the text."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            text = what() if callable(what) else what
            raise AssertionError(f"waited {seconds:.0f} s for {text}"[:4000])
        time.sleep(every)
    return value


def is_gone(pid):
    """Whether that process ended, if only as a zombie that its new parent has not looked at yet."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def stop(process):
    """SIGSTOP for a process of `subprocess` or psutil; back once each of its threads stands still.

    A signal stops a process one thread after another: until the last, others still answer.
    """
    process.send_signal(signal.SIGSTOP)
    wait_until(lambda: _is_still(process.pid), f"every thread of {process.pid} to stop")


def _is_still(pid):
    try:
        states = [status.read_text() for status in Path("/proc", str(pid), "task").glob("*/status")]
    except FileNotFoundError:  # a thread ended meanwhile, so they do not all stand still
        return False
    return all(re.search(r"^State:\s+[TtZX]", state, re.MULTILINE) for state in states)


def spawned_children(pid):
    """Children of that process that multiprocessing started, without its resource tracker."""
    try:
        children = psutil.Process(pid).children()
    except psutil.NoSuchProcess:
        return []
    return [child for child in children if "spawn_main" in command_line(child)]


def command_line(process):
    """Its command line, empty where it is gone."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


@contextlib.contextmanager
def started(command, **options):
    """A process from `subprocess.Popen`; it and all that it started are gone after the body."""
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            end(process)


def end(*processes):
    """SIGKILL for each, and for everything that it started; wait for those that are our own."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(process.pid).children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    child.kill()
            process.kill()
    for process in processes:
        if isinstance(process, subprocess.Popen):
            process.wait()


def adopt_orphans():
    """Have Linux make descendants whose parent dies children of this process, so that they are seen."""
    if sys.platform == "linux":
        pr_set_child_subreaper = 36  # <linux/prctl.h>
        ctypes.CDLL(None).prctl(pr_set_child_subreaper, 1)


def own_children():
    """Process ids of this process's children."""
    try:  # some 50 microseconds, where looking at every process takes milliseconds
        listed = [file.read_text() for file in Path("/proc/self/task").glob("*/children")]
    except OSError:
        listed = []
    if not listed:
        listed = [" ".join(str(child.pid) for child in psutil.Process().children())]
    return {int(pid) for text in listed for pid in text.split()}


def ticks():
    """Now, as Linux counts it for the start of a process."""
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK"))


def _started_at(pid):
    """When it started, in ticks; 0 where it is gone."""
    try:  # the name, in parentheses, may hold anything
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return 0


def _running(before, since):
    """Children that came after `before`, but for this process's own resource tracker, which stays.

    The kernel's list may lack some while others end: what runs longer than `since` was there before.
    """
    running = [pid for pid in own_children() - before if not is_gone(pid)]
    running = [pid for pid in running if _started_at(pid) >= since]
    trackers = [pid for pid in running if _is_tracker(pid)]
    if trackers and not any(_is_tracker(pid) for pid in before):
        running.remove(min(trackers))
    return running


def _is_tracker(pid):
    try:
        return "resource_tracker" in command_line(psutil.Process(pid))
    except psutil.NoSuchProcess:
        return False


def end_leftovers(before, since, *, grace):
    """Give command lines of children that came after `before` and still run; end and reap them.

    `since`: ticks at that time. `grace`: seconds for those that are about to end, as after a signal.
    """
    deadline = time.monotonic() + grace
    while running := _running(before, since):
        if time.monotonic() > deadline:
            break
        time.sleep(0.01)
    left = []
    for pid in running:
        with contextlib.suppress(psutil.NoSuchProcess):
            left.append(psutil.Process(pid))
    told = [f"{process.pid}: {command_line(process)[-200:]}" for process in left]
    end(*left)
    for pid in own_children() - before:
        if not is_gone(pid):
            continue
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
    return told
