"""How often one device's child may fail, and how long the next one waits.

    if why := restarts.failed(now, was_ready=True):
        wait = restarts.take_out()
    else:
        wait = restarts.backoff()

Restart intensity as in OTP: the first failure is answered at once, further ones in a row after a
pause that doubles, and too many within a period open the device's circuit breaker
(`engine/runtime/circuit_breaker.py`): it is out of service for a cool-down, and then on probation.
"""

from collections import deque
from dataclasses import dataclass, field
from gettext import gettext as _
from gettext import ngettext

from engine.monitor.formatting import duration
from engine.pool.limits import Limits
from engine.runtime.circuit_breaker import CircuitBreaker, forget_before


@dataclass(slots=True)
class RestartPolicy:
    """Failures of one device's children. Times in seconds of the supervisor's clock."""

    limits: Limits
    wrong_results: deque[float] = field(default_factory=deque)
    in_a_row: int = 0
    failed_starts: int = 0
    breaker: CircuitBreaker = field(init=False)

    def __post_init__(self) -> None:
        limits = self.limits
        self.breaker = CircuitBreaker(
            limits.restarts, limits.period, limits.cooldown, limits.cooldown_most
        )

    @property
    def on_probation(self) -> bool:
        """Whether the next failure takes it out again."""
        return self.breaker.on_probation

    def started(self) -> None:
        """A child passed its known-answer test."""
        self.failed_starts = 0

    def succeeded(self) -> None:
        """A result was found right."""
        self.in_a_row = 0
        self.breaker.succeeded()

    def was_wrong(self, now: float) -> None:
        """A result was found wrong; the end of its child follows."""
        self.wrong_results.append(now)

    def failed(self, now: float, *, was_ready: bool) -> str:
        """A child is gone. Return why the device leaves service, "" where it stays."""
        limits, breaker = self.limits, self.breaker
        forget_before(self.wrong_results, now - limits.period)
        too_many, count = breaker.failed(now), len(breaker.failures)
        self.in_a_row += 1
        self.failed_starts = 0 if was_ready else self.failed_starts + 1
        if breaker.on_probation:
            return _("it failed again before it gave a right result")
        if len(self.wrong_results) > 1:
            wrong = len(self.wrong_results)
            many = ngettext(
                "{count} wrong result within {time}, and 1 is the most",
                "{count} wrong results within {time}, and 1 is the most",
                wrong,
            )
            return many.format(count=wrong, time=duration(limits.period))
        if self.failed_starts >= limits.starts:
            many = ngettext(
                "{count} start in a row failed, and {most} is the most",
                "{count} starts in a row failed, and {most} is the most",
                self.failed_starts,
            )
            return many.format(count=self.failed_starts, most=limits.starts - 1)
        many = ngettext(
            "{count} failure within {time}, and {most} is the most (--device-failures)",
            "{count} failures within {time}, and {most} is the most (--device-failures)",
            count,
        )
        said = many.format(count=count, time=duration(limits.period), most=limits.restarts)
        return said if too_many else ""

    def backoff(self) -> float:
        """Return the seconds before the next child starts, in service."""
        if self.in_a_row <= 1:
            return self.limits.backoff_first
        return float(min(self.limits.backoff_most, 2.0 ** min(self.in_a_row - 2, 30)))

    def take_out(self) -> float:
        """Take the device out of service: return the seconds until it is tried again, on probation."""
        self.wrong_results.clear()
        self.in_a_row = self.failed_starts = 0
        return self.breaker.open()
