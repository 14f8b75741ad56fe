"""A traced run: spans of parent, child and checker in one file that a viewer reads."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

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
    assert len({event["pid"] for event in events}) == 2
    for event in events:
        assert event["ph"] == "X"
        assert event["dur"] >= 0


@pytest.mark.parametrize("where", quick_and_slow(["missing/trace.json"], ["."]))
def test_a_trace_that_cannot_be_written_is_refused(tmp_path, where):
    command = [PROGRAM, "mine", "--devnet", "--trace", tmp_path / where]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_SECONDS, text=True)
    assert done.returncode == 2
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
