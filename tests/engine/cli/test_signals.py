"""Ctrl-C, SIGTERM, and a reader that goes away."""

import os
import shlex
import signal
import subprocess
import time

import psutil
import pytest

from tests.processes import (
    ENGINE,
    PATIENCE_SECONDS,
    is_gone,
    spawned_children,
    stop,
    wait_until,
)
from tests.situations import mining
from tests.variants import quick_and_slow


@pytest.fixture
def mine(devnet):
    """A running `mine`, and its lines up to the first result."""
    started = time.monotonic()
    with mining("--device", "reference", "--size", "64") as process:
        process.seconds_to_start = time.monotonic() - started
        yield process


def ending_of(process):
    """Output and seconds until the process, and everything below it, is gone."""
    children = psutil.Process(process.pid).children(recursive=True)
    started = time.monotonic()
    yield
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    seconds = time.monotonic() - started
    wait_until(lambda: all(is_gone(child.pid) for child in children), "its children to end")
    yield out, err, seconds


@pytest.mark.parametrize("number", quick_and_slow([signal.SIGTERM], [signal.SIGINT]))
def test_a_signal_ends_mining_in_order(mine, number):
    ending = ending_of(mine)
    next(ending)
    mine.send_signal(number)
    out, err, _ = next(ending)
    assert mine.returncode == 0
    assert err == ""
    assert "stopping: everything is saved" in out
    assert " confirmed" in out


def test_a_second_instance_is_turned_away_and_the_first_goes_on(mine):
    second = subprocess.run(
        [*ENGINE, "mine", "--device", "reference"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert second.returncode == 2
    assert "another cpc-engine works with the ledger" in second.stderr
    assert "Traceback" not in second.stderr
    assert ": signed with nonce" in "".join(mine.stdout.readline() for _ in range(8))


def test_a_node_that_hangs_does_not_hold_up_the_end(mine, devnet):
    devnet.faults.stall(3600.0)
    height = devnet.chain.height
    wait_until(lambda: devnet.chain.height >= height + 4, "questions to be under way")
    ending = ending_of(mine)
    next(ending)
    mine.send_signal(signal.SIGINT)
    _, err, seconds = next(ending)
    assert mine.returncode == 0
    assert err == ""
    # and not the ten of a read's time-out; on a busy machine the start tells how busy it is
    assert seconds < max(8, 3 * mine.seconds_to_start)


def test_a_second_signal_ends_at_once(mine):
    """Also where a child is stopped, which no asking ends."""
    children = spawned_children(mine.pid)
    assert children
    ending = ending_of(mine)
    next(ending)
    for child in children:
        stop(child)
    stop(mine)  # so that it finds two, neither of which swallows the other
    mine.send_signal(signal.SIGINT)
    mine.send_signal(signal.SIGTERM)
    mine.send_signal(signal.SIGCONT)
    _, err, _ = next(ending)
    assert mine.returncode == 130
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "line",
    quick_and_slow(
        ["keys list", "mine --devnet --block-time 0.2 --blocks 1 --depth 1 --device reference"],
        ["compute --size 16 --device reference --seed " + "ab" * 31 + "cd"],
    ),
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


@pytest.mark.slow
def test_a_caller_that_ignores_ends_of_children_does_not_blind_the_engine(home):
    """SIG_IGN survives exec, and then no exit code of a child ever came: a Ray gateway's, say."""
    script = "trap '' CHLD; exec " + shlex.join(
        [*ENGINE, "mine", "--ray", "127.0.0.1:1", "--devnet"]
    )
    ended = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert ended.returncode == 2
    assert "refused" in ended.stderr
