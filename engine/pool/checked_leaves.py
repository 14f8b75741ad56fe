"""What the parent looks at before it believes a child.

Of a block's task the openings of the proof, and a few leaves that the parent draws after the child has
committed to its root; any other work says itself how its outcome is checked.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass

from engine.pool.actions import Check, Foresee, Opening
from engine.pool.messages import Computed
from kernels import proof as kernels_proof
from kernels.check import compare, opened_digests, opened_leaves
from kernels.errors import KernelError
from kernels.task import Task
from kernels.work.synthetic import SyntheticWork

SPOT_LEAVES = 4
"""Leaves that the parent draws itself, on top of those that the proof opens."""


def draw_leaves(task: Task, computed: Computed) -> tuple[int, ...]:  # noqa: ARG001
    """Leaves that the parent opens itself: drawn from the system's randomness after the root."""
    count = min(SPOT_LEAVES, task.leaf_count)
    return tuple(random.SystemRandom().sample(range(task.leaf_count), count))


@dataclass(frozen=True, slots=True, eq=False)
class ToCheck:
    """A check of a block's task, and the well-formed openings that have to lead to the root."""

    check: Check
    task: Task
    root: bytes
    openings: list[kernels_proof.Opening]

    @property
    def leaves(self) -> list[int]:
        """The leaves that are opened, in order: there is one at least, which the parent drew."""
        return sorted(opened_leaves(self.openings))

    def why_wrong(self, digests: Mapping[int, bytes] | None = None) -> str | None:
        """One sentence, or None where the answer is right. `digests`: of the leaves, if known."""
        try:
            if digests is None:
                digests = opened_digests(self.task, self.leaves)
            compare(self.task, self.root, self.openings, digests)
        except Exception as error:  # noqa: BLE001 - no memory, for one: it is not shown right
            return _sentence(error)
        return None


@dataclass(frozen=True, slots=True)
class Ahead:
    """What is known of a check before the child has opened its leaves. `leaves`: all, in order."""

    task: Task
    computed: Computed
    proof: kernels_proof.Opening
    leaves: list[int]


def look_ahead(ahead: Foresee) -> Ahead:
    """Read the proof of a block's task. Raises InvalidProof."""
    task, computed = ahead.job.work, ahead.computed
    assert isinstance(task, Task)
    proof = kernels_proof.parse_proof(
        task, computed.root, computed.proof, least_openings=ahead.job.openings
    )
    return Ahead(task, computed, proof, sorted({*ahead.leaves, *proof.leaves}))


def parse(check: Check, ahead: Ahead | None = None) -> ToCheck | None:
    """Read what is to be checked by leaves: None for work that has a check of its own.

    `ahead`: what was read before of this very answer. Raises InvalidProof.
    """
    work, answer = check.job.work, check.answer
    if isinstance(answer, Opening):
        assert isinstance(work, Task)
        if ahead is None or ahead.computed is not answer.computed:
            ahead = look_ahead(Foresee(check.job, answer.computed, answer.leaves))
        root = answer.computed.root
        opened = kernels_proof.free_opening(work, root, answer.leaves, answer.siblings)
        return ToCheck(check, work, root, [opened, ahead.proof])
    if isinstance(work, SyntheticWork) and answer.outcome.proof is not None:
        outcome = answer.outcome
        opening = work.proof_opening(outcome)
        if opening.leaves:
            return ToCheck(check, work.task, outcome.result_hash, [opening])
    return None


def why_wrong(check: Check) -> str | None:
    """One sentence, or None where the answer is right: all of it computed here."""
    work, answer = check.job.work, check.answer
    try:
        if (found := parse(check)) is not None:
            return found.why_wrong()
        assert not isinstance(work, Task)
        assert not isinstance(answer, Opening)
        work.check(answer.outcome)
    except Exception as error:  # noqa: BLE001 - of a plug-in's check: what it says is not shown right
        return _sentence(error)
    return None


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, KernelError) else f"{type(error).__name__}: {error}"
