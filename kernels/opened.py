"""Digests of single leaves, from the seed, with the plain numpy operations.

Row i of the last R needs row i of every R before it, and all of B; but in the last iteration only
the rows of B that stand for the opened columns. So distinct rows are carried through together, B
is expanded again and again in blocks, and memory stays bounded for every size: the opened rows
(at most 64 MiB for 1,024 of them), and one block.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from kernels.digest import LEAF_TAG, tagged_hash
from kernels.expand import Matrix, Operand, Rows, operands
from kernels.expand.reference import expand_rows
from kernels.product.reference import multiply_fold
from kernels.task import Task

BLOCK_ENTRIES = 1 << 19
"""Most entries of B that are expanded at once."""
KEPT_ENTRIES = 1 << 26
"""Up to this size B is kept from one iteration to the next."""


def opened_digests(task: Task, leaves: Sequence[int]) -> dict[int, bytes]:
    """Digest of each of these leaves, by position."""
    a, b = operands(task.seed)
    rows = sorted({task.leaf_place(leaf)[0] for leaf in leaves})
    R = _expand(a, np.array(rows, np.int64), task.n)
    R = _carry_to_last_iteration(task, b, R)

    by_columns: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for leaf in leaves:
        _, first, last = task.leaf_place(leaf)
        by_columns[first, last].append(leaf)
    index = {row: i for i, row in enumerate(rows)}
    digests: dict[int, bytes] = {}
    for (first, last), here in by_columns.items():
        chosen = R[[index[task.leaf_place(leaf)[0]] for leaf in here]]
        entries = np.empty((len(here), last - first), np.int8)
        for start, B in _blocks_of_b(b, task.n, first, last):
            multiply_fold(chosen, B, entries[:, start - first : start - first + len(B)])
        for leaf, its_entries in zip(here, entries, strict=True):
            digests[leaf] = tagged_hash(LEAF_TAG, its_entries.tobytes())
    return digests


def _carry_to_last_iteration(task: Task, b: Operand, R: Matrix) -> Matrix:
    """Rows of R_(t-1) from rows of A, t being the task's iterations."""
    kept: list[tuple[int, Matrix]] | None = None
    if task.iterations > 2 and task.n**2 <= KEPT_ENTRIES:
        kept = list(_blocks_of_b(b, task.n, 0, task.n))
    for _ in range(task.iterations - 1):
        out = np.empty_like(R)
        for start, B in _blocks_of_b(b, task.n, 0, task.n) if kept is None else kept:
            multiply_fold(R, B, out[:, start : start + len(B)])
        R = out
    return R


def _blocks_of_b(b: Operand, n: int, first: int, last: int) -> Iterator[tuple[int, Matrix]]:
    """Rows first ... last - 1 of B in blocks, each with the number of its first row."""
    step = max(1, BLOCK_ENTRIES // n)
    for start in range(first, last, step):
        yield start, _expand(b, np.arange(start, min(start + step, last)), n)


def _expand(operand: Operand, rows: Rows, n: int) -> Matrix:
    out = np.empty((len(rows), n), np.int8)
    expand_rows(operand, rows, out)
    return out
