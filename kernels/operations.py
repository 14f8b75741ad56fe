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

import numpy as np

from kernels.commit import Digests
from kernels.commit import reference as commit
from kernels.expand import Matrix, Operand, Rows
from kernels.expand import reference as expand
from kernels.network import NetworkOperations
from kernels.network import reference as network
from kernels.product import Sums
from kernels.product import reference as product


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

    def empty_rows(self, m: int, n: int) -> Matrix:
        """Room for m rows of n; as many rows and columns more as this implementation writes over."""
        return np.empty((m, n), np.int8)

    def empty_b(self, p: int, n: int) -> RowsOfB:
        """Room for p rows of B, of n entries."""
        return np.empty((p, n), np.int8)

    def expand_b(self, operand: Operand, first: int, B: RowsOfB) -> None:
        """Fill B with the operand's rows from `first` on."""
        assert isinstance(B, np.ndarray)
        self.expand_rows(operand, np.arange(first, first + len(B)), B)

    def load_b(self, rows: Matrix, B: RowsOfB) -> None:
        """Fill B with the rows of a matrix."""
        assert isinstance(B, np.ndarray)
        B[:] = rows


class Reference(Operations):
    """Everything in numpy and hashlib, to be read beside the specification."""

    name = "reference"

    @property
    def network(self) -> NetworkOperations:
        """By `network.reference`."""
        return network.OPERATIONS

    def expand_rows(self, operand: Operand, rows: Rows, out: Matrix) -> None:
        """By `expand.reference`."""
        expand.expand_rows(operand, rows, out)

    def multiply_fold(self, R: Matrix, B: RowsOfB, out: Matrix) -> None:
        """By `product.reference`."""
        assert isinstance(B, np.ndarray)
        product.multiply_fold(R, B, out)

    def multiply(self, A: Matrix, B: RowsOfB, out: Sums) -> None:
        """By `product.reference`."""
        assert isinstance(B, np.ndarray)
        product.multiply(A, B, out)

    def hash_leaves(self, R: Matrix, out: Digests) -> None:
        """By `commit.reference`."""
        commit.hash_leaves(R, out)

    def hash_level(self, nodes: Digests, out: Digests) -> None:
        """By `commit.reference`."""
        commit.hash_level(nodes, out)

    def scratch_bytes(self, n: int) -> int:
        """Blocks of both operands and of C as float64."""
        return 8 * 8 * max(product.BLOCK_ENTRIES, n)


REFERENCE = Reference()
