"""What sensors say of GPUs, CPU, battery and the time of day: plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Reading:
    """What a device's sensors say; None where a sensor is missing.

    `temperature` in degrees Celsius, `power` and `power_limit` in watts, `energy` in joules since
    the driver was loaded, `memory_used` and `memory_total` in bytes, `utilization` and `fan` as
    ratios from 0 to 1.
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


@dataclass(frozen=True, slots=True)
class DriverFault:
    """A GPU's driver reported an error. `fatal`: the GPU must get no more work."""

    device: str
    message: str
    fatal: bool


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything that the sensors say at one moment."""

    readings: Mapping[str, Reading] = field(default_factory=dict)
    faults: tuple[DriverFault, ...] = ()
    on_battery: bool = False
    quiet: bool = False
