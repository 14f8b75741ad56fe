"""The exact product of two given int8 matrices: C = A B, int32, committed to as a matrix."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kernels.commit.rows import MatrixForm, MatrixTree, check_matrix
from kernels.data import Data
from kernels.device import Device
from kernels.errors import InvalidProof, InvalidTask
from kernels.freivalds import check_product
from kernels.memory import require_bytes
from kernels.product import MAX_SUM_LENGTH, Matrix
from kernels.work import Outcome
from kernels.work.committed import CommittedWork, check_digest

MAX_SIDE = 65_536


@dataclass(frozen=True, slots=True)
class MatrixWork(CommittedWork):
    """C = A B from `a`, m x k, and `b`, k x n, row by row. Raises InvalidTask where they do not fit."""

    m: int
    k: int
    n: int
    a: Data
    b: Data
    returns_data: bool = False

    def __post_init__(self) -> None:
        for what, side, most in (
            ("m", self.m, MAX_SIDE),
            ("k", self.k, MAX_SUM_LENGTH),
            ("n", self.n, MAX_SIDE),
        ):
            if not 1 <= side <= most:
                raise InvalidTask(f"{what} = {side} is out of range: it must be 1 to {most}")
        for what, data, rows, columns in (
            ("a", self.a, self.m, self.k),
            ("b", self.b, self.k, self.n),
        ):
            if data.size != rows * columns:
                raise InvalidTask(
                    f"matrix {what} has {data.size} bytes, and {rows} x {columns} int8 are"
                    f" {rows * columns}"
                )

    @property
    def form(self) -> MatrixForm:
        """C's."""
        return MatrixForm(self.m, self.n, entry_bytes=4)

    @property
    def cost(self) -> int:
        """Multiply-adds."""
        return self.m * self.k * self.n

    @property
    def bytes_needed(self) -> int:
        """A, B and its transpose, C as sums and as bytes, the tree."""
        return (
            self.m * self.k + 2 * self.k * self.n + 2 * self.form.data_bytes + self.form.tree_bytes
        )

    @property
    def leaf_count(self) -> int:
        """Leaves of C's tree."""
        return self.form.leaf_count

    def compute(self, device: Device) -> tuple[Outcome, MatrixTree]:
        """C and its tree. Raises TaskTooLarge before it allocates anything."""
        require_bytes(f"a product of {self.m} x {self.k} x {self.n}", self.bytes_needed)
        A, B = self._operands()
        C = device.multiply(A, np.ascontiguousarray(B.T))
        rows = self.form.as_rows(C)
        tree = MatrixTree(self.form, device.commit(rows))
        return Outcome(tree.result_hash, data=rows.tobytes()), tree

    def check(self, outcome: Outcome) -> None:
        """Check the matrix, where it came along, against its hash, and by Freivalds.

        Without it nothing is known but the hash's length: draw leaves, then, and have them opened.
        """
        check_digest(outcome.result_hash)
        if outcome.proof is not None:
            raise InvalidProof("a product has no proof")
        if outcome.data is None:
            return
        check_matrix(self.form, outcome.result_hash, outcome.data)
        A, B = self._operands()
        check_product(A, B, self.form.entries(outcome.data))

    def check_leaves(self, result_hash: bytes, leaves: Sequence[int], siblings: bytes) -> None:
        """Raise unless these leaves, each 64 sums of k products, give the result."""
        check_digest(result_hash)
        self.form.check_openings(leaves, siblings)
        A, B = self._operands()
        entries = {}
        for leaf in leaves:
            row, first, last = self.form.leaf_place(leaf)
            # Exact: sums below 2^31 in 64 bits.
            entries[leaf] = A[row].astype(np.int64) @ B[:, first:last].astype(np.int64)
        self.form.check_entries(result_hash, entries, siblings)

    def _operands(self) -> tuple[Matrix, Matrix]:
        A = np.frombuffer(self.a.read(), np.int8).reshape(self.m, self.k)
        B = np.frombuffer(self.b.read(), np.int8).reshape(self.k, self.n)
        return A, B
