"""Pools of real child processes, and what they told."""

import contextlib
from functools import partial

import pytest

from engine.pool.limits import Limits
from engine.pool.messages import Setup
from engine.pool.pool import Pool
from engine.pool.processes import LocalProcesses
from tests.engine.pool.villains import honest_child
from tests.processes import wait_until

LIMITS = Limits(
    silence=5.0, work_margin=2.0, start=60.0, slowest_rate=1e9, backoff_most=0.2, attempts=3
)


class Log:
    """A reporter that remembers."""

    def __init__(self):
        self.events = []

    def __call__(self, event):
        self.events.append(event)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    def reasons(self, kind):
        return [event.reason for event in self.of(kind)]


@pytest.fixture(autouse=True)
def villain_state(tmp_path, monkeypatch):
    monkeypatch.setenv("CPC_VILLAIN", str(tmp_path))


@pytest.fixture
def open_pool():
    """`open_pool(entry)` gives a pool that was entered, and its log; the reference starts soonest."""
    with contextlib.ExitStack() as stack:

        def enter(entry=honest_child, devices=("reference",), *, limits=LIMITS, setup=None, **more):
            log = Log()
            launch = partial(LocalProcesses, entry=entry)
            setup = setup or Setup(threads=1)
            pool = Pool(devices, log, setup=setup, limits=limits, launch=launch, **more)
            return stack.enter_context(pool), log

        yield enter


def wait_for_state(pool, device, state):
    wait_until(
        lambda: device in pool.status.devices and pool.status.devices[device].state == state,
        lambda: f"{device} to be {state}: {pool.status}",
    )
