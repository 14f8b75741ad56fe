"""The best that a cheat can gain, by a search over all its strategies, job after job.

    best = best_cheat(Policy(), Game(jobs=200))   # in rewards of one job; below zero

The model gives the worker every advantage: it knows the policy and what of its rewards is withheld,
chooses before each job which share of the work to leave out, may pause until everything withheld is
paid, and after it was caught is back at once under a new identity, at no cost. Work costs `cost`
rewards per job. The one thing it cannot do is see a draw before its commitment.

Backward induction over the jobs that are left (Bellman), with two values for each state: the most
that can be made, and the most that can be made if at least one result is to be wrong.
"""

from dataclasses import dataclass
from gettext import gettext as _
from typing import Any

from engine.validator.policy.audit_policy import Policy


@dataclass(frozen=True, slots=True)
class Game:
    """The game. Amounts in rewards of one job.

    `leaves`: of a result, 0 where it has none. `hold`: jobs within the time that rewards are held.
    `colluding`: share of the workers that are the cheat's own.
    """

    jobs: int = 100
    hold: int = 50
    cost: float = 0.9
    leaves: int = 0
    colluding: float = 0.5


def best_cheat(policy: Policy, game: Game) -> float:
    """Return the best profit of any strategy with a wrong result, less the honest worker's profit."""
    gambles = [
        [(share, _caught(policy, game, share, held)) for share in _shares(game)]
        for held in range(game.hold + 1)
    ]
    best = [0.0] * (game.hold + 1)  # by how many rewards are withheld
    lazy = [float("-inf")] * (game.hold + 1)  # at least one wrong result is still to come
    for _job in range(game.jobs):
        best, lazy = _one_job_earlier(game, gambles, best, lazy)
    return lazy[0] - game.jobs * (1 - game.cost)


def _one_job_earlier(
    game: Game, gambles: list[list[tuple[float, float]]], best: list[float], lazy: list[float]
) -> tuple[list[float], list[float]]:
    earlier_best, earlier_lazy = [], []
    for held in range(game.hold + 1):
        after = min(held + 1, game.hold)
        honest = 1 - game.cost
        wrong = max(
            (1 - caught) * (1 + best[after]) + caught * (best[0] - held) - (1 - share) * game.cost
            for share, caught in gambles[held]
        )
        earlier_best.append(max(honest + best[after], best[0], wrong))  # best[0]: a pause
        earlier_lazy.append(max(honest + lazy[after], lazy[0], wrong))
    return earlier_best, earlier_lazy


def _shares(game: Game) -> list[float]:
    """Return the shares of the work that can be left out: whole leaves, or 5 % to all of it."""
    if game.leaves:
        return [wrong / game.leaves for wrong in range(1, game.leaves + 1)]
    return [i / 20 for i in range(1, 21)]


def _caught(policy: Policy, game: Game, share: float, held: int) -> float:
    openable = game.leaves > 0
    q = policy.full_probability(1000, 1000 * held, openable=openable)
    if openable:
        return policy.catch(leaves=game.leaves, wrong=round(share * game.leaves), q=q)
    return policy.catch_unopened(q, colluding=game.colluding)


def table(policy: Policy, *, leaves: int = 256, cost: float = 0.9) -> list[dict[str, Any]]:
    """Return the policy in figures: how often each cheat is caught, and the best strategy's gain."""
    rows: list[dict[str, Any]] = []
    q = policy.full_probability(1, 100, openable=True)
    best = best_cheat(policy, Game(jobs=200, cost=cost, leaves=leaves))
    for name, wrong in (
        (_("all leaves wrong (random hash, another's result)"), leaves),
        (_("half of the leaves wrong"), leaves // 2),
        (_("10% of the leaves wrong"), round(leaves / 10)),
        (_("one wrong leaf"), 1),
    ):
        caught = policy.catch(leaves=leaves, wrong=wrong, q=q)
        rows.append({"cheat": name, "caught": caught, "best": best})
    best = best_cheat(policy, Game(jobs=200, cost=cost))
    for name, withheld in (
        (_("no leaves, a newcomer"), 0),
        (_("no leaves, 20 rewards withheld"), 20),
    ):
        q = policy.full_probability(1000, 1000 * withheld, openable=False)
        rows.append({"cheat": name, "caught": policy.catch_unopened(q), "best": best})
    return rows
