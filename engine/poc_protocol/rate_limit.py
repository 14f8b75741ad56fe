"""So much at once, and so much a second after that: for what an untrusted peer makes this side do.

allowance = Allowance(rate=200, burst=400)
await asyncio.sleep(allowance.take())
"""

import time


class Allowance:
    """A token bucket."""

    def __init__(self, rate: float, burst: float) -> None:
        """`rate`: a second, in the long run; `burst`: at once."""
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._at = time.monotonic()

    def take(self) -> float:
        """Take one. Gives the seconds to wait before it may be used: 0 within the allowance."""
        self._refill()
        self._left -= 1
        return max(0.0, -self._left / self._rate)

    def try_take(self) -> bool:
        """Take one if there is one."""
        self._refill()
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def _refill(self) -> None:
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
