"""Events of protection: sensors and pauses."""

from dataclasses import dataclass
from gettext import gettext as _

from engine.monitor.events.base import Event


class PauseAsked(Event):
    """The operator asked for a pause, or for its end."""

    event, template = "pause_asked", ""
    paused: bool


class DevicesPaused(Event):
    level = "warning"
    event, template = "paused", _("{devices}: paused, {reason}")
    devices: str
    reason: str


class DevicesResumed(Event):
    event, template = "resumed", _("{devices}: takes work again")
    devices: str


class GpuFault(Event):
    """A GPU's driver told of an error that it lives through."""

    level = "error"
    event, template = "card_fault", "{device}: {message}"
    device: str
    message: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What a device's sensors say; None where a sensor is missing.

    `temperature` in degrees Celsius, `power` and `power_limit` in watts, `energy` in joules since
    the driver was loaded, `memory_used` and `memory_total` in bytes, `utilization` and `fan` as
    ratios from 0 to 1, `clock` of the multiprocessors in hertz.
    """

    name: str = ""
    temperature: float | None = None
    power: float | None = None
    power_limit: float | None = None
    energy: float | None = None
    memory_used: int | None = None
    memory_total: int | None = None
    utilization: float | None = None
    fan: float | None = None
    clock: float | None = None


class DeviceReading(Event):
    """A device's sensors were read."""

    event, template = "reading", ""
    device: str
    reading: Reading


ProtectionEvent = PauseAsked | DevicesPaused | DevicesResumed | GpuFault | DeviceReading
