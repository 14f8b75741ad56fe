"""Reads every sensor once a second, in a thread of its own, and passes the observation on.

GPUs are read through NVML, CPU and battery through psutil. What a machine lacks is left out.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import psutil

from engine.monitor.events.protection import Reading
from engine.protection.nvml import Cards
from engine.protection.policy import Thresholds
from engine.protection.quiet_hours import QuietHours
from engine.protection.readings import DriverFault, Observation
from kernels.memory import available_memory, total_memory

LOOK_SECONDS = 1.0
_CPU_SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal")


@dataclass(frozen=True, slots=True)
class Protection:
    """What the operator wants the machine to be protected from.

    `thresholds` None: the default ones, for cards alone.
    """

    thresholds: Thresholds | None = None
    pause_on_battery: bool = False
    quiet_hours: QuietHours | None = None
    look_seconds: float = LOOK_SECONDS


NO_WISHES = Protection()


class Sensors(threading.Thread):
    """Start it; `stop` it. `see` and `failed` are called from this thread."""

    def __init__(
        self,
        devices: Sequence[str],
        protection: Protection,
        see: Callable[[Observation], None],
        failed: Callable[[Exception], None],
        *,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        super().__init__(name="sensors", daemon=True)
        self._stopping = threading.Event()
        self._devices = devices
        self._see = see
        self._failed = failed
        self._protection = protection
        self._now = now

    def stop(self) -> None:
        """End after the look that is under way."""
        self._stopping.set()

    def change(self, pause_on_battery: bool, quiet_hours: QuietHours | None) -> None:
        """Look for these from the next look on: from any thread."""
        self._protection = replace(
            self._protection, pause_on_battery=pause_on_battery, quiet_hours=quiet_hours
        )

    def run(self) -> None:
        """Look, wait, until told to stop."""
        try:
            with Cards.open(self._devices) as cards:
                while not self._stopping.is_set():
                    self._see(self.look(cards))
                    self._stopping.wait(self._protection.look_seconds)
        except Exception as error:  # noqa: BLE001 - goes on in the main thread
            self._failed(error)

    def look(self, cards: Cards) -> Observation:
        """Look once."""
        faults: list[DriverFault] = cards.faults()
        hours = self._protection.quiet_hours
        return Observation(
            readings=cards.read() | self._read_cpu(),
            faults=tuple(faults),
            on_battery=self._protection.pause_on_battery and runs_on_battery(),
            quiet=hours is not None and hours.cover(self._now().time()),
        )

    def _read_cpu(self) -> dict[str, Reading]:
        devices = [device for device in self._devices if device in ("cpu", "reference")]
        if not devices:
            return {}
        memory, busy = _ask(psutil.virtual_memory), _ask(psutil.cpu_percent)
        total = None if memory is None else min(memory.total, total_memory())
        reading = Reading(
            temperature=_cpu_temperature(),
            memory_used=None if total is None else max(0, total - available_memory()),
            memory_total=total,
            utilization=None if busy is None else busy / 100,
        )
        return dict.fromkeys(devices, reading)


def runs_on_battery() -> bool:
    """Whether there is a battery and nothing is plugged in."""
    battery = _ask(getattr(psutil, "sensors_battery", None))
    return battery is not None and battery.power_plugged is False


def _cpu_temperature() -> float | None:
    """The hottest sensor of the processor, where the system shows one."""
    found = _ask(getattr(psutil, "sensors_temperatures", None)) or {}
    sensors = (sensor for name in _CPU_SENSORS for sensor in found.get(name, ()))
    return max((sensor.current for sensor in sensors), default=None)


def _ask(question: Callable[[], Any] | None) -> Any:
    """The answer; None where this system has none, or tells it in a form that psutil cannot read."""
    try:
        return None if question is None else question()
    except (OSError, RuntimeError, ValueError, psutil.Error):
        return None
