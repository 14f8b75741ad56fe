"""Waiting for other processes, and ending them."""

import contextlib
import subprocess
import time

import psutil

PATIENCE_SECONDS = 90.0
"""How long a test waits for what is to happen: long, since a busy machine takes its time."""


def wait_until(condition, what="it to happen", *, seconds=PATIENCE_SECONDS, every=0.02):
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
