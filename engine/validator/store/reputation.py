"""Reputation: good and bad deeds, each counting half after a half-life, and a score from both.

    standing = Standing().after(good=1, now=time.time(), half_life=week)
    standing.score(now, half_life=week)   # 2/3, and back to 1/2 as time goes by

The score is the mean of a beta distribution with forgetting (Josang and Ismail, "The Beta
Reputation System", 2002): 1/2 for a stranger, towards 1 for who delivers, towards 0 for who does not.
Both ways it fades, so that a worker with a bad day recovers by waiting or, faster, by working. It
orders workers; that cheating does not pay rests on `policy.py`, and whoever cheated is out for good.
"""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Standing:
    """Deeds as they counted at the time `at` (Unix seconds)."""

    good: float = 0.0
    bad: float = 0.0
    at: float = 0.0

    def after(self, *, now: float, half_life: float, good: float = 0.0, bad: float = 0.0) -> Self:
        """With these deeds added."""
        fade = self._fade(now, half_life)
        # A clock that was set back must not make old deeds young again.
        return type(self)(self.good * fade + good, self.bad * fade + bad, max(now, self.at))

    def score(self, now: float, *, half_life: float) -> float:
        """Between 0 and 1."""
        fade = self._fade(now, half_life)
        return (self.good * fade + 1) / (self.good * fade + self.bad * fade + 2)

    def _fade(self, now: float, half_life: float) -> float:
        return float(0.5 ** (max(0.0, now - self.at) / half_life))
