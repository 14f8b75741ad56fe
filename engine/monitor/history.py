"""What devices did in the last hour, day and month, in steps, for the page's charts; bounded in memory.

    history = History(now=time.time())
    history.add("cuda:0", now, tasks=1, operations=2.0 * n**3, seconds=0.01)
    history.view("day", now)
    kept = history.kept()              # for `history_file.py`; `restore(kept, now)` takes it again

Each span has as many steps as the others, and the longer it is, the longer they are: what is old is
kept thinned.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal, get_args

import msgspec

from engine.monitor.snapshot import _Value

Span = Literal["hour", "day", "month"]
SPANS: tuple[Span, ...] = get_args(Span)
STEPS = 360
STEP_SECONDS: dict[Span, float] = {"hour": 10.0, "day": 240.0, "month": 7200.0}
_SET_BACK_SECONDS = 60.0
"""A clock set back by less than this only lengthens a step."""
_MOST_DEVICES = 512
"""Most devices in a step of a file; a step with more is not ours."""


class Tally(msgspec.Struct, array_like=True):
    """A device's work and sensors within one step."""

    tasks: int = 0
    operations: float = 0.0
    seconds: float = 0.0
    temperature: float | None = None
    watts: float = 0.0
    """Sum of `readings` readings."""
    readings: int = 0

    @property
    def tops(self) -> float | None:
        """10^12 operations per second while computing; None if it did not compute."""
        return self.operations / self.seconds / 1e12 if self.seconds > 0 else None

    @property
    def power(self) -> float | None:
        """Watts, the mean of the readings."""
        return self.watts / self.readings if self.readings else None


class Step(msgspec.Struct, array_like=True):
    """A closed step: when it ended (Unix seconds), results that became final, and each device's."""

    ends_at: float
    confirmed: int = 0
    devices: dict[str, Tally] = msgspec.field(default_factory=dict)


class Kept(msgspec.Struct):
    """What outlives a run."""

    version: Literal[1] = 1
    spans: dict[str, list[Step]] = msgspec.field(default_factory=dict)


class Series(_Value):
    """A device's span: one entry per step, null where there is no value."""

    tasks: list[int]
    tops: list[float | None]
    temperature: list[float | None]
    power: list[float | None]


class HistoryView(_Value):
    """Charts of a span; `at` is the end of each step, `step` their length in seconds."""

    step: float
    at: list[float]
    confirmed: list[int]
    devices: dict[str, Series]


@dataclass(slots=True)
class _Ring:
    """The steps of one span, and the one that is open."""

    seconds: float
    open: Step
    closed: deque[Step] = field(default_factory=lambda: deque(maxlen=STEPS))

    def turn(self, now: float) -> Step:
        """Close the steps that have ended, empty ones included; return the open one."""
        late = now - self.open.ends_at
        if late > STEPS * self.seconds or late < -self.seconds - _SET_BACK_SECONDS:
            self.closed.clear()  # the machine slept for the whole span, or its clock was set
            self.open = Step(now + self.seconds)
        while now >= self.open.ends_at:
            self.closed.append(self.open)
            self.open = Step(self.open.ends_at + self.seconds)
        return self.open

    def shown(self, now: float) -> list[Step]:
        """Return the closed steps of the span that ends now, oldest first."""
        self.turn(now)
        return [step for step in self.closed if step.ends_at > now - STEPS * self.seconds]


class History:
    """A ring of steps for each span. Not thread-safe."""

    def __init__(self, now: float) -> None:
        self._rings = {
            span: _Ring(seconds, Step(now + seconds)) for span, seconds in STEP_SECONDS.items()
        }

    def add(
        self, device: str, now: float, *, tasks: int, operations: float, seconds: float
    ) -> None:
        """Count work of a device."""
        for tally in self._tallies(device, now):
            tally.tasks += tasks
            tally.operations += operations
            tally.seconds += seconds

    def read(self, device: str, now: float, temperature: float | None, power: float | None) -> None:
        """Take a reading of its sensors: degrees Celsius, of which the highest stays, and watts."""
        for tally in self._tallies(device, now):
            if temperature is not None:
                tally.temperature = max(temperature, tally.temperature or temperature)
            if power is not None:
                tally.watts += power
                tally.readings += 1

    def confirm(self, now: float) -> None:
        """Count a result that became final."""
        for ring in self._rings.values():
            ring.turn(now).confirmed += 1

    def turn(self, now: float) -> None:
        """Close the steps that have ended."""
        for ring in self._rings.values():
            ring.turn(now)

    def view(self, span: Span, now: float) -> HistoryView:
        """Return the closed steps of a span, oldest first."""
        steps = self._rings[span].shown(now)
        names = sorted({name for step in steps for name in step.devices})
        none = Tally()
        return HistoryView(
            step=STEP_SECONDS[span],
            at=[step.ends_at for step in steps],
            confirmed=[step.confirmed for step in steps],
            devices={
                name: _series([step.devices.get(name, none) for step in steps]) for name in names
            },
        )

    def kept(self, now: float) -> Kept:
        """Return what `restore` takes, after a restart."""
        return Kept(spans={span: ring.shown(now) for span, ring in self._rings.items()})

    def restore(self, kept: Kept, now: float) -> None:
        """Put the steps of an earlier run before those of this one."""
        for span, ring in self._rings.items():
            first = ring.closed[0].ends_at if ring.closed else ring.open.ends_at
            begun, last = first - ring.seconds, 0.0
            before = []
            for step in kept.spans.get(span, []):
                if last < step.ends_at <= min(begun, now) and len(step.devices) <= _MOST_DEVICES:
                    before.append(step)
                    last = step.ends_at
            ring.closed = deque([*before, *ring.closed], maxlen=STEPS)

    def _tallies(self, device: str, now: float) -> list[Tally]:
        return [ring.turn(now).devices.setdefault(device, Tally()) for ring in self._rings.values()]


def _series(tallies: list[Tally]) -> Series:
    return Series(
        tasks=[tally.tasks for tally in tallies],
        tops=[tally.tops for tally in tallies],
        temperature=[tally.temperature for tally in tallies],
        power=[tally.power for tally in tallies],
    )
