"""A host that says 429, or 503 with Retry-After, is left alone for as long as it asks, within bounds.

    rests = Rests()
    rests.begin(name, seconds_of(response.headers.get("Retry-After")))
    rests.left(name)          # seconds; 0.0 where it may be asked

Source: RFC 9110, 10.2.3 (seconds, or a date); RFC 6585, 4 (429).
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

UNSAID = 5.0
"""Seconds where the host does not say how long, or not in a way that can be read."""
LONGEST = 120.0
"""Seconds; one that asks for more is asked again after so long."""


def seconds_of(header: str | None) -> float:
    """Return how long to wait by this header, 0 < seconds <= LONGEST."""
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return min(max(float(text[:9]), 1.0), LONGEST)
    try:
        until = parsedate_to_datetime(text)
        if until.tzinfo is None:
            until = until.replace(tzinfo=UTC)
        wait = (until - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError):
        return UNSAID
    return min(max(wait, 1.0), LONGEST)


class Rests:
    """Until when hosts are left alone, by their names. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until: dict[str, float] = {}

    def begin(self, name: str, seconds: float) -> None:
        """Leave this host alone from now on."""
        with self._lock:
            self._until[name] = self._clock() + seconds

    def left(self, name: str) -> float:
        """Return for how many more seconds; 0.0 where it may be asked."""
        with self._lock:
            left = self._until.get(name, 0.0) - self._clock()
            if left <= 0:
                self._until.pop(name, None)
            return max(left, 0.0)


RESTS = Rests()
"""This process's: a host that several clients ask is left alone by all of them."""
