"""Memory and processor time are what a control group allows, where that is less than there is."""

import json
import subprocess
import sys

import pytest

from tests.situations import control_group, run, version_2_mount

ASK = (
    "import json; from kernels import allowance, devices, memory; print(json.dumps(["
    "allowance.memory_limit(), memory.available_memory(), memory.total_memory(),"
    " allowance.core_quota(), devices.usable_cores()]))"
)


def ask(prefix):
    done = subprocess.run([*prefix, sys.executable, "-c", ASK], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_version_1_group_limits_memory():
    with control_group("memory", memory_limit_in_bytes=256 << 20) as prefix:
        limit, available, total, _, _ = ask(prefix)
    assert limit == total == 256 << 20
    assert available < 256 << 20


def test_a_version_1_group_limits_processor_time():
    quota = {"cpu_cfs_period_us": 100_000, "cpu_cfs_quota_us": 50_000}
    with control_group("cpu", **quota) as prefix:
        assert ask(prefix)[3:] == [1, 1]


@pytest.mark.parametrize("name", ["memory.max", "memory.high"])
def test_a_version_2_group_limits_memory_and_time(tmp_path, name):
    """Files of a version 2 group, where the kernel has it mounted; the limits are those files' only."""
    files = {
        name: f"{300 << 20}\n",
        "memory.current": f"{100 << 20}\n",
        "memory.stat": f"anon 5\ninactive_file {50 << 20}\n",
        "cpu.max": "150000 100000\n",
    }
    with version_2_mount(tmp_path, files) as prefix:
        limit, available, _, quota, cores = ask(prefix)
    assert (limit, available, quota) == (300 << 20, 250 << 20, 2)
    assert cores <= 2


def test_an_address_space_limit_counts(tmp_path):
    script = f'ulimit -v {4 << 20}; exec "$@"'
    available = ask(["bash", "-c", script, "-"])[1]
    assert available < 4 << 30


def test_a_task_that_the_group_has_no_room_for_is_refused_by_name(tmp_path):
    """And not killed by the system."""
    line = f"compute --size 16384 --device reference --seed {'ab' * 31 + 'cd'}"
    with control_group("memory", memory_limit_in_bytes=256 << 20) as prefix:
        done = run(line, prefix=prefix)
    assert done.returncode == 2
    assert "of memory" in done.stderr
