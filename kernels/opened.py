"""Digests of single leaves, from the seed: what a verifier computes instead of the whole result.

Row i of the last R needs row i of every R before it, and all of B; but in the last iteration only the
256 rows of B that stand for the opened columns. So distinct rows are carried through together, and B
is expanded window by window: for one iteration and 16 leaves of n = 4096 that is at most 16 windows of
1 MiB, for the 16 rows one thousandth of the multiply-adds of the whole. Memory stays bounded for every
size: the opened rows (at most 64 MiB for 1,024 of them), and one window.

With `REFERENCE`, the default, this shares no kernel with a device whose work is checked, and needs no
Numba; with the operations of `kernels.cpu` it is some ten times as fast.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

from kernels.digest import LEAF_TAG, tagged_hash
from kernels.expand import Operand, operands
from kernels.operations import REFERENCE, Operations, RowsOfB
from kernels.task import LEAF_BYTES, Task

BLOCK_ENTRIES = 1 << 19
"""Most entries of B that are expanded at once, or 32 rows of it."""
KEPT_ENTRIES = 1 << 26
"""Up to this size B is kept from one iteration to the next."""
ROWS_STEP = 32
"""Windows of B start at multiples of this, and are multiples of it, but for the last."""


def opened_digests(
    task: Task, leaves: Sequence[int], operations: Operations = REFERENCE
) -> dict[int, bytes]:
    """Digest of each of these leaves, by position."""
    a, b = operands(task.seed)
    rows = sorted({task.leaf_place(leaf)[0] for leaf in leaves})
    R = operations.empty_rows(len(rows), task.n)
    operations.expand_rows(a, np.array(rows, np.int64), R[: len(rows), : task.n])
    windows = _Windows(task, b, operations)
    for _ in range(task.iterations - 1):
        out = operations.empty_rows(len(rows), task.n)
        for start, B in windows.all_rows():
            operations.multiply_fold(R, B, out[:, start : start + len(B)])
        R = out

    by_columns: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
    for leaf in leaves:
        _, first, last = task.leaf_place(leaf)
        by_columns[first, last].append(leaf)
    index = {row: i for i, row in enumerate(rows)}
    digests: dict[int, bytes] = {}
    for (first, last), here in by_columns.items():
        chosen = operations.empty_rows(len(here), task.n)
        chosen[: len(here)] = R[[index[task.leaf_place(leaf)[0]] for leaf in here]]
        entries = operations.empty_rows(len(here), LEAF_BYTES)
        for start, B in windows.rows(first, last):
            operations.multiply_fold(chosen, B, entries[:, start - first : start - first + len(B)])
        for leaf, its_entries in zip(here, entries, strict=False):
            digests[leaf] = tagged_hash(LEAF_TAG, its_entries[: last - first].tobytes())
    return digests


class _Windows:
    """B, some rows at a time; kept where it is used again and again, and small enough."""

    def __init__(self, task: Task, b: Operand, operations: Operations) -> None:
        self._n, self._b, self._operations = task.n, b, operations
        self._keep = task.iterations > 1 and task.n**2 <= KEPT_ENTRIES
        self._kept: RowsOfB | None = None

    def all_rows(self) -> Iterator[tuple[int, RowsOfB]]:
        """All of B: each window's first row, and the window."""
        if not self._keep:
            yield from self.rows(0, self._n)
            return
        if self._kept is None:
            self._kept = self._operations.empty_b(self._n, self._n)
            self._operations.expand_b(self._b, 0, self._kept)
        yield 0, self._kept

    def rows(self, first: int, last: int) -> Iterator[tuple[int, RowsOfB]]:
        """Rows first ... last - 1 of B."""
        if self._kept is not None:
            yield first, self._kept[first:last]
            return
        step = max(ROWS_STEP, BLOCK_ENTRIES // self._n // ROWS_STEP * ROWS_STEP)
        step = min(step, last - first)
        room = self._operations.empty_b(step, self._n)
        for start in range(first, last, step):
            window = room[: min(step, last - start)]
            self._operations.expand_b(self._b, start, window)
            yield start, window
