"""What sensors say of GPUs, CPU, battery and the time of day: plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.monitor.events.protection import Reading


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
