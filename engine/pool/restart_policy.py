"""How often one device's child may fail, and how long the next one waits.

    if restarts.failed(now, was_ready=True):
        wait = restarts.backoff()
    else:
        wait = restarts.take_out()

Restart intensity as in OTP: the first failure is answered at once, further ones in a row after a
pause that doubles, and too many within a period take the device out of service for a cool-down.
After that it is on probation: until a job was done right, one failure takes it out again, for twice as
long.
"""

from collections import deque
from dataclasses import dataclass, field

from engine.pool.limits import Limits


@dataclass(slots=True)
class RestartPolicy:
    """Failures of one device's children. Times in seconds of the supervisor's clock."""

    limits: Limits
    failures: deque[float] = field(default_factory=deque)
    wrong_results: deque[float] = field(default_factory=deque)
    in_a_row: int = 0
    failed_starts: int = 0
    on_probation: bool = False
    cooldown: float = 0.0

    def started(self) -> None:
        """A child passed its known-answer test."""
        self.failed_starts = 0

    def succeeded(self) -> None:
        """A result was found right."""
        self.in_a_row = 0
        self.on_probation = False
        self.cooldown = 0.0

    def was_wrong(self, now: float) -> None:
        """A result was found wrong; the end of its child follows."""
        self.wrong_results.append(now)

    def failed(self, now: float, *, was_ready: bool) -> bool:
        """A child is gone. Return whether the device stays in service."""
        limits = self.limits
        _forget_before(self.failures, now - limits.period)
        _forget_before(self.wrong_results, now - limits.period)
        self.failures.append(now)
        self.in_a_row += 1
        self.failed_starts = 0 if was_ready else self.failed_starts + 1
        return not (
            self.on_probation
            or len(self.failures) > limits.restarts
            or len(self.wrong_results) > 1
            or self.failed_starts >= limits.starts
        )

    def backoff(self) -> float:
        """Return the seconds before the next child starts, in service."""
        if self.in_a_row <= 1:
            return self.limits.backoff_first
        return float(min(self.limits.backoff_most, 2.0 ** min(self.in_a_row - 2, 30)))

    def take_out(self) -> float:
        """Take the device out of service: return the seconds until it is tried again, on probation."""
        limits = self.limits
        self.cooldown = min(2 * self.cooldown or limits.cooldown, limits.cooldown_most)
        self.failures.clear()
        self.wrong_results.clear()
        self.in_a_row = self.failed_starts = 0
        self.on_probation = True
        return self.cooldown


def _forget_before(times: deque[float], moment: float) -> None:
    while times and times[0] < moment:
        times.popleft()
