"""Machine code on disk: never of another path, never damaged, and no error where it cannot be kept."""

import os
from pathlib import Path

import numpy as np
import pytest

from kernels.cpu import jit as jit_module
from kernels.cpu.jit import Jit, code_directory, finish
from tests.processes import run_python

COMPUTE = """
from kernels.devices import open_device
from kernels.task import Task
seen = []
with open_device("cpu", threads=1, progress=lambda done, total: seen.append((done, total))) as device:
    print(device.compute(Task(bytes(range(32)), 100)).root.hex(), seen[-1:] or "loaded")
"""

TWO_VARIANTS = """
import sys
import numpy as np
from kernels.cpu.jit import Jit, finish

def build(variant, factor):
    jit = Jit(variant)

    @jit.helper
    def product(x, y):  # too long to be made a part of what calls it, twice
        for i in range(x.shape[0]):
            for j in range(y.shape[0]):
                y[j] += (x[i] // (y[j] + 3)) % (x[i] + 7) // (x[i] + 5) % (y[j] + 11)
                x[i] += (y[j] // (x[i] + 3)) % (y[j] + 7) // (y[j] + 5) % (x[i] + 11)
        y[0] = x[0] * factor

    @jit.kernel("void(int64[::1])")
    def scale(x):
        product(x[:1], x[1:2])
        product(x[1:2], x[2:3])

    finish([jit])
    return scale

kernels = [build(name, int(factor)) for name, factor in (word.split("=") for word in sys.argv[1:])]
for kernel in kernels:
    x = np.zeros(3, np.int64)
    x[0] = 1
    kernel(x)
    print(x[2])
"""


@pytest.fixture
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("CPC_CACHE", str(tmp_path))
    jit_module._key.cache_clear()
    yield tmp_path
    jit_module._key.cache_clear()


def build(variant="v", factor=2, seen=None):
    jit = Jit(variant)

    @jit.kernel("void(int64[::1])")
    def scale(x):
        for i in range(x.shape[0]):
            x[i] *= factor

    finish([jit], None if seen is None else lambda *step: seen.append(step))
    x = np.ones(3, np.int64)
    scale(x)
    return int(x[0])


def files(home) -> list[Path]:
    return sorted(home.rglob("*.bin"))


def test_compiled_once(home):
    first, second = [], []
    assert build(seen=first) == build(seen=second) == 2
    assert first == [(0, 1), (1, 1)]
    assert second == []
    assert len(files(home)) == 1


def test_a_variant_is_a_file_of_its_own(home):
    assert build("double", 2) == 2
    assert build("triple", 3) == 3
    assert build("double", 2) == 2
    assert len(files(home)) == 2


@pytest.mark.parametrize("target", [("t", "another-cpu", "+avx2"), ("t", "cpu", "+avx2,+sse2")])
def test_another_cpu_has_another_directory(home, target, monkeypatch):
    """A home directory that two machines share: what one compiled is not even looked at."""
    here = code_directory()
    jit_module._key.cache_clear()
    monkeypatch.setattr(jit_module, "target", lambda: target)
    assert code_directory() != here
    assert code_directory().parent == here.parent


def test_another_source_has_another_directory(home, monkeypatch, tmp_path):
    here = code_directory()
    jit_module._key.cache_clear()
    (tmp_path / "kernels.py").write_text("another version", encoding="utf-8")
    monkeypatch.setattr(jit_module, "__file__", str(tmp_path / "jit.py"))
    assert code_directory() != here


@pytest.mark.parametrize(
    "damage",
    [
        lambda code: b"",
        lambda code: code[:10],
        lambda code: code[:-1],
        lambda code: code[:500] + bytes([code[500] ^ 1]) + code[501:],
        lambda code: b"\0" * len(code),
    ],
)
def test_a_damaged_file_is_compiled_again(home, damage):
    build()
    (file,) = files(home)
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert build() == 2
    assert len(file.read_bytes()) > 500


def test_a_disk_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("CPC_CACHE", str(tmp_path / "file"))
    assert build() == 2


def test_old_versions_go(home):
    build()
    (now,) = {file.parent for file in files(home)}
    for age in range(12):
        other = now.parent / f"version{age}"
        other.mkdir()
        os.utime(other, (1_000_000 - age, 1_000_000 - age))
    jit_module._forget_the_oldest(now)
    kept = {path.name for path in now.parent.iterdir()}
    assert kept == {now.name, *(f"version{age}" for age in range(7))}


def test_two_functions_of_one_name_are_a_mistake():
    jit = Jit("twice")
    jit.helper(build)
    with pytest.raises(AssertionError, match="share one file"):
        jit.helper(build)


def test_a_fresh_process_loads_what_another_compiled():
    """Code from disk runs without Numba's compiler being made ready: every symbol must be there."""
    compiled, loaded = (run_python(COMPUTE).split() for _ in range(2))
    assert loaded[1:] == ["loaded"]
    assert compiled[0] == loaded[0]


def test_variants_that_two_processes_compiled_are_told_apart_in_a_third(tmp_path):
    def said(*variants: str) -> list[str]:
        return run_python(TWO_VARIANTS, *variants, CPC_CACHE=str(tmp_path)).split()

    assert said("double=2") == ["4"]
    assert said("triple=3") == ["9"]
    assert said("double=2", "triple=3") == ["4", "9"]


def test_where_it_lies(monkeypatch, tmp_path):
    monkeypatch.delenv("CPC_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert code_directory().parent == tmp_path / "cpc-engine" / "kernels"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert code_directory().parent == Path.home() / ".cache" / "cpc-engine" / "kernels"
