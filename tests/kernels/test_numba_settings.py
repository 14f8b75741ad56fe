"""Variables of Numba's own are told by name where it cannot work with them."""

import os
import subprocess
import sys

import pytest

from tests.situations import run
from tests.variants import quick_and_slow

COMPUTE = f"compute --size 16 --device cpu --threads 1 --seed {'ab' * 31 + 'cd'}"


@pytest.mark.parametrize(
    ("name", "value"),
    quick_and_slow(
        [("NUMBA_DISABLE_JIT", "1"), ("NUMBA_NUM_THREADS", "many")],
        [("NUMBA_NUM_THREADS", "0"), ("NUMBA_CPU_FEATURES", "avx2")],
    ),
)
def test_a_variable_that_stops_numba_is_named(name, value):
    done = run(COMPUTE, env=os.environ | {name: value})
    assert done.returncode == 4
    assert name in done.stderr
    assert f"unset {name}" in done.stderr


@pytest.mark.parametrize(("name", "value"), [("NUMBA_OPT", "2"), ("NUMBA_NUM_THREADS", "999")])
@pytest.mark.slow  # another setting compiles anew
def test_what_numba_can_work_with_changes_no_result(name, value, tmp_path):
    usual = run(COMPUTE)
    other = run(COMPUTE, env=os.environ | {name: value})
    assert (usual.returncode, other.returncode) == (0, 0)
    assert usual.stdout.splitlines()[:3] == other.stdout.splitlines()[:3]


def test_kept_kernels_are_of_the_same_settings():
    script = "from kernels.cpu.jit import code_directory; print(code_directory())"

    def directory(**more):
        environment = {n: v for n, v in os.environ.items() if not n.startswith("NUMBA_")} | more
        return subprocess.check_output([sys.executable, "-c", script], env=environment)

    assert directory() == directory(NUMBA_NUM_THREADS="1") != directory(NUMBA_BOUNDSCHECK="1")
