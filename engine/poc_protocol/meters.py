"""Rate limits: a bucket of tokens for each who asks, filled at a steady rate.

meter = Meter(rate=2.0, burst=20)
wait = meter.take("alice")       # 0.0, or the seconds after which there is a token again
"""

import time
from collections import OrderedDict
from collections.abc import Callable

MOST_KEYS = 10_000


class Meter:
    """`rate` tokens a second for each key, and up to `burst` at once.

    Of more than MOST_KEYS, who was longest away is forgotten.
    """

    def __init__(
        self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # level, since when

    def take(self, key: str, tokens: float = 1.0) -> float:
        """Take tokens: 0.0 where they were there, else the seconds to wait, and nothing is taken."""
        now = self._clock()
        level, since = self._buckets.pop(key, (self._burst, now))
        level = min(self._burst, level + (now - since) * self._rate)
        enough = level >= tokens
        self._buckets[key] = (level - tokens if enough else level, now)
        if len(self._buckets) > MOST_KEYS:
            self._buckets.popitem(last=False)
        return 0.0 if enough else (tokens - level) / self._rate
