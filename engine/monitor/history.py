"""The last hour in steps, for the page's charts; bounded, however long the engine runs."""

from collections import deque
from dataclasses import dataclass, field

from engine.monitor.snapshot import _Value

STEP_SECONDS = 10.0
STEPS = 360
_SET_BACK_SECONDS = 60.0
"""A clock set back by less than this only lengthens a step."""


@dataclass(slots=True)
class Tally:
    """A device's work and sensors within one step."""

    tasks: int = 0
    operations: float = 0.0
    seconds: float = 0.0
    temperature: float | None = None
    power: float | None = None

    @property
    def tops(self) -> float | None:
        """10^12 operations per second while computing; None if it did not compute."""
        return self.operations / self.seconds / 1e12 if self.seconds > 0 else None


@dataclass(slots=True)
class _Step:
    ends_at: float
    devices: dict[str, Tally] = field(default_factory=dict)
    confirmed: int = 0


class Series(_Value):
    """A device's hour: one entry per step, null where there is no value."""

    tasks: list[int]
    tops: list[float | None]
    temperature: list[float | None]
    power: list[float | None]


class HistoryView(_Value):
    """Charts of the last hour; `at` is the end of each step."""

    step: float = STEP_SECONDS
    at: list[float]
    confirmed: list[int]
    devices: dict[str, Series]


class History:
    """A ring of steps. Not thread-safe."""

    def __init__(self, now: float) -> None:
        self._steps: deque[_Step] = deque(maxlen=STEPS)
        self._open = _Step(now + STEP_SECONDS)

    def device(self, name: str, now: float) -> Tally:
        """Return the tally of the current step, to add to."""
        self.turn(now)
        return self._open.devices.setdefault(name, Tally())

    def confirm(self, now: float) -> None:
        """Count a result that became final."""
        self.turn(now)
        self._open.confirmed += 1

    def turn(self, now: float) -> None:
        """Close the steps that have ended, empty ones included."""
        late = now - self._open.ends_at
        if late > STEPS * STEP_SECONDS or late < -_SET_BACK_SECONDS:
            self._steps.clear()  # the machine slept for more than the hour, or its clock was set
            self._open = _Step(now + STEP_SECONDS)
        while now >= self._open.ends_at:
            self._steps.append(self._open)
            self._open = _Step(self._open.ends_at + STEP_SECONDS)

    def view(self, now: float) -> HistoryView:
        """Return the closed steps, oldest first."""
        self.turn(now)
        steps = [step for step in self._steps if step.ends_at > now - STEPS * STEP_SECONDS]
        names = sorted({name for step in steps for name in step.devices})
        none = Tally()
        return HistoryView(
            at=[step.ends_at for step in steps],
            confirmed=[step.confirmed for step in steps],
            devices={
                name: _series([step.devices.get(name, none) for step in steps]) for name in names
            },
        )


def _series(tallies: list[Tally]) -> Series:
    return Series(
        tasks=[tally.tasks for tally in tallies],
        tops=[tally.tops for tally in tallies],
        temperature=[tally.temperature for tally in tallies],
        power=[tally.power for tally in tallies],
    )
