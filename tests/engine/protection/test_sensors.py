"""Quiet hours, battery, and the thread that looks."""

import queue
import time
from datetime import datetime
from datetime import time as time_of_day
from types import SimpleNamespace

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.monitor.events.protection import Reading
from engine.protection.nvml import Cards
from engine.protection.quiet_hours import QuietHours
from engine.protection.sensors import Protection, Sensors
from engine.runtime.errors import BadInput
from tests.engine.protection.fake_nvml import Machine
from tests.processes import PATIENCE_SECONDS

NIGHT = QuietHours.parse("22:00-07:00")


@pytest.mark.parametrize(
    ("clock", "quiet"),
    [("21:59", False), ("22:00", True), ("00:00", True), ("06:59", True), ("07:00", False)],
)
def test_a_night(clock, quiet):
    assert NIGHT.cover(time_of_day.fromisoformat(clock)) == quiet


@given(st.times(), st.times(), st.times())
def test_the_day_is_what_the_night_is_not(begin, end, moment):
    if begin != end:
        assert QuietHours(begin, end).cover(moment) != QuietHours(end, begin).cover(moment)


@pytest.mark.parametrize("text", ["", "22-7", "24:00-07:00", "22:00", "22:00-22:00", "a:b-c:d"])
def test_what_are_no_quiet_hours(text):
    with pytest.raises(BadInput):
        QuietHours.parse(text)


def test_the_night_when_clocks_are_set(monkeypatch):
    """In Berlin on 29 March 2026 two o'clock is three: the local clock is what counts."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        quiet = []
        moment = datetime(2026, 3, 28, 20, 0).astimezone()
        for hour in range(14):
            local = datetime.fromtimestamp(moment.timestamp() + 3600 * hour)
            quiet.append(NIGHT.cover(local.time()))
        assert quiet.count(True) == 8  # an hour less than the nine of other nights
        assert [local for local, _ in zip(range(14), quiet, strict=True) if quiet[local]] == list(
            range(2, 10)
        )
    finally:
        monkeypatch.undo()
        time.tzset()


def look(protection, now=None):
    return Sensors(("cpu",), protection, print, print, now=now or datetime.now).look(Cards({}))


@pytest.mark.parametrize(
    ("battery", "asked", "paused"),
    [
        (None, True, False),
        (SimpleNamespace(power_plugged=True), True, False),
        (SimpleNamespace(power_plugged=None), True, False),
        (SimpleNamespace(power_plugged=False), True, True),
        (SimpleNamespace(power_plugged=False), False, False),
    ],
)
def test_battery(monkeypatch, battery, asked, paused):
    monkeypatch.setattr(psutil, "sensors_battery", lambda: battery)
    assert look(Protection(pause_on_battery=asked)).on_battery == paused


def test_the_cpu_is_read_and_quiet_hours_seen():
    around = look(Protection(quiet_hours=NIGHT), now=lambda: datetime(2026, 1, 1, 23))
    assert around.quiet
    assert around.readings["cpu"].memory_total == psutil.virtual_memory().total
    assert not look(Protection(), now=lambda: datetime(2026, 1, 1, 23)).quiet


def test_the_thread_looks_until_it_is_stopped(monkeypatch):
    machine = Machine(monkeypatch)
    inbox = queue.SimpleQueue()
    sensors = Sensors(("cuda:0",), Protection(look_seconds=0.01), inbox.put, inbox.put)
    sensors.start()
    assert inbox.get(timeout=PATIENCE_SECONDS).readings["cuda:0"].temperature == 60.0
    machine.xid(machine.cards[0], 79)
    while not (faults := inbox.get(timeout=PATIENCE_SECONDS).faults):
        pass
    assert faults[0].fatal
    sensors.stop()
    sensors.join(timeout=PATIENCE_SECONDS)
    assert not sensors.is_alive()
    assert machine.opened == 0


def test_sensors_that_break_end_the_run_and_not_in_silence(monkeypatch):
    def broken(self):
        raise RuntimeError("no reading")

    monkeypatch.setattr(Cards, "read", broken)
    inbox = queue.SimpleQueue()
    sensors = Sensors((), Protection(), print, inbox.put)
    sensors.run()
    assert isinstance(inbox.get(timeout=1), RuntimeError)


@pytest.mark.parametrize("error", [OSError("no such sensor"), ValueError("not a number")])
def test_sensors_that_psutil_cannot_read_stop_nothing(monkeypatch, error):
    def broken():
        raise error

    for name in ("sensors_battery", "sensors_temperatures", "virtual_memory", "cpu_percent"):
        monkeypatch.setattr(psutil, name, broken, raising=False)
    around = look(Protection(pause_on_battery=True))
    assert not around.on_battery
    assert around.readings["cpu"] == Reading()
