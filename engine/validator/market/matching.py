"""Which worker gets a task: the one with the best name that can do it, and has a hand free.

    best = choose(need, candidates, chance)

Capability: the kind of job and its size, as the worker stated them. Deadline: with the speed that was
measured of it, it must be likely to end in time. Reputation: the best score wins, and those within
`ABOUT_EQUAL` of it draw lots, so that one worker more is not a worker without work.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass

from engine.poc_protocol.frames import Capabilities

ABOUT_EQUAL = 0.1
CAUTION = 2.0
"""A worker is expected to take so many times as long as it did before."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a task asks for. `matrix_size` and `iterations` are 0 where the kind has none."""

    challenge_type: str
    cost: int
    matrix_size: int = 0
    iterations: int = 0
    seconds: float = float("inf")
    """Until its deadline."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A connected worker. `busy`: jobs that it has from here; `rate` in multiply-adds a second."""

    link: int
    capabilities: Capabilities
    busy: int
    score: float
    rate: float | None


def can_do(need: Need, candidate: Candidate) -> bool:
    """Whether the worker takes such a job, has a hand free, and is likely to end in time."""
    able = candidate.capabilities
    if need.challenge_type not in able.kinds or candidate.busy >= able.jobs:
        return False
    if need.matrix_size > able.matrix_size or need.iterations > able.iterations:
        return False
    if need.cost > able.product:
        return False
    return candidate.rate is None or CAUTION * need.cost <= candidate.rate * need.seconds


def choose(need: Need, candidates: Iterable[Candidate], chance: random.Random) -> Candidate | None:
    """The worker for this task; None where none can do it now."""
    able = [candidate for candidate in candidates if can_do(need, candidate)]
    if not able:
        return None
    best = max(candidate.score for candidate in able)
    return chance.choice([one for one in able if one.score >= best - ABOUT_EQUAL])
