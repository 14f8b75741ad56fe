"""The operations behind a host device: one implementation of all of them, and the form of its operands.

`Reference` is the plain one, in numpy; `kernels.cpu.operations` the fast one. A host device and a
verifier take either. Matrices lie row by row, but an implementation may pad them, and B it may keep
in any form:

    B = operations.empty_b(p, n)                 # room for p rows of B
    operations.expand_b(b, first, B)             # ... from the seed, or load_b(rows, B) from a matrix
    R = operations.empty_rows(m, n)              # at least m x n
    operations.expand_rows(a, rows, R[:m, :n])
    out = operations.empty_rows(m, p)
    operations.multiply_fold(R, B, out)          # out[:m, :p] is right; what is beyond is anything
    operations.hash_leaves(out[:m, :p], digests)
"""

from abc import ABC, abstractmethod
from typing import Protocol, Self

from kernels.commit import Digests
from kernels.commit import reference as commit
from kernels.expand import Matrix, Operand, Rows
from kernels.expand import reference as expand
from kernels.network import NetworkOperations
from kernels.network import reference as network
from kernels.network.graph import reference as graph
from kernels.network.graph.graph import Graph
from kernels.network.graph.kernels import GraphKernels
from kernels.network.graph.prepared import Prepared
from kernels.product import Sums
from kernels.product import reference as product
from kernels.team import Team


class RowsOfB(Protocol):
    """Rows of B in an implementation's own form. Slices start at multiples of `strip_rows`."""

    def __len__(self) -> int:
        """How many rows."""

    def __getitem__(self, rows: slice, /) -> Self:
        """Some of them, without a copy."""


class Operations(ABC):
    """Each may run in several threads at once."""

    name: str
    tier: str | None = None
    """How it multiplies, where it knows several ways."""
    most_strip_rows = 64
    """Most rows of R that are worth being multiplied together."""

    @property
    @abstractmethod
    def network(self) -> NetworkOperations:
        """What stands around the products of a network's layers."""

    @property
    @abstractmethod
    def graph(self) -> GraphKernels:
        """What a network as a graph takes besides products."""

    def prepare_graph(self, graph: Graph, team: Team) -> Prepared | None:  # noqa: ARG002
        """Return what computes this graph as a whole, by this team, or None."""
        return None

    @abstractmethod
    def expand_rows(self, operand: Operand, rows: Rows, out: Matrix) -> None:
        """Fill `out`, m x n, with the m rows of the operand that `rows` names, 0 <= row < 2^16."""

    @abstractmethod
    def multiply_fold(self, R: Matrix, B: RowsOfB, out: Matrix) -> None:
        """Fill `out`, m x p, with the folded product; R and out come from `empty_rows`."""

    @abstractmethod
    def multiply(self, A: Matrix, B: RowsOfB, out: Sums) -> None:
        """Fill `out`, m x p, with A B^T; A, m x k, and out are contiguous, and not padded."""

    @abstractmethod
    def hash_leaves(self, R: Matrix, out: Digests) -> None:
        """Fill `out` with the digests of the leaves of whole rows R, m x n, in the leaves' order."""

    @abstractmethod
    def hash_level(self, nodes: Digests, out: Digests) -> None:
        """Fill `out`, ceil(m / 2) digests, with the parents of m nodes; an odd last one moves up."""

    @abstractmethod
    def scratch_bytes(self, n: int) -> int:
        """Memory that a thread takes on top of the arguments, for rows of n."""

    @abstractmethod
    def empty_rows(self, m: int, n: int) -> Matrix:
        """Return room for m rows of n, and the rows and columns beyond that it writes over."""

    @abstractmethod
    def empty_b(self, p: int, n: int) -> RowsOfB:
        """Return room for p rows of B, of n entries."""

    @abstractmethod
    def expand_b(self, operand: Operand, first: int, B: RowsOfB) -> None:
        """Fill B with the operand's rows from `first` on."""

    @abstractmethod
    def load_b(self, rows: Matrix, B: RowsOfB) -> None:
        """Fill B with the rows of a matrix."""


class Reference(Operations):
    """Everything in numpy and hashlib, to be read beside the specification; B is a plain matrix."""

    name = "reference"
    network = network.OPERATIONS
    graph = graph.KERNELS
    empty_rows = staticmethod(product.empty_rows)
    expand_rows = staticmethod(expand.expand_rows)
    hash_leaves = staticmethod(commit.hash_leaves)
    hash_level = staticmethod(commit.hash_level)
    scratch_bytes = staticmethod(product.scratch_bytes)

    # Each B is what `empty_b` made, and so an array.
    empty_b = staticmethod(product.empty_rows)  # type: ignore[assignment]
    load_b = staticmethod(product.load_b)  # type: ignore[assignment]
    expand_b = staticmethod(expand.expand_b)  # type: ignore[assignment]
    multiply_fold = staticmethod(product.multiply_fold)  # type: ignore[assignment]
    multiply = staticmethod(product.multiply)  # type: ignore[assignment]


REFERENCE = Reference()
