"""Hears a run's events for what it costs: energy, fees, and how long the balance lasts.

meter = Meter(report, troubles)      # a reporter, which passes everything on
with meter.keeping(ledger):          # for `cpc-engine history`
    ...
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from gettext import gettext as _

from engine.monitor.events import AnyEvent
from engine.monitor.events.protection import DeviceReading, Reading
from engine.monitor.events.run import Pulse
from engine.monitor.events.sending import BalanceChanged, BalanceLasts, ResultConfirmed
from engine.monitor.formatting import duration
from engine.monitor.reporter import Reporter
from engine.monitor.troubles import Troubles
from engine.txmgr.ledger import Ledger

ALARM_SECONDS = 3 * 86400.0
LEAST_SECONDS = 60.0
"""Fees of a shorter time say nothing: at the start, results of an earlier run become final at once."""
_FORGET_SECONDS = 86400.0
"""Fees of more than so long ago count half."""
_AGAIN = 1.2
"""The alarm ends at so many times what it begins at."""
_WRITE_SECONDS = 60.0
_LONGEST_STEP = 10.0
"""Seconds that one reading of watts may stand for."""


class Meter:
    """A reporter; see the module. Thread-safe."""

    def __init__(
        self, report: Reporter, troubles: Troubles, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._report = report
        self._troubles = troubles
        self._clock = clock
        self._lock = threading.Lock()
        self._ledger: Ledger | None = None
        self._balance: int | None = None
        self._fees = 0.0
        self._since: float | None = None
        self._joules = 0.0
        self._read: dict[str, tuple[float, Reading]] = {}
        self._written_at = clock()

    def __call__(self, event: AnyEvent) -> None:
        """Pass the event on, and take what it says."""
        self._report(event)
        now = self._clock()
        match event:
            case BalanceChanged(balance=balance):
                with self._lock:
                    self._balance = balance
                self._judge(now)
            case ResultConfirmed(fee=fee):
                with self._lock:
                    self._pay(fee, now)
                self._judge(now)
            case DeviceReading(device=device, reading=reading):
                with self._lock:
                    self._use(device, reading, now)
            case Pulse() if now - self._written_at >= _WRITE_SECONDS:
                self._written_at = now
                self._write()

    @contextmanager
    def keeping(self, ledger: Ledger) -> Iterator[None]:
        """Write joules and balance of each day down, each minute and at the end."""
        self._ledger = ledger
        try:
            yield
        finally:
            self._write()
            self._ledger = None

    def _pay(self, fee: int, now: float) -> None:
        if self._since is None:
            self._since = now  # what was paid before is not known, so the first fee does not count
            return
        self._fees += fee
        if now - self._since > 2 * _FORGET_SECONDS:
            self._since += (now - self._since) / 2
            self._fees /= 2

    def _judge(self, now: float) -> None:
        """Tell how long the balance lasts, where that is known."""
        with self._lock:
            elapsed = 0.0 if self._since is None else now - self._since
            if self._balance is None or not self._fees or elapsed < LEAST_SECONDS:
                return
            seconds = self._balance * elapsed / self._fees
        self._report(BalanceLasts(seconds))
        if seconds < ALARM_SECONDS:
            message = _("at the fees of late the balance lasts for {time}")
            advice = _("Send coins to the account, or answer fewer tasks: --tasks-per-block.")
            message = message.format(time=duration(seconds))
            self._troubles.begin("balance_short", message, advice, stops=False)
        elif seconds > _AGAIN * ALARM_SECONDS:
            self._troubles.end("balance_short")

    def _use(self, device: str, reading: Reading, now: float) -> None:
        """Count energy: the card's own counter where it has one, else watts by time."""
        at, before = self._read.get(device, (now, reading))
        self._read[device] = now, reading
        if reading.energy is not None and before.energy is not None:
            self._joules += max(0.0, reading.energy - before.energy)
        elif reading.power is not None:
            self._joules += reading.power * min(_LONGEST_STEP, now - at)

    def _write(self) -> None:
        with self._lock:
            joules, self._joules = self._joules, 0.0
            balance = self._balance
        if self._ledger is not None and (joules or balance is not None):
            self._ledger.note_day(joules, balance)
