"""The controller reports each change once, and says when the sensors fall silent."""

import pytest

from engine.monitor.events.pool import DeviceJoined, DeviceLeft
from engine.monitor.events.protection import Reading
from engine.monitor.troubles import Troubles
from engine.protection import controller as module
from engine.protection.controller import Controller
from engine.protection.policy import Thresholds
from engine.protection.readings import Observation
from tests.engine.logs import Log


class Devices:
    """A pool that only remembers what was asked of it."""

    def __init__(self):
        self.paused = {}

    def pause(self, device, reason):
        self.paused[device] = reason

    def resume(self, device):
        del self.paused[device]


WARM = Reading(temperature=60.0)


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def controlled(clock):
    log, devices = Log(), Devices()
    return (
        Controller(("cuda:0", "cuda:1"), devices, log, Troubles(log), Thresholds(80, 70)),
        devices,
        log,
    )


def test_changes_are_told_once(controlled):
    controller, devices, log = controlled
    for _ in range(3):
        controller.ask(paused=True)
    assert devices.paused == {"cuda:0": "asked for", "cuda:1": "asked for"}
    assert log.all("paused") == [{"devices": "cuda:0, cuda:1", "reason": "asked for"}]
    controller.see(Observation(readings={"cuda:1": Reading(temperature=81.0)}))
    controller.ask(paused=False)
    assert devices.paused == {"cuda:1": "81 °C, and the limit is 80 °C"}
    assert log.all("resumed") == [{"devices": "cuda:0"}]


def test_a_device_that_joins_is_paused_as_the_others_are(controlled):
    controller, devices, _ = controlled
    controller.ask(paused=True)
    controller.follow(DeviceJoined("rig/cpu"))
    assert devices.paused["rig/cpu"] == "asked for"
    controller.follow(DeviceLeft("rig/cpu", "its machine left"))
    controller.ask(paused=False)
    assert devices.paused == {"rig/cpu": "asked for"}  # gone: nobody asks anything of it


def test_silent_sensors_are_told_of_once_each_time(controlled, clock):
    controller, _, log = controlled
    for _ in range(2):
        for _ in range(200):
            clock[0] += 0.25
            controller.check_silence()
        controller.see(Observation(readings=dict.fromkeys(("cuda:0", "cuda:1"), WARM)))
        assert log.all("trouble_over")
    told = log.all("trouble")
    assert [(one["kind"], one["stops"]) for one in told] == 2 * [("sensors_silent", False)]


def test_a_device_whose_heat_is_not_read_is_told_of(controlled):
    controller, _, log = controlled
    controller.see(Observation(readings={"cuda:0": WARM}))
    controller.see(Observation(readings={"cuda:0": WARM, "cuda:1": Reading()}))
    (told,) = log.all("trouble")
    assert (told["kind"], told["stops"]) == ("sensors_silent", False)
    assert told["message"].startswith("cuda:1: no temperature is read")
    controller.see(Observation(readings={"cuda:0": WARM, "cuda:1": WARM}))
    assert len(log.all("trouble_over")) == 1


def test_a_machine_that_slept_heard_nothing_meanwhile(controlled, clock):
    controller, _, log = controlled
    clock[0] += 3600
    controller.check_silence()
    assert not log.all("trouble")
