"""Counts of latencies in buckets, as Prometheus expects them."""

from bisect import bisect_left
from typing import Self

LATENCY_BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds; a block is due every 5 to 60."""


class Histogram:
    """Counts values by upper bound, and their sum."""

    def __init__(self, bounds: tuple[float, ...] = LATENCY_BOUNDS) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def copy(self) -> Self:
        """Return a copy."""
        other = type(self)(self._bounds)
        other._counts, other.sum = list(self._counts), self.sum
        return other

    def cumulative(self) -> list[tuple[str, float]]:
        """Return (upper bound, how many are not above it), ending with "+Inf"."""
        total, buckets = 0, []
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            total += count
            buckets.append((bound, float(total)))
        return buckets
