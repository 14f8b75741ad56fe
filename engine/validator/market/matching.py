"""Which worker gets a task: among those that can do it and are free, one with the best reputation.

    best = choose(need, candidates, chance)

Capability: the kind of job and its size, as the worker stated them. Deadline: at its measured speed it
must be likely to end in time. That speed may be of small jobs, or have an outage in it, so no worker
counts as slower than any is: else a large task would wait for nobody. Reputation: one is drawn from
those within `ABOUT_EQUAL` of the best score, so that every good worker gets work; of them those first
that hold the task's model and have a free place.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass

from msgspec import Struct

from engine.poc_protocol.frames import Capabilities
from engine.validator.store.requirements import Requirements

ABOUT_EQUAL = 0.1
CAUTION = 2.0
"""A worker is expected to take this many times as long as it did before."""
FEW_JOBS = 2
"""That a worker may have at once: the one at work, and the next."""
SOON_SECONDS = 1.0
"""It may have more where it is expected to begin with the last of them so soon."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a task requires, and the seconds until its deadline.

    `slowest_rate`: multiply-adds per second that any worker reaches, whatever was measured.
    """

    task: Requirements
    seconds: float = float("inf")
    slowest_rate: float = 0.0


class Candidate(Struct, frozen=True, gc=False):
    """A connected worker. `busy`: jobs that it has now; `rate`: multiply-adds per second.

    `models`: SHA-256 of those that it holds.
    """

    connection: int
    capabilities: Capabilities
    busy: int
    score: float
    rate: float | None
    models: frozenset[str] = frozenset()


def can_do(need: Need, candidate: Candidate) -> bool:
    """Whether the worker takes such a job, is free, and is likely to end in time."""
    able, task = candidate.capabilities, need.task
    return (
        task.challenge_type in able.kinds
        and candidate.busy < able.jobs
        and task.matrix_size <= able.matrix_size
        and task.iterations <= able.iterations
        and task.cost <= able.product
        and _ends_in_time(need, candidate.rate)
        and (candidate.busy < FEW_JOBS or _begins_soon(candidate, task.cost))
    )


def _ends_in_time(need: Need, rate: float | None) -> bool:
    return rate is None or CAUTION * need.task.cost <= max(rate, need.slowest_rate) * need.seconds


def _begins_soon(candidate: Candidate, cost: int) -> bool:
    rate = candidate.rate or 0.0
    return candidate.busy * cost <= rate * SOON_SECONDS


def choose(need: Need, candidates: Iterable[Candidate], chance: random.Random) -> Candidate | None:
    """Return a worker for this task; None where none can do it now."""
    able = [candidate for candidate in candidates if can_do(need, candidate)]
    if not able:
        return None
    best = max(candidate.score for candidate in able)
    equal = [one for one in able if one.score >= best - ABOUT_EQUAL]
    holders = [one for one in equal if need.task.model in one.models and one.busy < FEW_JOBS]
    return chance.choice(holders or equal)
