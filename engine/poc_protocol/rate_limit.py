"""Token buckets: how much an untrusted peer may make this side do.

frames = TokenBucket(rate=200, burst=400)
await asyncio.sleep(frames.reserve())
posts = RateLimiter(rate=2.0, burst=20)
wait = posts.take("alice")       # 0.0, or the seconds until there is a token again
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

MOST_KEYS = 10_000


class TokenBucket:
    """`rate` tokens a second in the long run, and up to `burst` at once."""

    def __init__(
        self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._left = burst
        self._at = clock()

    def take(self, count: float = 1) -> float:
        """Take tokens and return 0.0, or take none and return the seconds until there are so many.

        More than `burst` are taken where the bucket is full, and paid off afterwards.
        """
        wait = self._wait(count)
        if not wait:
            self._left -= count
        return wait

    def reserve(self, count: float = 1) -> float:
        """Take tokens, if need be in advance; return the seconds to wait before they may be used."""
        wait = self._wait(count)
        self._left -= count
        return wait

    def _wait(self, count: float) -> float:
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        return max(0.0, (min(count, self._burst) - self._left) / self._rate)


class RateLimiter:
    """A token bucket for each key; beyond MOST_KEYS the one unused for longest is forgotten."""

    def __init__(
        self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._new = partial(TokenBucket, rate, burst, clock)
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def take(self, key: str, count: float = 1) -> float:
        """Take tokens from the bucket of `key`; see `TokenBucket.take`."""
        return self._bucket(key).take(count)

    def reserve(self, key: str, count: float = 1) -> float:
        """Take tokens, if need be in advance; see `TokenBucket.reserve`."""
        return self._bucket(key).reserve(count)

    def _bucket(self, key: str) -> TokenBucket:
        bucket = self._buckets.setdefault(key, self._new())
        self._buckets.move_to_end(key)
        if len(self._buckets) > MOST_KEYS:
            self._buckets.popitem(last=False)
        return bucket
