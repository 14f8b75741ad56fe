"""The program is updated on disk while it runs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.processes import PATIENCE_SECONDS, spawned_children, started, wait_until
from tests.situations import tells_no_bug

ROOT = Path(__file__).parents[3]
MINE = "mine --devnet --block-time 0.2 --device reference --size 64 --plain"


def test_a_child_of_another_version_is_not_started_and_the_reason_is_told(home, tmp_path):
    program = tmp_path / "program"
    for package in ("engine", "kernels", "node_client"):
        shutil.copytree(ROOT / package, program / package)
    command = [sys.executable, "-P", "-c", "from engine.cli import main; main()", *MINE.split()]
    with started(
        command,
        env=os.environ | {"PYTHONPATH": str(program)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as engine:
        for line in engine.stdout:
            if ": signed with nonce" in line:
                break
        with (program / "engine" / "pool" / "messages.py").open("a") as source:
            source.write("VERSION = 2\n")
        for child in wait_until(lambda: spawned_children(engine.pid), "its children"):
            child.kill()
        out, err = engine.communicate(timeout=PATIENCE_SECONDS)
    tells_no_bug(out, err)
    assert engine.returncode == 4
    assert "the program was updated on disk while it runs" in out
    assert "Start it again" in err + out
