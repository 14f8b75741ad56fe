"""The exact product of two given int8 matrices: C = A B, int32, committed to as a matrix."""

from collections.abc import Sequence
from dataclasses import dataclass
from gettext import gettext as _
from gettext import ngettext

import numpy as np

from kernels.commit.rows import MatrixForm
from kernels.data import Data
from kernels.device import Device, Integers, Made, WholeJobs
from kernels.errors import InvalidTask
from kernels.freivalds import check_product
from kernels.product import MAX_SUM_LENGTH, Matrix, Sums
from kernels.seeded import SeededBytes
from kernels.work import Checked
from kernels.work.matrix import MatrixResult

MAX_SIDE = 65_536
TRANSPOSED_BLOCK = 128


@dataclass(frozen=True, slots=True)
class MatrixWork(MatrixResult):
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
                raise InvalidTask(
                    _("{what} = {side} is out of range: it must be 1 to {most}").format(
                        what=what, side=side, most=most
                    )
                )
        for what, data, rows, columns in (
            ("a", self.a, self.m, self.k),
            ("b", self.b, self.k, self.n),
        ):
            if data.size != rows * columns:
                raise InvalidTask(
                    ngettext(
                        "matrix {what} has {size} byte, and {rows} x {columns} int8 are {number}",
                        "matrix {what} has {size} bytes, and {rows} x {columns} int8 are {number}",
                        data.size,
                    ).format(
                        what=what, size=data.size, rows=rows, columns=columns, number=rows * columns
                    )
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

    def matrix(self, device: Device) -> Sums:
        """C, by the device's product."""
        A, B = self._operands()
        return device.multiply(A, _transposed(B))

    def whole(self, jobs: WholeJobs) -> Made | None:
        """C and its tree; B is turned on the device."""
        return jobs.multiply(*self._operands())

    def check_matrix(self, matrix: Integers, seed: bytes) -> Checked:
        """Freivalds' check: a wrong C passes with probability 2^-66 at most."""
        A, B = self._operands()
        check_product(A, B, matrix, SeededBytes(seed))
        return Checked("product")

    def leaf_entries(self, leaves: Sequence[int]) -> dict[int, Integers]:
        """Each leaf is 1,024 sums of k products: through float64, which holds them exactly."""
        A, B = self._operands()
        entries: dict[int, Integers] = {}
        for leaf in leaves:
            row, first, last = self.form.leaf_place(leaf)
            entries[leaf] = (
                A[row].astype(np.float64) @ B[:, first:last].astype(np.float64)
            ).astype(np.int64)
        return entries

    def _operands(self) -> tuple[Matrix, Matrix]:
        A = np.frombuffer(self.a.read(), np.int8).reshape(self.m, self.k)
        B = np.frombuffer(self.b.read(), np.int8).reshape(self.k, self.n)
        return A, B


def _transposed(B: Matrix) -> Matrix:
    """B's transpose, contiguous: block by block, so that both sides stay in the cache."""
    out = np.empty(B.shape[::-1], np.int8)
    for i in range(0, len(B), TRANSPOSED_BLOCK):
        for j in range(0, B.shape[1], TRANSPOSED_BLOCK):
            rows, columns = slice(i, i + TRANSPOSED_BLOCK), slice(j, j + TRANSPOSED_BLOCK)
            out[columns, rows] = B[rows, columns].T
    return out
