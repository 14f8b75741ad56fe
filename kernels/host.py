"""A device of the machine's own CPU: strips of rows, each from seed to leaves in one go.

R's row i depends on A's row i and on all of B, through every iteration. So B is expanded once, and
then each thread takes a strip of rows, expands it out of A, multiplies it as often as the task
says, hashes its leaves and drops it: neither A nor R is ever held whole, and threads wait for one
another only twice. The tree stays for openings; B's memory and the strips stay for the next task.

Which operations run is a value (`kernels.operations`), so that the reference and the kernels for a
CPU's own matrix instructions share all of this.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from kernels.commit import Digests
from kernels.commit.tree import level_sizes
from kernels.device import Commitment, Device, multiply_with
from kernels.digest import DIGEST_BYTES
from kernels.expand import operands
from kernels.memory import require_memory
from kernels.network import NetworkOperations
from kernels.network.graph.graph import Graph
from kernels.network.graph.kernels import GraphKernels
from kernels.network.graph.prepared import Prepared
from kernels.operations import Operations, RowsOfB
from kernels.product import Matrix, Sums
from kernels.task import Task
from kernels.team import Phase, Team

LEAST_STRIP_ROWS = 32
STRIPS_A_THREAD = 2
MOST_OWN_B = 1 << 20
"""Entries of a customer's B up to which each thread loads it for itself: that takes some 0.06 ms, and
waiting for one another, with B in another core's cache, takes longer."""
LEVEL_PARENTS = 4096
"""Parents that one call hashes: enough that the call itself costs nothing."""


class HostDevice(Device):
    """Computes with the given operations on the given number of threads."""

    def __init__(self, operations: Operations, threads: int) -> None:
        self.name = operations.name
        self.threads = threads
        self.tier = operations.tier
        self.operations = operations
        self._team = Team(threads, f"kernels-{self.name}")
        self._b: tuple[tuple[int, int], RowsOfB] | None = None
        self._thread = _Kept()
        self._graphs: WeakKeyDictionary[Graph, Prepared | None] = WeakKeyDictionary()

    def compute(self, task: Task) -> "HostCommitment":
        """Compute the whole task. Raises TaskTooLarge before it allocates anything."""
        return self._compute(task, _Stopwatch())

    def profile(self, task: Task) -> dict[str, float]:
        """Seconds of each stage: the threads' time at it, divided by the number of threads."""
        watch = _Stopwatch()
        self._compute(task, watch)
        return {stage: spent / self.threads for stage, spent in watch.spent.items()}

    def multiply(self, A: Matrix, B: Matrix) -> Sums:
        """A B^T, int32, exact, from A, m x k, and B, n x k: strips of its rows, each in a thread."""
        k = A.shape[-1]
        copies = self.threads if B.size <= MOST_OWN_B else 1
        scratch = copies * B.size + self.threads * self.operations.scratch_bytes(k)
        return multiply_with(self.multiply_into, A, B, scratch)

    def multiply_into(self, A: Matrix, B: Matrix, out: Sums) -> None:
        """Fill `out`, m x n, with A B^T; all contiguous, and checked by the caller."""
        if B.size <= MOST_OWN_B:
            self._multiply_apart(A, B, out)
            return
        do = self.operations
        panels = self._room_for(*B.shape)

        def load(rows: slice) -> None:
            do.load_b(B[rows], panels[rows])

        def strip(rows: slice) -> None:
            do.multiply(A[rows], panels, out[rows])

        self._team.run((load, self._strips(len(B))), (strip, self._strips(len(A))))

    def _multiply_apart(self, A: Matrix, B: Matrix, out: Sums) -> None:
        """Fill `out` in one phase: each thread that takes part loads all of B for itself."""
        do, kept, run = self.operations, self._thread, object()

        def strip(rows: slice) -> None:
            if kept.run is not run:
                if kept.b_shape != B.shape:
                    kept.b, kept.b_shape = do.empty_b(*B.shape), B.shape
                do.load_b(B, kept.b)
                kept.run = run
            do.multiply(A[rows], kept.b, out[rows])

        self._team.run((strip, self._strips(len(A))))

    def network_operations(self) -> NetworkOperations:
        """What stands around the products of a network's layers."""
        return self.operations.network

    def graph_kernels(self) -> GraphKernels:
        """What a network as a graph takes besides products."""
        return self.operations.graph

    def prepare_graph(self, graph: Graph) -> Prepared | None:
        """Return what computes it as a whole; it is kept as long as the graph is."""
        if graph not in self._graphs:
            self._graphs[graph] = self.operations.prepare_graph(graph, self._team)
        return self._graphs[graph]

    def close(self) -> None:
        """End the threads and release their memory."""
        self._team.close()
        self._graphs.clear()
        self._b, self._thread = None, _Kept()

    def bytes_needed(self, task: Task) -> int:
        """Memory that the task takes here: B, the tree, and each thread's strip of R, twice."""
        strip = 2 * min(self.operations.most_strip_rows, task.n) * task.n
        thread = strip + self.operations.scratch_bytes(task.n)
        return task.n**2 + _tree_bytes(task) + self.threads * thread

    def _compute(self, task: Task, watch: "_Stopwatch") -> "HostCommitment":
        do, n = self.operations, task.n
        B = self._room_for_b(task)
        a, b = operands(task.seed)
        levels = _empty_levels(task.leaf_count)

        def expand_strip_of_b(rows: slice) -> None:
            with watch("expand"):
                do.expand_b(b, rows.start, B[rows])

        def rows_to_leaves(rows: slice) -> None:
            m = rows.stop - rows.start
            R, out = self._room_for_strip(m, n)
            with watch("expand"):
                do.expand_rows(a, np.arange(rows.start, rows.stop), R[:m, :n])
            with watch("product"):
                for _ in range(task.iterations):
                    do.multiply_fold(R, B, out)
                    R, out = out, R
            with watch("commit"):
                leaves = slice(rows.start * task.leaves_per_row, rows.stop * task.leaves_per_row)
                do.hash_leaves(R[:m, :n], levels[0][leaves])

        self._team.run(
            (expand_strip_of_b, self._strips(n)),
            (rows_to_leaves, self._strips(n)),
            *self._tree(levels, watch),
        )
        return HostCommitment(task, levels)

    def _room_for_b(self, task: Task) -> RowsOfB:
        """B's memory, once it is clear that there is enough for the task."""
        if self._b is not None and self._b[0] == (task.n, task.n):
            require_memory(task, _tree_bytes(task))  # B and the strips are held already
        else:
            self._b = None
            require_memory(task, self.bytes_needed(task))
        return self._room_for(task.n, task.n)

    def _room_for(self, p: int, n: int) -> RowsOfB:
        """Room for p rows of n of a right operand: that of the last one, where they are as many."""
        if self._b is None or self._b[0] != (p, n):
            self._b = None  # freed before the next is made
            self._b = (p, n), self.operations.empty_b(p, n)
        return self._b[1]

    def _room_for_strip(self, m: int, n: int) -> tuple[Matrix, Matrix]:
        """This thread's two strips of R; those of the last task, where they fit."""
        kept = self._thread.strips
        if (m, n) not in kept:
            for other in [shape for shape in kept if shape[1] != n]:
                del kept[other]
            kept[m, n] = self.operations.empty_rows(m, n), self.operations.empty_rows(m, n)
        return kept[m, n]

    def _strips(self, rows: int) -> list[slice]:
        """Rows cut into strips, at least two for each thread where there are enough."""
        most = self.operations.most_strip_rows
        fair = -(-rows // (STRIPS_A_THREAD * self.threads * LEAST_STRIP_ROWS)) * LEAST_STRIP_ROWS
        step = max(LEAST_STRIP_ROWS, min(most, fair))
        return [slice(first, min(first + step, rows)) for first in range(0, rows, step)]

    def _tree(self, levels: Sequence[Digests], watch: "_Stopwatch") -> Iterator[Phase]:
        """Large levels are a phase each; one thread does all the small ones at the top in one go."""
        pairs = list(pairwise(levels))

        def some(part: tuple[Digests, Digests]) -> None:
            with watch("commit"):
                self.operations.hash_level(*part)

        def rest(parts: Sequence[tuple[Digests, Digests]]) -> None:
            for part in parts:
                some(part)

        for number, (nodes, parents) in enumerate(pairs):
            if len(parents) <= LEVEL_PARENTS:
                yield rest, [pairs[number:]]
                return
            starts = range(0, len(parents), LEVEL_PARENTS)
            cuts = [slice(x, x + LEVEL_PARENTS) for x in starts]
            yield some, [(nodes[2 * cut.start : 2 * cut.stop], parents[cut]) for cut in cuts]


class HostCommitment(Commitment):
    """A commitment whose tree lies in host memory, level by level, the leaves first."""

    def __init__(self, task: Task, levels: Sequence[Digests]) -> None:
        super().__init__(task, levels[-1].tobytes())
        self._levels = levels

    def leaf_digests(self) -> bytes:
        """The digests of all leaves, joined."""
        return self._levels[0].tobytes()

    def digests(self, places: Sequence[tuple[int, int]]) -> bytes:
        """The 32-byte digests at these places of the tree (level, position), joined in order."""
        return b"".join(self._levels[level][position].tobytes() for level, position in places)


def _tree_bytes(task: Task) -> int:
    return sum(level_sizes(task.leaf_count)) * DIGEST_BYTES


def _empty_levels(leaf_count: int) -> list[Digests]:
    return [np.empty((m, DIGEST_BYTES), np.uint8) for m in level_sizes(leaf_count)]


class _Kept(threading.local):
    """What each thread keeps from one task to the next: strips of R by their shape, and its own B."""

    def __init__(self) -> None:
        self.strips: dict[tuple[int, int], tuple[Matrix, Matrix]] = {}
        self.b: Any = None
        self.b_shape: tuple[int, ...] = ()
        self.run: object = None


class _Stopwatch:
    """Seconds by name, added up over threads."""

    def __init__(self) -> None:
        self.spent: defaultdict[str, float] = defaultdict(float)
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        seconds = time.perf_counter() - started
        with self._lock:
            self.spent[stage] += seconds
