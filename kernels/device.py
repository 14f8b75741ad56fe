"""The interface of a device: a task goes in, a commitment comes out.

    with open_device("auto") as device:
        commitment = device.compute(task)

A new kind of device is a subclass of `Device`, and of `Commitment`, which reads digests from its tree,
wherever that lies.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt

from kernels.commit.tree import check_leaf_positions, sibling_places
from kernels.cpu.memory import aligned
from kernels.memory import require_bytes
from kernels.network import Activations, NetworkOperations
from kernels.network.graph.graph import Graph
from kernels.network.graph.kernels import GraphKernels
from kernels.network.graph.prepared import Prepared
from kernels.product import Matrix, Multiply, Sums, check_operands, reference
from kernels.proof import draw_openings, encode_proof
from kernels.task import Task

if TYPE_CHECKING:
    from kernels.network.model import Network


class Commitment(ABC):
    """The root of a computed task, and the tree below it for as long as this object lives."""

    def __init__(self, task: Task, root: bytes) -> None:
        self.task = task
        self.root = root

    def may_be_forgotten(self) -> None:
        """Say that its tree is kept only in case: the device may drop it where it needs the room."""
        return

    @property
    def is_kept(self) -> bool:
        """Whether the tree is there still."""
        return True

    def leaf_digests(self) -> bytes | None:
        """Return the digests of all leaves, joined; None where they do not lie in host memory."""
        return None

    @abstractmethod
    def digests(self, places: Sequence[tuple[int, int]]) -> bytes:
        """Return the 32-byte digests at these places (level, position) of the tree, joined in order."""

    def siblings(self, leaves: Sequence[int]) -> bytes:
        """Return the siblings of distinct leaves, joined in the proof's order.

        The order of `leaves` does not matter. Raises InvalidProof for leaves beyond the tree.
        """
        check_leaf_positions(self.task.leaf_count, leaves)
        return self.digests(sibling_places(self.task.leaf_count, leaves))

    def proof(self, k: int) -> str:
        """Return the proof with k openings, in hex. Raises InvalidProof where k is out of range."""
        leaves = draw_openings(self.root, self.task, k)
        return encode_proof(self.task, k, self.siblings(leaves))


def multiply_with(multiply: Multiply, A: Matrix, B: Matrix, scratch_bytes: int = 0) -> Sums:
    """Return a new A B^T, filled by `multiply`; checks operands and memory before it allocates."""
    m, n, _ = check_operands(A, B)
    require_bytes(f"a product of {m} x {n} sums", 4 * m * n + scratch_bytes)
    out = aligned((m, n), np.int32)
    # Writable ones, too: Numba compiles all over again for an array that must not be written to.
    multiply(np.require(A, requirements=["C", "W"]), np.require(B, requirements=["C", "W"]), out)
    return out


Integers = npt.NDArray[np.signedinteger]


class ResultTree(Protocol):
    """The tree above a matrix that was computed: its commitment, and siblings of any leaves."""

    @property
    def result_hash(self) -> bytes:
        """The commitment to the matrix, 32 bytes (`kernels.commit.rows`)."""

    def siblings(self, leaves: Sequence[int]) -> bytes:
        """Return the siblings of these leaves, in the proof's order. Raises InvalidProof."""


Made = tuple[Integers, ResultTree]


class WholeJobs(Protocol):
    """Jobs that a device does wholly itself. None in place of a result: not this one."""

    def infer(
        self, key: bytes, network: "Network | Graph", samples: Activations, *, layers: bool
    ) -> Made | None:
        """Return the outputs of all samples; `key` names the model. Raises DeviceFault."""

    def multiply(self, A: Matrix, B: Matrix) -> Made | None:
        """Return A B, m x n int32, of A, m x k, and B, k x n. Raises DeviceFault."""


class Device(ABC):
    """Something that computes tasks, one at a time. Close it, or use it as a context manager."""

    name: str
    runs_ahead: ClassVar[bool] = False
    """Whether a task that was begun is computed while the caller does something else."""

    def begin(self, task: Task) -> Callable[[], Commitment]:
        """Begin a task, and return what waits for its commitment, once. Raises as `compute`.

        Several may be begun, and are waited for in that order. Here nothing happens before that.
        """
        return partial(self.compute, task)

    @abstractmethod
    def compute(self, task: Task) -> Commitment:
        """Compute the whole task. Raises TaskTooLarge before it allocates anything."""

    @abstractmethod
    def profile(self, task: Task) -> dict[str, float]:
        """Compute the task once for its times: seconds of "expand", "product" and "commit"."""

    def multiply(self, A: Matrix, B: Matrix) -> Sums:
        """Return the exact A B^T, m x n int32, from A, m x k, and B, n x k, both int8, k <= 65,536.

        Raises InvalidTask for any other operands, TaskTooLarge before it allocates anything. This
        implementation is correct for every device and fast for none: numpy on the host.
        """
        return multiply_with(reference.multiply, A, B)

    def prepare(self, task: Task) -> None:
        """Make everything that a task of this size needs, so that the first one takes no longer.

        Raises TaskTooLarge.
        """
        self.compute(Task(task.seed, task.n, min(task.iterations, 2)))

    def network_operations(self) -> NetworkOperations:
        """Return what surrounds the products of a network's layers: the host's, unless overridden."""
        from kernels.network.cpu import compiled

        return compiled()[0]

    def graph_kernels(self) -> GraphKernels:
        """Return what a network as a graph takes besides products: the host's, unless overridden."""
        from kernels.network.cpu import compiled

        return compiled()[1]

    def prepare_graph(self, graph: Graph) -> Prepared | None:  # noqa: ARG002
        """Return what computes this graph as a whole, or None: then operator by operator."""
        return None

    def whole_jobs(self) -> WholeJobs | None:
        """Return what does jobs without the host; None: they are done by products, and on the host."""
        return None

    def close(self) -> None:
        """Release threads and memory. May be called twice."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
