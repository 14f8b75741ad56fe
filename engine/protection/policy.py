"""When to pause which device: a pure state machine over what was asked for and what was read.

    pausing = PausePolicy(["cuda:0"])
    pausing.see(Observation(readings={"cuda:0": Reading(temperature=91.0)}))
    pausing.reasons("cuda:0")  # ("91 °C, and the limit is 88 °C",)

A device is paused while there is any reason. The operator's word, the battery and quiet hours hold
for every device, the temperature for one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from gettext import gettext as _

from engine.protection.hysteresis import Hysteresis
from engine.protection.readings import Observation


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Degrees Celsius: pause above the one, resume below the other."""

    pause_above: float = 88.0
    resume_below: float = 75.0


CARD_THRESHOLDS = Thresholds()
"""Below what cards slow down at by themselves (87 to 93 °C), above what they reach in health."""


class PausePolicy:
    """Keeps every reason to pause, by device."""

    def __init__(self, devices: Sequence[str], thresholds: Thresholds | None = None) -> None:
        """Without thresholds those of cards hold, for cards: a CPU may be hotter by design.

        Raises BadInput for thresholds that would flap.
        """
        limits = self._limits = thresholds or CARD_THRESHOLDS
        self._heat = {
            device: Hysteresis(limits.pause_above, limits.resume_below)
            for device in devices
            if thresholds is not None or device.startswith("cuda:")
        }
        self._hottest: dict[str, float] = {}
        self.unread: tuple[str, ...] = ()
        """Devices that heat is to pause, and whose temperature was not told at the latest look."""
        self._for_all: dict[str, str] = {}

    def ask(self, *, paused: bool) -> None:
        """The operator asked for a pause, or for its end."""
        self._note("asked", _("asked for") if paused else None)

    def see(self, around: Observation) -> None:
        """Take what was read."""
        self._note("battery", _("on battery") if around.on_battery else None)
        self._note("quiet", _("quiet hours") if around.quiet else None)
        told = {device: reading.temperature for device, reading in around.readings.items()}
        self.unread = tuple(device for device in self._heat if told.get(device) is None)
        for device, heat in self._heat.items():
            temperature = told.get(device)
            was_hot = heat.on
            if heat.see(temperature) and not was_hot and temperature is not None:
                self._hottest[device] = temperature

    def reasons(self, device: str) -> tuple[str, ...]:
        """Why this device is paused; empty where it is not. The same while nothing changes."""
        reasons = tuple(self._for_all.values())
        heat = self._heat.get(device)
        if heat is not None and heat.on:
            too_hot = _("{temperature:.0f} °C, and the limit is {limit:.0f} °C")
            reasons += (
                too_hot.format(temperature=self._hottest[device], limit=self._limits.pause_above),
            )
        return reasons

    def _note(self, key: str, reason: str | None) -> None:
        if reason is None:
            self._for_all.pop(key, None)
        else:
            self._for_all[key] = reason
