"""Carries the pause policy out on the pool, and reports each change once.

controller = Controller(["cuda:0"], pool, report, troubles, thresholds)
controller.see(observation)     # from the sensors' thread
controller.ask(paused=True)     # the operator, from any thread
"""

import threading
import time
from collections.abc import Iterable
from gettext import gettext as _

from engine.monitor.events import protection as events
from engine.monitor.events.pool import DeviceJoined, DeviceLeft
from engine.monitor.reporter import Reporter
from engine.monitor.troubles import Troubles
from engine.pool.pool import Pool
from engine.protection.policy import PausePolicy, Thresholds
from engine.protection.readings import Observation

SILENCE_SECONDS = 30.0
"""Longer than this no sensor takes, unless its driver hangs."""
_ASLEEP_SECONDS = 1.0
"""Of a longer pause between two looks at the clock so much counts: the machine slept."""


class Controller:
    """Pauses, resumes and withdraws devices. Every method is for any thread."""

    def __init__(
        self,
        devices: Iterable[str],
        pool: Pool,
        report: Reporter,
        troubles: Troubles,
        thresholds: Thresholds | None,
    ) -> None:
        """Raises BadInput for thresholds that would flap."""
        self._pool = pool
        self._report = report
        self._troubles = troubles
        self._applied: dict[str, tuple[str, ...]] = dict.fromkeys(devices, ())
        self._policy = PausePolicy(tuple(self._applied), thresholds)
        self.cards: dict[str, int] = {}
        """Bytes of memory that each card has, as its sensors say."""
        self._lock = threading.Lock()
        self._looked_at = time.monotonic()
        self._silence = 0.0

    def ask(self, *, paused: bool) -> None:
        """Pause every device at the operator's word, or end that."""
        with self._lock:
            self._policy.ask(paused=paused)
            self._report(events.PauseAsked(paused))
            self._apply()

    def see(self, observation: Observation) -> None:
        """Take what the sensors say."""
        with self._lock:
            self._silence = 0.0
            for device, reading in observation.readings.items():
                self._report(events.DeviceReading(device, reading))
                if device.startswith("cuda") and reading.memory_total is not None:
                    self.cards[device] = reading.memory_total
            for fault in observation.faults:
                if fault.fatal:
                    self._pool.withdraw(fault.device, fault.message)
                else:
                    self._report(events.GpuFault(fault.device, fault.message))
            self._policy.see(observation)
            self._tell_unread(", ".join(self._policy.unread))
            self._apply()

    def follow(self, event: DeviceJoined | DeviceLeft) -> None:
        """Apply to a device that joined what holds for every device; forget one that left."""
        with self._lock:
            if isinstance(event, DeviceJoined):
                self._applied.setdefault(event.device, ())
            else:
                self._applied.pop(event.device, None)
            self._apply()

    def check_silence(self) -> None:
        """Tell where nothing was read for long; call it at least once a second."""
        with self._lock:
            now = time.monotonic()
            self._silence += min(_ASLEEP_SECONDS, now - self._looked_at)
            self._looked_at = now
            if self._silence > SILENCE_SECONDS:
                message = _("no sensor was read for {n:.0f} s: heat pauses no device")
                advice = _("A driver that hangs does that: see dmesg and nvidia-smi.")
                message = message.format(n=SILENCE_SECONDS)
                self._troubles.begin("sensors_silent", message, advice, stops=False)

    def _tell_unread(self, devices: str) -> None:
        if not devices:
            self._troubles.end("sensors_silent")
            return
        message = _("{devices}: no temperature is read, so heat does not pause it")
        advice = _("See nvidia-smi. A container needs the driver's libraries (NVML), too.")
        self._troubles.begin("sensors_silent", message.format(devices=devices), advice, stops=False)

    def _apply(self) -> None:
        changed: dict[tuple[str, ...], list[str]] = {}
        for device, applied in self._applied.items():
            reasons = self._policy.reasons(device)
            if reasons == applied:
                continue
            self._applied[device] = reasons
            changed.setdefault(reasons, []).append(device)
            if reasons:
                self._pool.pause(device, ", ".join(reasons))
            else:
                self._pool.resume(device)
        for reasons, devices in changed.items():
            names = ", ".join(devices)
            if reasons:
                self._report(events.DevicesPaused(names, ", ".join(reasons)))
            else:
                self._report(events.DevicesResumed(names))
