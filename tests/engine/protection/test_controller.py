"""The keeper tells each change once, shows life, and says when the sensors fall silent."""

import pytest

from engine.protection import controller as module
from engine.protection.controller import Keeper, PauseAsked
from engine.protection.policy import Thresholds
from engine.protection.readings import Reading, Surroundings
from tests.engine.logs import Log


class Devices:
    """Children that only remember what was asked of them."""

    def __init__(self):
        self.paused = set()

    def states(self):
        return {"cuda:0": ("idle", ""), "cuda:1": ("idle", "")}

    def pause(self, device):
        self.paused.add(device)

    def resume(self, device):
        self.paused.discard(device)
        return []


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def kept(clock):
    log, devices = Log(), Devices()
    return Keeper(("cuda:0", "cuda:1"), devices, log, Thresholds(80, 70)), devices, log


def test_changes_are_told_once(kept):
    keeper, devices, log = kept
    for _ in range(3):
        keeper.tick()
        keeper.handle(PauseAsked(paused=True))
    assert devices.paused == {"cuda:0", "cuda:1"}
    assert log.all("paused") == [{"devices": "cuda:0, cuda:1", "reason": "asked for"}]
    assert len(log.all("device")) == 2
    hot = Surroundings(readings={"cuda:1": Reading(temperature=81.0)})
    keeper.handle(hot)
    keeper.handle(PauseAsked(paused=False))
    assert devices.paused == {"cuda:1"}
    assert log.all("resumed") == [{"devices": "cuda:0"}]
    assert keeper.reason() == "paused: 81 °C, and the limit is 80 °C"


def test_life_is_shown_once_a_second(kept, clock):
    keeper, _, log = kept
    for _ in range(50):
        clock[0] += 0.25
        keeper.tick()
    assert len(log.all("pulse")) == 12


def test_silent_sensors_are_told_of_once_each_time(kept, clock):
    keeper, _, log = kept
    for _ in range(2):
        for _ in range(200):
            clock[0] += 0.25
            keeper.tick()
        keeper.handle(Surroundings())
    assert [told["name"] for told in log.all("warning")] == ["sensors", "sensors"]


def test_a_machine_that_slept_heard_nothing_meanwhile(kept, clock):
    keeper, _, log = kept
    clock[0] += 3600
    keeper.tick()
    assert not log.all("warning")
