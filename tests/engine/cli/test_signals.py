"""Ctrl-C, SIGTERM, and a reader that goes away."""

import os
import shlex
import signal
import subprocess
import sys
import time

import psutil
import pytest

ENGINE = [sys.executable, "-c", "from engine.cli import main; main()"]


@pytest.fixture
def mine(devnet):
    """A running `mine`, and its lines up to the first result."""
    process = subprocess.Popen(
        [*ENGINE, "mine", "--device", "cpu", "--threads", "1"],
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if ": signed with nonce" in line:
            break
    yield process
    process.kill()
    process.communicate()


def end(process):
    """Output and seconds until the process, and everything below it, is gone."""
    children = psutil.Process(process.pid).children(recursive=True)
    started = time.monotonic()
    yield
    out, err = process.communicate(timeout=30)
    seconds = time.monotonic() - started
    _, alive = psutil.wait_procs(children, timeout=10)
    assert alive == []
    yield out, err, seconds


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_mining_in_order(mine, number):
    ending = end(mine)
    next(ending)
    mine.send_signal(number)
    out, err, _ = next(ending)
    assert mine.returncode == 0
    assert err == ""
    assert "stopping: everything is saved" in out
    assert " confirmed" in out


def test_a_second_instance_is_turned_away_and_the_first_goes_on(mine):
    second = subprocess.run(
        [*ENGINE, "mine", "--device", "reference"], capture_output=True, text=True, timeout=60
    )
    assert second.returncode == 2
    assert "another cpc-engine works with the ledger" in second.stderr
    assert "Traceback" not in second.stderr
    assert ": signed with nonce" in "".join(mine.stdout.readline() for _ in range(8))


def test_a_node_that_hangs_does_not_hold_up_the_end(mine, devnet):
    devnet.faults.stall(60.0)
    time.sleep(1.0)  # so that questions are under way
    ending = end(mine)
    next(ending)
    mine.send_signal(signal.SIGINT)
    _, err, seconds = next(ending)
    assert mine.returncode == 0
    assert err == ""
    assert seconds < 8  # and not the ten of a read's time-out


def test_a_second_signal_ends_at_once(mine):
    """Also where a child is stopped, which no asking ends."""
    (child,) = (
        found
        for found in psutil.Process(mine.pid).children(recursive=True)
        if "spawn_main" in " ".join(found.cmdline())
    )
    ending = end(mine)
    next(ending)
    child.suspend()
    mine.send_signal(signal.SIGINT)
    time.sleep(0.05)
    mine.send_signal(signal.SIGINT)
    _, err, _ = next(ending)
    assert mine.returncode == 130
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "line",
    [
        "keys list",
        "compute --size 16 --device reference --seed " + "ab" * 31 + "cd",
        "mine --devnet --block-time 0.2 --blocks 1 --device reference",
    ],
)
def test_a_reader_that_goes_away_is_no_error(home, line):
    command = " ".join(map(shlex.quote, [*ENGINE, *shlex.split(line)]))
    done = subprocess.run(
        ["bash", "-c", f"{command} | true; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        env=dict(os.environ),
    )
    assert done.stderr == ""
    assert done.returncode == 0
