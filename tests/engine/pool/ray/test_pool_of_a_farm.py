"""A pool whose children are on other machines: raylets beside this process."""

import os
from functools import partial

import psutil
import pytest

from engine.monitor.events.pool import DeviceJoined, DeviceLeft, FarmConnected, FarmUnreachable
from engine.pool.messages import Setup
from engine.pool.pool import Pool
from engine.pool.ray.launcher import Farm
from kernels.devices import open_device
from kernels.task import Task
from tests.engine.pool.conftest import Log
from tests.engine.pool.ray.raylets import Raylets
from tests.engine.pool.works import Large
from tests.processes import is_gone, spawned_children, wait_until

TASK = Task(bytes(range(32)), 64)
PATIENCE = 180.0


@pytest.mark.slow  # a second gateway and actor: more than a minute each beside four busy loops
@pytest.mark.timeout(600)
def test_work_is_done_by_other_machines_and_again_after_the_gateway_was_killed():
    with open_device("reference") as device:
        root = device.compute(TASK).root
    log = Log()
    with Raylets() as raylets:
        raylets.add()
        with Pool([], log, setup=Setup(), launch=partial(Farm, raylets.address)) as pool:
            assert pool.ready.wait(PATIENCE)
            (name,) = pool.status.devices
            computed = pool.submit(TASK, openings=4).result(PATIENCE)
            assert (computed.root, computed.device) == (root, name)
            content = os.urandom(2**22)
            large = pool.submit(Large(content, outcome_bytes=len(content)))
            assert large.result(PATIENCE).outcome.data == content

            (gateway,) = spawned_children(os.getpid())
            gateway.kill()
            wait_until(lambda: log.of(FarmUnreachable), lambda: f"the loss: {log.events}")
            assert not pool.status.all_out
            assert pool.submit(TASK, openings=4).result(PATIENCE).root == root
            assert [event.device for event in log.of(DeviceLeft)] == [name]
            assert [event.device for event in log.of(DeviceJoined)] == [name, name]
            assert len(log.of(FarmConnected)) == 2
            (gateway,) = spawned_children(os.getpid())
        assert is_gone(gateway.pid)
        assert spawned_children(psutil.Process().pid) == []
