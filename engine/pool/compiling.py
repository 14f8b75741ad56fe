"""Tells how far a device's kernels are compiled, and the same again where one of them takes long."""

from engine.monitor.events.pool import DeviceCompiling
from engine.monitor.reporter import Reporter
from engine.pool.messages import Beat, Compiling, FromChild

SAY_AGAIN_SECONDS = 3.0
"""A kernel may take ten seconds to compile, in which nobody should wonder."""


class CompileProgress:
    """Of all devices. For one thread."""

    def __init__(self, report: Reporter) -> None:
        self._report = report
        self._told: dict[str, tuple[Compiling, float]] = {}
        self._generations: dict[str, int] = {}

    def heard(self, device: str, generation: int, message: FromChild, now: float) -> None:
        """Take what the device's child says; `now`: seconds of a steady clock."""
        if self._generations.get(device) != generation:  # another child: nothing was said yet
            self._generations[device] = generation
            self._told.pop(device, None)
        if isinstance(message, Compiling):
            self._tell(device, message, now)
        elif not isinstance(message, Beat):
            self._told.pop(device, None)
        elif (told := self._told.get(device)) and now - told[1] >= SAY_AGAIN_SECONDS:
            self._tell(device, told[0], now)

    def _tell(self, device: str, compiling: Compiling, now: float) -> None:
        self._told[device] = compiling, now
        self._report(DeviceCompiling(device, compiling.done, compiling.total))
