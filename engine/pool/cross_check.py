"""The policy for checks by another card: of a flood's answers, those that the CPU is late for.

A rig of many cards and few cores computes faster than its CPU checks. There, with `--cross-check`, a
card that has nothing else to do computes an answer again, and the parent compares root and proof. Where
they agree the answer is taken for right. Where they do not, nobody knows yet who is wrong: the CPU
checks both in full, and whoever fails that is blamed. Where the card ends, hangs or cannot do it, the
CPU checks the answer, as it would have.

Two cards that make the same mistake are not found by this. So the CPU still checks a drawn share of the
answers, all answers of a device that has to prove itself (`check_share.py`), all that it has time for,
and whatever is urgent or signed for a block. docs/worker-trust.md has the arithmetic.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

from engine.pool.actions import Check, Opening
from engine.pool.job_queue import URGENT, Job
from engine.pool.leaf_digests import worth_a_process
from engine.pool.limits import Limits
from engine.pool.worker_state import Worker
from kernels import cards
from kernels.work import Outcome
from kernels.work.synthetic import SyntheticWork

CPU_SHARE = 1 / 8
"""Of the answers that a card might check, those that are drawn for the CPU."""
BEHIND = 4
"""Answers of one device that wait for the CPU, from which on it is late."""


@dataclass(slots=True, eq=False)
class Recheck(Job):
    """A job that computes another device's answer again. `check`: until something came of it."""

    check: Check | None = field(default=None, kw_only=True)

    def settle(self) -> list[Check]:
        """Return what it is about, once: for the CPU, where the card did not do it."""
        check, self.check = self.check, None
        return [] if check is None else [check]


class CrossChecks:
    """Chooses what another card checks, and which. `chance` gives numbers of [0, 1)."""

    def __init__(self, limits: Limits, chance: Callable[[], float]) -> None:
        self._limits, self._chance = limits, chance
        self._waiting: list[Check] = []
        self._card_of = cache(card_of)

    def takes(self, worker: Worker, check: Check, *, quick: bool) -> bool:
        """Whether this answer may be another card's to check; then `hand_out` has it.

        `quick`: whether the job takes so little time that its check counts.
        """
        job = check.job
        if not (
            self._limits.cross_check
            and isinstance(job.work, SyntheticWork)
            and quick
            and job.priority < URGENT
            and not job.failures  # it is at a child alone
            and not worker.answers.unproven
            and worth_a_process(job.work.task, job.work.openings)
            and worker.unchecked - sum(at.crossed for at in worker.jobs.values()) > BEHIND
            and self._chance() >= CPU_SHARE
        ):
            return False
        worker.jobs[job.ticket].crossed = True
        self._waiting.append(check)
        return True

    def hand_out(self, workers: Iterable[Worker]) -> Iterator[tuple[Check, Worker | None]]:
        """Give each answer that waits, and a card for it: None where all have work of their own."""
        waiting, self._waiting = self._waiting, []
        for check in waiting:
            cards = [worker for worker in workers if self._may_check(worker, check)]
            yield check, min(cards, key=lambda card: len(card.orders), default=None)

    def _may_check(self, worker: Worker, check: Check) -> bool:
        """Whether it is another card, and at nothing but checks, as many as are soon done."""
        _load, last = worker.load(check.job)
        return (
            worker.is_able
            and self._card_of(worker.device) not in (None, self._card_of(check.device))
            and all(isinstance(at.job, Recheck) for at in worker.orders)
            and len(worker.orders) < worker.room(last, self._limits)
        )


def card_of(device: str) -> str | None:
    """Return a name that two devices share if they are one card; None for what is no card."""
    return device if "/gpu" in device else cards.card_of(device)  # the former: a farm's


def agree(check: Check, again: Outcome) -> bool:
    """Whether another device came to the same root, and to the same proof and leaves."""
    assert not isinstance(check.answer, Opening)
    answer = check.answer.outcome
    return (
        answer.proof is not None
        and (answer.result_hash, answer.proof) == (again.result_hash, again.proof)
        and answer.leaves in (None, again.leaves)
    )
