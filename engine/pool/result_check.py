"""What the parent itself looks at before it believes a child: plain numpy, none of the child's code.

A block's task: the proof's openings, and a few leaves that the parent drew after the child had
committed to its root. Any other work says itself how its outcome is checked.
"""

import random

from engine.pool.actions import Check, Opening
from engine.pool.messages import Computed
from kernels.check import check_result
from kernels.errors import KernelError
from kernels.task import Task

SPOT_LEAVES = 4
"""Leaves that the parent draws itself, on top of those that the proof opens."""


def draw_leaves(task: Task, computed: Computed) -> tuple[int, ...]:  # noqa: ARG001
    """Leaves that the parent opens itself: drawn from the system's randomness after the root."""
    count = min(SPOT_LEAVES, task.leaf_count)
    return tuple(random.SystemRandom().sample(range(task.leaf_count), count))


def why_wrong(check: Check) -> str | None:
    """One sentence, or None where the answer is right."""
    work, answer = check.job.work, check.answer
    try:
        if isinstance(answer, Opening):
            assert isinstance(work, Task)
            _check_opening(work, answer, check.job.openings)
        else:
            assert not isinstance(work, Task)
            work.check(answer.outcome)
    except KernelError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - of a plug-in's check: what it says is not shown right
        return f"{type(error).__name__}: {error}"
    return None


def _check_opening(task: Task, answer: Opening, openings: int) -> None:
    root, proof = answer.computed.root, answer.computed.proof
    check_result(task, root, proof, answer.leaves, answer.siblings, least_openings=openings)
