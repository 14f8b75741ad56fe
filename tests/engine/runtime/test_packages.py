"""Another project's package under one of our import names: a sentence, and no traceback."""

import os
import subprocess
import sys

import pytest

from engine.doctor.machine import check_packages
from engine.runtime.packages import NAMES, other_owners, why_hidden


def test_here_nothing_is_hidden_and_nothing_shared():
    assert why_hidden() is None
    assert other_owners() == []


@pytest.mark.parametrize("name", [name for name in NAMES if name != "engine"])
def test_a_hidden_package_ends_in_a_sentence(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").write_text("raise RuntimeError('imported')\n")
    done = subprocess.run(
        [sys.executable, "-c", "from engine.cli import main; main()", "--version"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    first, advice = done.stderr.splitlines()
    assert done.returncode == 2
    assert f"{name} is not that of cpc-engine: {tmp_path / name}" in first
    assert "pipx install" in advice


def test_the_doctor_sees_another_owner_of_our_names(tmp_path, monkeypatch):
    (tmp_path / "kernels").mkdir()
    (tmp_path / "other_kernels-1.0.dist-info").mkdir()
    (tmp_path / "other_kernels-1.0.dist-info" / "METADATA").write_text("Name: other-kernels\n")
    (tmp_path / "other_kernels-1.0.dist-info" / "top_level.txt").write_text("kernels\n")
    monkeypatch.syspath_prepend(tmp_path)
    check = check_packages()
    assert check.state == "warn"
    assert "other-kernels" in check.found
