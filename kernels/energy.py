"""Power, clock and energy of a card while it works, from NVML.

    meter = Meter(card.uuid)
    meter.begin()
    while busy():
        meter.sample(pieces)        # of work, a product or a task: how many are done so far
    meter.end()                     # Draw(watts=690.1, clock_mhz=1455.0, joules=0.0778)

The card's energy counter advances in steps of some 20 to 100 ms. Joules are counted between the first
and the last sample at which it had just advanced, so a step more or less at the ends does not count.
"""

import time
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

import pynvml


@dataclass(frozen=True, slots=True)
class Draw:
    """Mean watts, median clock of the multiprocessors in MHz, joules a piece; None: not known."""

    watts: float | None = None
    clock_mhz: float | None = None
    joules: float | None = None


UNKNOWN = Draw()


def draw(samples: list[tuple[float, float, int]]) -> tuple[float, float] | None:
    """Return watts and joules a piece from samples (seconds, joules, pieces so far), or None."""
    edges = [later for earlier, later in pairwise(samples) if later[1] > earlier[1]]
    if len(edges) < 2 or edges[-1][2] == edges[0][2]:
        return None
    (first, start, done), (last, stop, all_done) = edges[0], edges[-1]
    return (stop - start) / (last - first), (stop - start) / (all_done - done)


class Meter:
    """The sensors of one card. Where NVML or a sensor is missing, its figures are None."""

    def __init__(self, uuid: str) -> None:
        """`uuid`: 32 hex digits, as the CUDA driver gives it."""
        parts = (uuid[:8], uuid[8:12], uuid[12:16], uuid[16:20], uuid[20:])
        self._handle = None
        try:
            pynvml.nvmlInit()
            self._handle = pynvml.nvmlDeviceGetHandleByUUID("GPU-" + "-".join(parts))
        except pynvml.NVMLError:
            pass
        self._samples: list[tuple[float, float, int]] = []
        self._clocks: list[float] = []

    def limit(self) -> float | None:
        """Return the watts that the card may draw, or None."""
        milliwatts = self._ask("nvmlDeviceGetEnforcedPowerLimit")
        return None if milliwatts is None else milliwatts / 1000

    def begin(self) -> None:
        """Forget earlier samples."""
        self._samples, self._clocks = [], []

    def sample(self, pieces: int) -> None:
        """Read energy and clock; `pieces` of work were done since `begin`."""
        energy = self._ask("nvmlDeviceGetTotalEnergyConsumption")
        clock = self._ask("nvmlDeviceGetClockInfo", pynvml.NVML_CLOCK_SM)
        if energy is not None:
            self._samples.append((time.perf_counter(), energy / 1000, pieces))
        if clock is not None:
            self._clocks.append(float(clock))

    def end(self) -> Draw:
        """Return what the samples say."""
        watts, joules = draw(self._samples) or (None, None)
        return Draw(watts, median(self._clocks) if self._clocks else None, joules)

    def _ask(self, question: str, *arguments: Any) -> Any:
        if self._handle is None:
            return None
        try:
            return getattr(pynvml, question)(self._handle, *arguments)
        except pynvml.NVMLError:
            return None
