"""Carries the policy out: pauses and resumes children, tells the operator, once for each change."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from gettext import gettext as _

from engine.monitor.events import protection as events
from engine.monitor.events.pool import DeviceState
from engine.monitor.events.run import Pulse, Warned
from engine.monitor.reporter import Reporter
from engine.pool.children import Children, Report
from engine.pool.launcher import DevicesEvent, Joined, Left
from engine.protection.policy import Pausing, Thresholds
from engine.protection.readings import Surroundings

PULSE_SECONDS = 1.0
SILENCE_SECONDS = 30.0
"""Longer than this no sensor takes, unless its driver hangs."""


@dataclass(frozen=True, slots=True)
class PauseAsked:
    """The operator wants every device paused, or the end of that."""

    paused: bool


class Keeper:
    """Call it from the thread that owns the children."""

    def __init__(
        self,
        devices: Sequence[str],
        children: Children,
        report: Reporter,
        thresholds: Thresholds | None,
    ) -> None:
        """Raises BadInput for thresholds that would flap."""
        self._children = children
        self._report = report
        self._pausing = Pausing(devices, thresholds)
        self._told: dict[str, tuple[str, ...]] = {}
        self._states: dict[str, tuple[str, str]] = {}
        self._last_tick = self._pulse_at = time.monotonic()
        self._silence = 0.0

    def handle(self, event: PauseAsked | Surroundings) -> list[Report]:
        """Take a word of the operator, or what was read; gives what became of the children."""
        reports: list[Report] = []
        match event:
            case PauseAsked():
                self._pausing.ask(paused=event.paused)
                self._report(events.PauseAsked(event.paused))
            case Surroundings():
                self._silence = 0.0
                reports = self._look_at(event)
                self._pausing.see(event)
        return reports + self._carry_out()

    def follow(self, event: DevicesEvent) -> list[Report]:
        """A device came, and what holds for every device holds for it; or one is gone."""
        match event:
            case Joined(device=device):
                self._told.setdefault(device, ())
            case Left(device=device):
                self._told.pop(device, None)
        return self._carry_out()

    def tick(self) -> None:
        """Tell what changed at the devices, and once a second that the loop is alive."""
        now = time.monotonic()
        for device, state in self._children.states().items():
            if self._states.get(device) != state:
                self._states[device] = state
                self._report(DeviceState(device, *state))
        if now - self._pulse_at >= PULSE_SECONDS:
            self._pulse_at = now
            self._report(Pulse())
        heard = self._silence <= SILENCE_SECONDS
        self._silence += min(PULSE_SECONDS, now - self._last_tick)  # not while the machine slept
        self._last_tick = now
        if heard and self._silence > SILENCE_SECONDS:
            self._report(_silent())

    def reason(self) -> str:
        """Why blocks are skipped while every device is paused."""
        reasons = dict.fromkeys(reason for told in self._told.values() for reason in told)
        return _("paused: {names}").format(names=", ".join(reasons))

    def _look_at(self, around: Surroundings) -> list[Report]:
        reports: list[Report] = []
        for device, reading in around.readings.items():
            self._report(events.DeviceReading(device, **asdict(reading)))
        for fault in around.faults:
            if fault.fatal:
                reports += self._children.withdraw(fault.device, fault.message)
            else:
                self._report(events.GpuFault(fault.device, fault.message))
        return reports

    def _carry_out(self) -> list[Report]:
        reports: list[Report] = []
        changed: dict[tuple[str, ...], list[str]] = {}
        for device in self._children.states():  # some may have come since the start
            reasons = self._pausing.reasons(device)
            if reasons == self._told.get(device, ()):
                continue
            self._told[device] = reasons
            changed.setdefault(reasons, []).append(device)
            if reasons:
                self._children.pause(device)
            else:
                reports += self._children.resume(device)
        for reasons, devices in changed.items():
            if reasons:
                self._report(events.DevicesPaused(", ".join(devices), ", ".join(reasons)))
            else:
                self._report(events.DevicesResumed(", ".join(devices)))
        return reports


def _silent() -> Warned:
    return Warned(
        _("sensors"),
        _("nothing was read of the GPUs for {n:.0f} s").format(n=SILENCE_SECONDS),
        _("A driver that hangs does that: see dmesg and nvidia-smi."),
    )
