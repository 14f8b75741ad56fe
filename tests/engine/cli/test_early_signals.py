"""SIGTERM and Ctrl-C while the program starts, also as process 1, for which Linux has no defaults."""

import contextlib
import os
import shlex
import signal
import subprocess
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
@pytest.mark.parametrize("after", [0.0, 0.3, 1.0])
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
