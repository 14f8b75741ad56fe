"""How a validator has treated this worker of late, and whether it gets work.

    standing.rejected(reason)    # it called a result wrong, though it was checked here
    standing.cut(reason)         # its connection broke while jobs of it were at work
    standing.accepted()          # takes one of these off again
    standing.rest()              # seconds: too many of them; else 0

A validator that is merely away costs nothing but a dial now and then, and one may close its connection
as the protocol has it, to restart, say: neither counts.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from gettext import gettext as _
from gettext import ngettext

from engine.monitor.formatting import duration
from engine.monitor.troubles import Troubles
from engine.runtime.circuit_breaker import CircuitBreaker

MOST_FAILURES = 5
PERIOD_SECONDS = 3600.0
FIRST_REST_SECONDS = 600.0
LONGEST_REST_SECONDS = 3600.0


class Standing:
    """Of one validator, with its circuit breaker. For one event loop.

    `hang_up` is called as soon as there were too many failures.
    """

    def __init__(
        self,
        url: str,
        troubles: Troubles,
        most: int = MOST_FAILURES,
        first: float = FIRST_REST_SECONDS,
    ) -> None:
        self.hang_up: Callable[[], object] = lambda: None
        self._url = url
        self._troubles = troubles
        self._breaker = CircuitBreaker(most, PERIOD_SECONDS, first, LONGEST_REST_SECONDS)
        self._why = ""

    def accepted(self) -> None:
        """It accepted a result."""
        self._breaker.succeeded()
        with suppress(IndexError):
            self._breaker.failures.popleft()

    def rejected(self, reason: str) -> None:
        """It rejected a result."""
        self._failed(_("it rejected a result: {reason}").format(reason=reason))

    def cut(self, reason: str) -> None:
        """Its connection broke while jobs of it were at work."""
        self._failed(reason)

    def rest(self) -> float:
        """Return for how many seconds it gets no work from now on, and say why; 0 where it does."""
        if not self._why:
            return 0.0
        pause = self._breaker.open()
        message = _("{url} gets no work for {time}: {why}")
        advice = _(
            "Ask its operator, or leave it out of --validator. A new start of the engine tries it"
            " at once."
        )
        message = message.format(url=self._url, time=duration(pause), why=self._why)
        self._troubles.begin("validator_rests", message, advice, stops=False, subject=self._url)
        return pause

    def rested(self) -> None:
        """The pause is over."""
        self._why = ""
        self._troubles.end("validator_rests", self._url)

    def _failed(self, last: str) -> None:
        breaker = self._breaker
        if not breaker.failed(time.monotonic()) or self._why:
            return
        count, time_ = len(breaker.failures), duration(breaker.period)
        if breaker.on_probation:
            why = _("it failed again before it accepted a result; {last}")
        else:
            why = ngettext(
                "{count} rejected result or cut connection within {time}, and {most} is the most"
                " (--validator-failures); the last: {last}",
                "{count} rejected results and cut connections within {time}, and {most} is the most"
                " (--validator-failures); the last: {last}",
                count,
            )
        self._why = why.format(count=count, time=time_, most=breaker.most, last=last)
        self.hang_up()
