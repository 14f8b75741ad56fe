"""A device of the machine's own CPU: strips of rows, each from seed to leaves in one go.

R's row i depends on A's row i and on all of B, through every iteration. So B is expanded once, and
then each thread takes a strip of 64 rows, expands it out of A, multiplies it as often as the task
says, hashes its leaves and forgets it: neither A nor R is ever held whole, and threads wait for one
another only twice. The tree stays for openings.

Which operations run is a value, so that the reference, the portable Numba kernels and, later, those
for a CPU's own matrix instructions share all of this.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from kernels.commit import Digests, HashLeaves, HashLevel
from kernels.commit.tree import level_sizes
from kernels.device import Commitment, Device, multiply_with
from kernels.digest import DIGEST_BYTES
from kernels.expand import ExpandRows, operands
from kernels.memory import require_memory
from kernels.network import NetworkOperations
from kernels.product import Matrix, Multiply, MultiplyFold, Sums
from kernels.task import LEAF_BYTES, Task

STRIP_ROWS = 64
LEVEL_PARENTS = 4096
"""Parents that one call hashes: enough that the call itself costs nothing."""


@dataclass(frozen=True, slots=True)
class Operations:
    """The operations, in one implementation. Each is safe to run in several threads."""

    expand_rows: ExpandRows
    multiply_fold: MultiplyFold
    hash_leaves: HashLeaves
    hash_level: HashLevel
    multiply: Multiply
    network: NetworkOperations
    scratch_bytes: int = 0
    """Memory that they take on top of their arguments, a thread."""


class HostDevice(Device):
    """Computes with the given operations on the given number of threads."""

    def __init__(self, name: str, operations: Operations, threads: int) -> None:
        self.name = name
        self.threads = threads
        self._do = operations
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"kernels-{name}")

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
        return multiply_with(self._multiply, A, B, self.threads * self._do.scratch_bytes)

    def commit(self, rows: Matrix) -> list[Digests]:
        """The tree over a matrix's bytes, strip by strip of its rows, then level by level."""
        rows = np.require(rows, requirements=["C", "W"])
        per_row = -(-rows.shape[1] // LEAF_BYTES)
        levels = _empty_levels(len(rows) * per_row)

        def leaves(first: int) -> None:
            last = min(first + STRIP_ROWS, len(rows))
            self._do.hash_leaves(rows[first:last], levels[0][first * per_row : last * per_row])

        self._each(leaves, range(0, len(rows), STRIP_ROWS))
        for nodes, parents in pairwise(levels):
            self._hash_level(nodes, parents, _Stopwatch())
        return levels

    def network_operations(self) -> NetworkOperations:
        """What stands around the products of a network's layers."""
        return self._do.network

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def bytes_needed(self, task: Task) -> int:
        """Memory that the task takes here: B, the tree, and each thread's strip of R, twice."""
        tree = sum(level_sizes(task.leaf_count)) * DIGEST_BYTES
        strip = 2 * min(STRIP_ROWS, task.n) * task.n
        return task.n**2 + tree + self.threads * (strip + self._do.scratch_bytes)

    def _compute(self, task: Task, watch: "_Stopwatch") -> "HostCommitment":
        require_memory(task, self.bytes_needed(task))
        n = task.n
        a, b = operands(task.seed)
        B = np.empty((n, n), np.int8)
        levels = _empty_levels(task.leaf_count)

        def expand_strip_of_b(first: int) -> None:
            last = min(first + STRIP_ROWS, n)
            with watch("expand"):
                self._do.expand_rows(b, np.arange(first, last), B[first:last])

        def rows_to_leaves(first: int) -> None:
            last = min(first + STRIP_ROWS, n)
            R, out = np.empty((last - first, n), np.int8), np.empty((last - first, n), np.int8)
            with watch("expand"):
                self._do.expand_rows(a, np.arange(first, last), R)
            with watch("product"):
                for _ in range(task.iterations):
                    self._do.multiply_fold(R, B, out)
                    R, out = out, R
            with watch("commit"):
                part = slice(first * task.leaves_per_row, last * task.leaves_per_row)
                self._do.hash_leaves(R, levels[0][part])

        self._each(expand_strip_of_b, range(0, n, STRIP_ROWS))
        self._each(rows_to_leaves, range(0, n, STRIP_ROWS))
        for nodes, parents in pairwise(levels):
            self._hash_level(nodes, parents, watch)
        return HostCommitment(task, levels)

    def _multiply(self, A: Matrix, B: Matrix, out: Sums) -> None:
        def strip(first: int) -> None:
            part = slice(first, first + STRIP_ROWS)
            self._do.multiply(A[part], B, out[part])

        self._each(strip, range(0, len(A), STRIP_ROWS))

    def _hash_level(self, nodes: Digests, parents: Digests, watch: "_Stopwatch") -> None:
        def some(first: int) -> None:
            last = min(first + LEVEL_PARENTS, len(parents))
            with watch("commit"):
                self._do.hash_level(nodes[2 * first : 2 * last], parents[first:last])

        self._each(some, range(0, len(parents), LEVEL_PARENTS))

    def _each(self, work: Callable[[int], None], items: range) -> None:
        """Run `work` on every item, in the pool where there is more than one."""
        if len(items) == 1 or self.threads == 1:
            for item in items:
                work(item)
        else:
            for _ in self._pool.map(work, items):
                pass


class HostCommitment(Commitment):
    """A commitment whose tree lies in host memory, level by level, the leaves first."""

    def __init__(self, task: Task, levels: Sequence[Digests]) -> None:
        super().__init__(task, levels[-1].tobytes())
        self._levels = levels

    def digests(self, places: Sequence[tuple[int, int]]) -> bytes:
        """The 32-byte digests at these places of the tree (level, position), joined in order."""
        return b"".join(self._levels[level][position].tobytes() for level, position in places)


def _empty_levels(leaf_count: int) -> list[Digests]:
    return [np.empty((m, DIGEST_BYTES), np.uint8) for m in level_sizes(leaf_count)]


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
