"""What the parent looks at before it believes a child.

Of a block's task the openings of the proof, and a few leaves that the parent draws after the child has
committed to its root; any other work says itself how its outcome is checked.
"""

import random
from collections.abc import Mapping

from engine.pool.actions import Check, Opening
from engine.pool.messages import Computed
from kernels import proof as kernels_proof
from kernels.check import compare, opened_digests, opened_leaves, parse_result
from kernels.errors import KernelError
from kernels.task import Task

SPOT_LEAVES = 4
"""Leaves that the parent draws itself, on top of those that the proof opens."""


def draw_leaves(task: Task, computed: Computed) -> tuple[int, ...]:  # noqa: ARG001
    """Leaves that the parent opens itself: drawn from the system's randomness after the root."""
    count = min(SPOT_LEAVES, task.leaf_count)
    return tuple(random.SystemRandom().sample(range(task.leaf_count), count))


def why_wrong(check: Check, digests: Mapping[int, bytes] | None = None) -> str | None:
    """One sentence, or None where the answer is right. `digests`: of the opened leaves, if known."""
    work, answer = check.job.work, check.answer
    try:
        if isinstance(answer, Opening):
            assert isinstance(work, Task)
            openings = _openings(check, work, answer)
            if digests is None:
                digests = opened_digests(work, opened_leaves(openings))
            compare(work, answer.computed.root, openings, digests)
        else:
            assert not isinstance(work, Task)
            work.check(answer.outcome)
    except KernelError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - of a plug-in's check: what it says is not shown right
        return f"{type(error).__name__}: {error}"
    return None


def leaves_of(check: Check) -> list[int]:
    """The leaves that a block's task's answer opens, in order; none where it is malformed."""
    work, answer = check.job.work, check.answer
    if not isinstance(work, Task) or not isinstance(answer, Opening):
        return []
    try:
        return sorted(opened_leaves(_openings(check, work, answer)))
    except KernelError:
        return []  # which `why_wrong` says


def _openings(check: Check, task: Task, answer: Opening) -> list[kernels_proof.Opening]:
    root, proof, least = answer.computed.root, answer.computed.proof, check.job.openings
    return parse_result(task, root, proof, answer.leaves, answer.siblings, least_openings=least)
