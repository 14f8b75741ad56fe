"""A circuit breaker: what failed too often gets no work for a pause, which doubles while it fails.

    if breaker.failed(now):            # more than `most` within `period`, or the first on probation
        pause = breaker.open()         # seconds; afterwards it is on probation

Source: M. Nygard, Release It!, 2nd ed., 2018, "Circuit Breaker"; so many within a period, as in OTP.
"""

from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class CircuitBreaker:
    """Failures of one thing. Times in seconds of the caller's clock.

    `first`, `longest`: the pause. `on_probation`: until something was done right, one failure opens it
    again.
    """

    most: int
    period: float
    first: float
    longest: float
    failures: deque[float] = field(default_factory=deque)
    on_probation: bool = False
    pause: float = 0.0

    def failed(self, now: float) -> bool:
        """Count a failure. Return whether there were too many."""
        forget_before(self.failures, now - self.period)
        self.failures.append(now)
        return self.on_probation or len(self.failures) > self.most

    def succeeded(self) -> None:
        """Something was done right: the next pause is a short one again."""
        self.on_probation = False
        self.pause = 0.0

    def open(self) -> float:
        """Forget the failures; return the seconds of the pause, after which it is on probation."""
        self.pause = min(2 * self.pause or self.first, self.longest)
        self.failures.clear()
        self.on_probation = True
        return self.pause


def forget_before(times: deque[float], moment: float) -> None:
    """Drop what was before that moment."""
    while times and times[0] < moment:
        times.popleft()
