"""A traced run: spans of parent, child and checker in one file that a viewer reads."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.runtime.trace import start_trace
from tests.processes import PATIENCE_SECONDS
from tests.variants import quick_and_slow

PROGRAM = Path(sys.executable).with_name("cpc-engine")


def spans(path):
    """As a viewer reads the array format: the last comma and the missing bracket are allowed."""
    return json.loads(path.read_text(encoding="utf-8").rstrip().rstrip(",") + "]")


def test_a_task_s_way_is_in_the_trace(tmp_path):
    path = tmp_path / "trace.json"
    command = [PROGRAM, "mine", "--devnet", "--blocks", "1", "--size", "64"]
    command += ["--block-time", "0.3", "--depth", "1", "--trace", path]
    environment = os.environ | {"CPC_STATE": str(tmp_path), "CPC_KEYS": str(tmp_path / "keys")}
    subprocess.run(
        command, env=environment, check=True, capture_output=True, timeout=PATIENCE_SECONDS
    )
    events = spans(path)
    assert {"derive", "compute", "proof", "open", "check", "record", "sign", "send"} <= {
        event["name"] for event in events
    }
    names = [event["args"]["name"] for event in events if event["ph"] == "M"]
    assert sorted(names) == ["MainProcess", "cpc-cpu"]
    complete = [event for event in events if event["ph"] == "X"]
    assert len(complete) + len(names) == len(events)
    assert len({event["pid"] for event in complete}) == 2
    assert all(event["dur"] >= 0 for event in complete)


@pytest.mark.parametrize("where", quick_and_slow(["missing/trace.json"], [".", "/dev/full"]))
def test_a_trace_that_cannot_be_written_is_refused(tmp_path, where):
    command = [PROGRAM, "mine", "--devnet", "--trace", tmp_path / where]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_SECONDS, text=True)
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_other_file_is_overwritten_by_a_trace_nor_waited_for(tmp_path):
    key, pipe = tmp_path / "key", tmp_path / "pipe"
    key.write_text("a key")
    os.mkfifo(pipe)
    with pytest.raises(FileExistsError):
        start_trace(key)
    assert key.read_text() == "a key"
    command = [sys.executable, "-c", "from engine.runtime.trace import span\nwith span('x'): pass"]
    subprocess.run(command, env=os.environ | {"CPC_TRACE": str(key)}, check=True)
    assert key.read_text() == "a key"
    for path in (pipe, tmp_path, Path("/dev/full")):
        with pytest.raises(OSError, match=r"regular|directory"):
            start_trace(path)


SPANS = """
import resource, signal, sys
from pathlib import Path
from engine.runtime import trace

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path, most, disk = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (disk, disk))
trace.MOST_BYTES = most
for again in range(2):  # the second replaces the first
    trace.start_trace(path)
    for number in range(1000):
        with trace.span("step", number=number):
            pass
"""


@pytest.mark.parametrize(("most", "disk"), [(10_000, 10**6), (10**6, 10_000)])
def test_a_trace_stays_bounded_and_a_full_disk_ends_it_alone(tmp_path, most, disk):
    path = tmp_path / "trace.json"
    command = [sys.executable, "-c", SPANS, path, str(most), str(disk)]
    subprocess.run(command, check=True, timeout=PATIENCE_SECONDS)
    lines = path.read_text(encoding="utf-8").splitlines()
    whole = lines if most < disk else lines[:-1]
    numbers = [event["args"]["number"] for event in map(line_of, whole[2:])]  # after "[", name
    assert numbers == list(range(len(numbers)))
    assert 9_000 < path.stat().st_size <= 10_000


def line_of(line):
    return json.loads(line.removesuffix(","))
