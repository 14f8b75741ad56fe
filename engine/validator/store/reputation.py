"""Reputation: good and bad outcomes, each with half its weight after a half-life, and a score.

    reputation = Reputation().after(good=1, now=time.time(), half_life=week)
    reputation.score(now, half_life=week)   # 2/3, and back to 1/2 as time goes by

The score is the mean of a beta distribution with forgetting (Josang and Ismail, "The Beta
Reputation System", 2002): 1/2 for a stranger, towards 1 for a worker that delivers, towards 0 for one
that does not. Both fade, so a worker recovers from a bad day by waiting or, faster, by working. The
score only orders workers; `audit_policy.py` keeps cheating from paying, and a cheat is banned.
"""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Reputation:
    """Weights of good and bad outcomes at the time `at` (Unix seconds)."""

    good: float = 0.0
    bad: float = 0.0
    at: float = 0.0

    def after(self, *, now: float, half_life: float, good: float = 0.0, bad: float = 0.0) -> Self:
        """Return it with these outcomes added."""
        fade = self._fade(now, half_life)
        # A clock that was set back must not make old outcomes count more.
        return type(self)(self.good * fade + good, self.bad * fade + bad, max(now, self.at))

    def score(self, now: float, *, half_life: float) -> float:
        """Return a score between 0 and 1."""
        fade = self._fade(now, half_life)
        return (self.good * fade + 1) / (self.good * fade + self.bad * fade + 2)

    def _fade(self, now: float, half_life: float) -> float:
        return float(0.5 ** (max(0.0, now - self.at) / half_life))
