"""What is checked how often, and why no cheat gains by it. Arithmetic only: no clock, no randomness.

    policy = Policy()
    q = policy.full_probability(reward, withheld, openable=False)
    caught = policy.catch(leaves=1024, wrong=1, q=q)

Three checks stand behind a verdict.

* Openings. Where a result is a tree of leaves (`synthetic`), the validator draws `openings` of them
  itself, after the commitment, each set of leaves equally likely, so a worker cannot search for a
  result that passes. A result with `wrong` of `leaves` wrong is missed with probability
  C(leaves - wrong, openings) / C(leaves, openings): none of the wrong ones is drawn.
* The whole result computed again, by the validator or by a second worker, with probability `q`.
* Where the result itself is sent, a far cheaper check whose error is negligible: Freivalds' for a
  product (`engine/jobs`). Then q counts as 1.

Rewards are withheld for `hold_seconds`. A worker that is caught loses every reward that is still
withheld, W, besides that of the job, r, and is banned. A check with probability q costs a cheat
q * (W + r) on average. So q is chosen from what is at stake (the inspection game; Becker, "Crime and
Punishment", 1968):

    q = min(1, max(least_full, margin * r / (W + r)))

A worker does not work for less than it costs, so the cost c of a job is at most r, and a cheat that
leaves out the share f of the work changes the worker's profit by

    f * c - D(f) * (W + r)

where D(f) is the probability of being caught. It is never above zero:

* with openings, D(f) >= f (one leaf alone is hit with probability f), so it is at most f * (c - r);
* without, every cheat is as visible as the largest, f = 1, and q * (W + r) >= min(margin, 1) * r.

A newcomer, or a worker that was away until nothing is withheld, has W = 0, hence q = 1 where there are
no openings: a new identity gains nothing. The result of a worker that commits and then does not open
is computed again in full, so silence gains nothing. `deterrence.py` searches all strategies.
"""

from dataclasses import dataclass
from gettext import gettext as _
from math import comb

from engine.runtime.errors import BadInput


@dataclass(frozen=True, slots=True)
class Policy:
    """How much is checked. Raises BadInput for numbers with which a cheat could gain."""

    openings: int = 32
    """Leaves drawn after the commitment, where the result has leaves (all, if it has fewer)."""
    least_full: float = 1 / 32
    """At least this share of the results is checked in full, whatever is withheld."""
    margin: float = 2.0
    """A cheat's expected loss, divided by what it can gain."""
    second_worker: float = 0.25
    """Share of the full checks that a second worker computes, instead of this machine.

    Two workers may belong to one person, so this leaves 1 - second_worker of the margin.
    """
    layer_share: float = 1.0
    """Of the layers that a result commits to, as many are checked in each sample that is drawn.

    The arithmetic above does not use it, as it rests on openings. 1 finds any wrong entry.
    """
    samples: int = 4
    """Of an inference without layers as many samples are computed again, at most."""
    hold_seconds: float = 86_400.0
    """How long a reward is withheld after its job was accepted."""
    half_life: float = 7 * 86_400.0
    """Seconds until good and bad outcomes count half."""
    least_score: float = 0.2
    """Workers with a lower score get no task until they have recovered."""

    def __post_init__(self) -> None:
        if not 1 <= self.openings <= 1024:
            message = _("a proof opens 1 to 1024 leaves, not {openings}")
            raise BadInput(message.format(openings=self.openings))
        if not 0 <= self.least_full <= 1:
            message = _("a share of full checks is 0 to 1, not {least_full}")
            raise BadInput(message.format(least_full=self.least_full))
        if self.margin < 1:
            message = _("a margin of {margin} would let a cheat gain: at least 1 is needed")
            raise BadInput(message.format(margin=self.margin))
        if not 0 <= self.second_worker <= 1 - 1 / self.margin:
            message = _(
                "second workers for {second_worker} of the full checks: with a margin of"
                " {margin} at most {most:.3f} keeps two who collude from gaining"
            ).format(second_worker=self.second_worker, margin=self.margin, most=1 - 1 / self.margin)
            raise BadInput(message)
        if not 0 < self.layer_share <= 1:
            message = _("a share of layers is above 0, and 1 at most, not {layer_share}")
            raise BadInput(message.format(layer_share=self.layer_share))
        if not 1 <= self.samples <= 1024:
            message = _("a check computes 1 to 1024 samples again, not {samples}")
            raise BadInput(message.format(samples=self.samples))
        if self.hold_seconds <= 0 or self.half_life <= 0:
            raise BadInput(_("the times of holding rewards and of forgetting must be above zero"))

    def full_probability(self, reward: int, withheld: int, *, openable: bool) -> float:
        """Return q, the probability of a full check. `reward` and `withheld` in the same units."""
        if openable:
            return self.least_full
        if reward <= 0:
            return 1.0 if withheld <= 0 else self.least_full
        return min(1.0, max(self.least_full, self.margin * (reward / (withheld + reward))))

    def second_probability(self, q: float, *, openable: bool) -> float:
        """Return the probability that a second worker does a full check.

        0 where q has to be 1, that is, where too little is withheld to deter.
        """
        return 0.0 if q >= 1 and not openable else self.second_worker

    def openings_of(self, leaves: int) -> int:
        """Return how many of a result's leaves are drawn."""
        return min(self.openings, leaves)

    def catch_by_openings(self, leaves: int, wrong: int) -> float:
        """Return the probability that a draw hits one of the wrong leaves."""
        return 1 - comb(leaves - wrong, self.openings_of(leaves)) / comb(
            leaves, self.openings_of(leaves)
        )

    def catch(self, *, leaves: int, wrong: int, q: float) -> float:
        """Return the probability that a result with this many wrong leaves is caught by any check."""
        return 1 - (1 - q) * (1 - self.catch_by_openings(leaves, wrong))

    def catch_unopened(self, q: float, *, colluding: float = 0.0) -> float:
        """Return the probability that a wrong result without leaves is caught.

        `colluding`: share of the workers that would confirm it as the second worker.
        """
        return q * (1 - self.second_probability(q, openable=False) * colluding)
