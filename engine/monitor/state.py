"""The engine's state, shared between threads: reporters write it, views read it."""

import threading
import time
from collections.abc import Callable

import msgspec

from engine.monitor.events import AnyEvent
from engine.monitor.histogram import Histogram
from engine.monitor.history import HistoryView, Kept, Span
from engine.monitor.projection import Projection
from engine.monitor.reporter import Reporter
from engine.monitor.snapshot import Snapshot


class Monitor:
    """A reporter that keeps the state, and passes every event on."""

    def __init__(
        self, then: Reporter | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._then = [] if then is None else [then]
        self._clock = clock
        self._mutex = threading.Lock()
        self._projection = Projection(clock())

    def __call__(self, event: AnyEvent) -> None:
        """Take an event, then pass it on."""
        with self._mutex:
            self._projection.take(event, self._clock())
        for then in self._then:
            then(event)

    def also(self, then: Reporter) -> None:
        """Pass every event from now on to this reporter, too."""
        self._then.append(then)

    def snapshot(self) -> Snapshot:
        """Return the state now."""
        with self._mutex:
            return self._projection.snapshot(self._clock())

    def history(self, span: Span = "hour") -> HistoryView:
        """Return the last hour, day or month."""
        with self._mutex:
            return self._projection.history.view(span, self._clock())

    def kept_history(self) -> bytes:
        """Return what `restore_history` takes in the next run, as JSON."""
        with self._mutex:
            return msgspec.json.encode(self._projection.history.kept(self._clock()))

    def restore_history(self, kept: Kept) -> None:
        """Put an earlier run's charts before this one's."""
        with self._mutex:
            self._projection.history.restore(kept, self._clock())

    def latency(self) -> Histogram:
        """Return a copy of the histogram of seconds from a block to its result."""
        with self._mutex:
            return self._projection.latency.copy()
