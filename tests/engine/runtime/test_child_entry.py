"""Children of every kind end with a parent that is killed, also while they are stopped.

Each parent below hands its child something that stops the child (SIGSTOP) when it is read: before the
imports of the child's own code, its signal handlers and its threads.
"""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.processes import end, is_gone, spawned_children, wait_until
from tests.variants import quick_and_slow

PARENT = """
import os, signal, time

class StopsWhenRead:
    cost = 0
    def __reduce__(self):
        return signal.raise_signal, (signal.SIGSTOP,)

if __name__ == "__main__":
"""
PARENTS = {
    "pool": """
    from engine.pool.processes import LocalProcesses
    processes = LocalProcesses(StopsWhenRead())
    processes.spawn("cpu", 1)
    time.sleep(600)
""",
    "farm": """
    from engine.pool.ray.launcher import Farm
    Farm("127.0.0.1:1", StopsWhenRead()).start()
    time.sleep(600)
""",
    "bench": """
    from engine.benchmark.multi_device import measure_rig
    measure_rig(["cpu"], StopsWhenRead())
""",
    "validator": """
    import asyncio
    from types import SimpleNamespace
    from engine.validator.result_checker import ResultChecker
    kinds = SimpleNamespace(job=lambda payload: StopsWhenRead())
    row = SimpleNamespace(result_hash="00", proof=None, data=None, data_size=None, leaves=())
    asyncio.run(ResultChecker(kinds, None, None).check(row, {}, "leaves", b""))
""",
}


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
@pytest.mark.parametrize(
    "kind", quick_and_slow(["pool"], [kind for kind in PARENTS if kind != "pool"])
)
def test_a_child_stopped_before_its_imports_ends_with_a_killed_parent(kind, tmp_path):
    path = tmp_path / "parent.py"
    path.write_text(PARENT + PARENTS[kind])
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    # in a session of its own, as under nohup: nothing else than the child itself sees to its end
    parent = subprocess.Popen([sys.executable, path], env=environment, start_new_session=True)
    family = [parent]
    try:
        (child,) = wait_until(
            lambda: [
                child
                for child in spawned_children(parent.pid)
                if child.status() == psutil.STATUS_STOPPED
            ],
            "the child to stop",
        )
        family.append(child)
        parent.kill()
        parent.wait()
        wait_until(lambda: is_gone(child.pid), "the child to end with its parent")
    finally:
        end(*family)
