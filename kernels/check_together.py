"""The digests of opened leaves of many small tasks at once, in plain numpy.

    for digests in digests_together([(task, leaves), ...]): ...    # as `check.opened_digests` gives

For a task of n = 64 numpy's own time is ten times that of the arithmetic: hundreds of calls over a few
thousand numbers. Here a call is for all tasks. Whole rows are computed, where `check.py` computes no
more of the last iteration than the leaves.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from kernels.digest import LEAF_TAG, started
from kernels.expand.reference import expand_together
from kernels.product.reference import fold
from kernels.task import Task, operands

MOST_N = 128
MOST_TOGETHER = 32
"""Tasks: B of all of them, as float64, has 4 MiB then."""


def may_go_together(task: Task) -> bool:
    """Return whether a task is so small that it is worth it."""
    return task.n <= MOST_N


def digests_together(opened: Sequence[tuple[Task, Iterable[int]]]) -> list[dict[int, bytes]]:
    """Return the digest of each of these leaves, by position, of each task.

    `opened`: tasks of one n and as many iterations, each with one leaf or more.
    """
    n, iterations = opened[0][0].n, opened[0][0].iterations
    places = [task.leaf_places(leaves) for task, leaves in opened]
    rows = [sorted({row for row, _first, _last in its.values()}) for its in places]
    most = max(map(len, rows))
    padded = np.array([its + its[-1:] * (most - len(its)) for its in rows], np.uint64)
    a, b = zip(*(operands(task.seed) for task, _leaves in opened), strict=True)
    R = expand_together(a, padded, n)
    B = expand_together(b, np.arange(n, dtype=np.uint64)[np.newaxis], n).astype(np.float64)
    for _iteration in range(iterations):  # exact in float64: see `kernels.product.reference`
        R = fold((R.astype(np.float64) @ B.transpose(0, 2, 1)).astype(np.int32))
    found = []
    for its_places, its_rows, entries in zip(places, rows, R, strict=True):
        index = {row: i for i, row in enumerate(its_rows)}
        digests = {}
        for leaf, (row, first, last) in its_places.items():
            digest = started(LEAF_TAG).copy()
            digest.update(entries[index[row], first:last].tobytes())
            digests[leaf] = digest.digest()
        found.append(digests)
    return found
