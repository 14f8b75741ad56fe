"""SIGTERM and Ctrl-C while the program starts, also as process 1, for which Linux has no defaults."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.processes import ENGINE, PATIENCE_SECONDS, started, wait_until
from tests.situations import QUICK_MINE, alone_in_a_process_namespace, tells_no_bug
from tests.variants import quick_and_slow


def _catches(pid, number):
    """Whether that process has a handler for the signal."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    (line,) = (line for line in status.splitlines() if line.startswith("SigCgt:"))
    return int(line.split()[1], 16) >> (number - 1) & 1


@pytest.mark.parametrize("number", quick_and_slow([signal.SIGINT], [signal.SIGTERM]))
@pytest.mark.parametrize("first", [False, True], ids=["child", "process 1"])
@pytest.mark.parametrize("after", quick_and_slow([0.0, 0.3], [1.0]))
def test_a_signal_at_the_start_ends_at_once_and_quietly(home, number, first, after):
    prefix = alone_in_a_process_namespace() if first else []
    with started(
        [*prefix, *ENGINE, *shlex.split(QUICK_MINE)],
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        target = psutil.Process(process.pid)
        if first:
            (target,) = wait_until(target.children, "process 1")
        wait_until(lambda: _catches(target.pid, signal.SIGTERM), "its handlers", every=0.001)
        with contextlib.suppress(subprocess.TimeoutExpired):  # the moment is what is tried
            process.wait(after)
        target.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    tells_no_bug(out, err)
    assert err == ""
    assert process.returncode in (0, 128 + number)


def test_a_signal_that_comes_while_a_finalizer_is_at_work_is_not_lost(home):
    """Python prints and forgets what is raised in one."""
    script = """
import signal, sys, weakref
import engine.cli.app

class Thing: pass

def run():
    thing = Thing()
    weakref.finalize(thing, lambda: [signal.raise_signal(signal.SIGTERM), None])
    del thing
    signal.pause()

engine.cli.app.run = run
from engine.cli import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert (done.returncode, done.stdout, done.stderr) == (143, "", "")


def test_ctrl_c_at_a_validators_terminal_shows_no_traceback_of_its_checkers(home):
    """A terminal sends it to the whole group: also to a checker that is being imported."""
    with started(
        [*ENGINE, "validator", "serve", "--port", "0", "--device", "reference"],
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert any("validator of" in line for line in process.stdout)
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, err) == (0, "")
    assert "stopping" in out
