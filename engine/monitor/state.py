"""The state, shared between threads: the mining loop reports into it, every view reads from it."""

import threading
import time
from collections.abc import Callable
from typing import Any

from engine.monitor.histogram import Histogram
from engine.monitor.history import HistoryView
from engine.monitor.projection import Fold
from engine.monitor.snapshot import Snapshot


class Board:
    """A reporter that keeps the state; hand it `then`, which gets every event after it."""

    def __init__(
        self, then: Callable[..., None] | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._then = then
        self._clock = clock
        self._mutex = threading.Lock()
        self._fold = Fold(clock())

    def __call__(self, event: str, **fields: Any) -> None:
        """Take an event in, then pass it on."""
        with self._mutex:
            self._fold.take(event, fields, self._clock())
        if self._then is not None:
            self._then(event, **fields)

    def snapshot(self) -> Snapshot:
        """The state now."""
        with self._mutex:
            return self._fold.snapshot(self._clock())

    def history(self) -> HistoryView:
        """The last hour."""
        with self._mutex:
            return self._fold.history(self._clock())

    def latency(self) -> Histogram:
        """Seconds from a block to its result, a copy."""
        with self._mutex:
            return self._fold.latency.copy()
