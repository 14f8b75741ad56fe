"""What lies in the working directory is not imported: neither by the program nor by its children."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.processes import PATIENCE_SECONDS

TRAPS = ("types", "socket", "signal", "struct", "queue", "numpy", "msgspec", "psutil", "engine")
PARENT = """
import sys
sys.path.insert(0, {first!r})
from engine.benchmark import multi_device
from engine.pool.messages import Setup
from engine.pool.pool import Pool
from engine.runtime.safe_path import safe_path
from kernels.task import Task

if __name__ == "__main__":
    task = Task(bytes(range(32)), 64)
    with Pool(["reference"], lambda event: None, setup=Setup(threads=1)) as pool:
        print(pool.submit(task, openings=4).result(90).root.hex())
    multi_device.SECONDS = 0.1
    multi_device.measure_rig(["reference"], Task(bytes(range(32)), 16), threads=1, turns=1)
    assert sys.path[0] == {first!r}
"""


@pytest.fixture
def trapped(tmp_path):
    """A directory with modules that leave a file behind when somebody imports them."""
    directory = tmp_path / "here"
    directory.mkdir()
    for name in TRAPS:
        caught = directory / f"{name}.caught"
        (directory / f"{name}.py").write_text(f"open({str(caught)!r}, 'w').close()\n")
    return directory


def run(command, directory, **environment):
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"
    } | environment
    return subprocess.run(
        [str(part) for part in command],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


@pytest.mark.parametrize("first", ["", pytest.param(".", marks=pytest.mark.slow)])
def test_a_pools_children_import_nothing_from_the_working_directory(trapped, tmp_path, first):
    """Also where the parent's own path names that directory: its modules are imported by then."""
    script = tmp_path / "elsewhere" / "parent.py"
    script.parent.mkdir()
    head, rest = PARENT.format(first=first).split("\n\nif __name__", 1)
    imports = head.replace(f"sys.path.insert(0, {first!r})\n", "")
    insert = f"\nif __name__ == '__main__':\n    sys.path.insert(0, {first!r})\n"
    script.write_text(f"{imports}\n{insert}\nif __name__{rest}")
    ended = run([sys.executable, script], trapped)
    assert ended.returncode == 0, ended.stderr
    assert len(ended.stdout.strip()) == 64
    assert sorted(path.name for path in trapped.glob("*.caught")) == []


@pytest.mark.slow
def test_the_program_and_its_children_import_nothing_from_the_working_directory(trapped):
    program = Path(sysconfig.get_path("scripts")) / "cpc-engine"
    arguments = ["--blocks", "1", "--block-time", "0.5", "--size", "64", "--device", "cpu"]
    ended = run([program, "mine", "--devnet", "--json", *arguments], trapped)
    assert ended.returncode == 0, ended.stderr
    assert '"event": "computed"' in ended.stdout
    assert sorted(path.name for path in trapped.glob("*.caught")) == []
