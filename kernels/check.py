"""Verify a task's result: by its proof, by leaves that the verifier draws, or by computing it again.

    check_proof(task, root, proof, least_openings=16)
    check_leaves(task, root, leaves, siblings)
    check_result(task, root, proof, leaves, siblings, least_openings=16)    # both, in one go
    check_full(task, root, device)

Each returns None or raises InvalidProof (malformed; nothing was computed) or WrongResult. All but the
last use the plain numpy operations only, unless they are given others: they share no kernel with the
device whose work they check, and never import Numba (the fast ones of `kernels.cpu` take a tenth of
the time).

What is computed are single leaves. Row i of the last R needs row i of every R before it, and all of
B; but in the last iteration only the 256 rows of B that stand for the opened columns. So distinct rows
are carried through together, and B is expanded window by window: for one iteration and 16 leaves of
n = 4096 that is at most 16 windows of 1 MiB, for the 16 rows one thousandth of the multiply-adds of
the whole. Memory stays bounded for every size: the opened rows (at most 64 MiB for 1,024 of them), and
one window.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from gettext import gettext as _

import numpy as np

from kernels.commit.tree import root_from_leaves
from kernels.device import Device
from kernels.digest import LEAF_TAG, started
from kernels.errors import WrongResult
from kernels.operations import REFERENCE, Operations, RowsOfB
from kernels.proof import Opening, free_opening, parse_proof
from kernels.task import LEAF_BYTES, Operand, Task, operands

BLOCK_ENTRIES = 1 << 19
"""Most entries of B that are expanded at once, or 32 rows of it."""
KEPT_ENTRIES = 1 << 26
"""Up to this size B is kept from one iteration to the next."""
ROWS_STEP = 32
"""Windows of B start at multiples of this, and are multiples of it, but for the last."""


def check_proof(
    task: Task,
    root: bytes,
    proof: str,
    *,
    least_openings: int,
    operations: Operations = REFERENCE,
) -> None:
    """Raise unless the proof opens at least so many leaves, and they give the root.

    With `least_openings=0` a proof without openings passes, and proves nothing.
    """
    opening = parse_proof(task, root, proof, least_openings=least_openings)
    _compare(task, root, [opening], operations)


def check_leaves(
    task: Task,
    root: bytes,
    leaves: Sequence[int],
    siblings: bytes,
    *,
    operations: Operations = REFERENCE,
) -> None:
    """Raise unless these leaves, one or more that the caller drew, give the root."""
    _compare(task, root, [free_opening(task, root, leaves, siblings)], operations)


def check_result(
    task: Task,
    root: bytes,
    proof: str,
    leaves: Sequence[int],
    siblings: bytes,
    *,
    least_openings: int,
    operations: Operations = REFERENCE,
) -> None:
    """Raise unless `check_leaves` and `check_proof` both pass; their leaves are computed together."""
    openings = parse_result(task, root, proof, leaves, siblings, least_openings=least_openings)
    _compare(task, root, openings, operations)


def parse_result(
    task: Task,
    root: bytes,
    proof: str,
    leaves: Sequence[int],
    siblings: bytes,
    *,
    least_openings: int,
) -> list[Opening]:
    """What `check_result` opens: of leaves that the verifier drew, and of the proof.

    For whoever has the leaves' digests (`opened_digests`) computed elsewhere, and compares here
    (`compare`). Raises InvalidProof.
    """
    opened = free_opening(task, root, leaves, siblings)
    return [opened, parse_proof(task, root, proof, least_openings=least_openings)]


def check_full(task: Task, root: bytes, device: Device) -> None:
    """Raise WrongResult unless the device computes this root."""
    if device.compute(task).root != root:
        raise WrongResult(
            _("the task's result, computed again on {name}, has another root").format(
                name=device.name
            )
        )


def _compare(task: Task, root: bytes, openings: Iterable[Opening], operations: Operations) -> None:
    """Raise WrongResult unless each of these well-formed openings leads to the root."""
    openings = list(openings)
    if opened := opened_leaves(openings):
        compare(task, root, openings, opened_digests(task, opened, operations))


def opened_leaves(openings: Iterable[Opening]) -> set[int]:
    """Positions of all leaves that these open."""
    return {leaf for opening in openings for leaf in opening.leaves}


def compare(
    task: Task, root: bytes, openings: Iterable[Opening], digests: Mapping[int, bytes]
) -> None:
    """Raise WrongResult unless these digests of the opened leaves lead to the root, each time."""
    for leaves, siblings in openings:
        its_digests = {leaf: digests[leaf] for leaf in leaves}
        if leaves and root_from_leaves(task.leaf_count, its_digests, siblings) != root:
            raise WrongResult(_("the opened leaves, computed from the seed, do not give the root"))


def opened_digests(
    task: Task, leaves: Iterable[int], operations: Operations = REFERENCE
) -> dict[int, bytes]:
    """Return the digest of each of these leaves, by position."""
    a, b = operands(task.seed)
    places = task.leaf_places(leaves)
    rows = sorted({row for row, _first, _last in places.values()})
    R = operations.empty_rows(len(rows), task.n)
    operations.expand_rows(a, np.array(rows, np.int64), R[: len(rows), : task.n])
    windows = _Windows(task, b, operations)
    for _iteration in range(task.iterations - 1):
        out = operations.empty_rows(len(rows), task.n)
        for start, B in windows.all_rows():
            operations.multiply_fold(R, B, out[:, start : start + len(B)])
        R = out

    index = {row: i for i, row in enumerate(rows)}
    by_columns: defaultdict[tuple[int, int], dict[int, int]] = defaultdict(dict)
    for leaf, (row, first, last) in places.items():
        by_columns[first, last][leaf] = index[row]
    digests: dict[int, bytes] = {}
    for (first, last), here in by_columns.items():
        chosen = operations.empty_rows(len(here), task.n)
        chosen[: len(here)] = R[list(here.values())]
        entries = operations.empty_rows(len(here), LEAF_BYTES)
        for start, B in windows.rows(first, last):
            operations.multiply_fold(chosen, B, entries[:, start - first : start - first + len(B)])
        for leaf, its_entries in zip(here, entries, strict=False):
            digest = started(LEAF_TAG).copy()
            digest.update(its_entries[: last - first].tobytes())
            digests[leaf] = digest.digest()
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
