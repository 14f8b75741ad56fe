"""A commitment to any matrix of int8 or int32: a tree like that of `matrix_mult_v1` over its rows.

    entries  little-endian, row by row
    leaves   each row cut into 4,096 bytes, the row's last leaf shorter; then the tree as in section 4
    hash     T("cpc/matrix", entry size, 1 byte || le32(rows) || le32(columns) || root)

The root alone does not say the shape: another matrix with as many leaves may not pass for it. Leaves
are long because such a matrix lies on the host, where hashlib takes long messages at the CPU's full
speed and short ones at Python's.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from gettext import gettext as _
from gettext import ngettext

import numpy as np
import numpy.typing as npt

from kernels.commit import Matrix
from kernels.commit.digest_tree import DigestTree
from kernels.commit.tree import (
    check_leaf_positions,
    check_siblings_length,
    level_sizes,
    root_from_leaves,
)
from kernels.digest import DIGEST_BYTES, LEAF_TAG, started, tagged_hash
from kernels.errors import InvalidProof, WrongResult

MATRIX_TAG = "cpc/matrix"
MATRIX_LEAF_BYTES = 4096
_HEADER = struct.Struct("<BII")


@dataclass(frozen=True, slots=True)
class MatrixForm:
    """Shape and size of an entry, 1 (int8) or 4 (int32) bytes: what a tree over a matrix needs.

    >>> form = MatrixForm(rows=3, columns=1025, entry_bytes=4)
    >>> form.leaf_count, form.leaf_place(5)
    (6, (2, 1024, 1025))
    """

    rows: int
    columns: int
    entry_bytes: int

    @property
    def dtype(self) -> np.dtype[np.signedinteger]:
        """The entries' type, little-endian."""
        return np.dtype(f"<i{self.entry_bytes}")

    @property
    def data_bytes(self) -> int:
        """Size of the whole matrix."""
        return self.rows * self.columns * self.entry_bytes

    @property
    def leaves_per_row(self) -> int:
        """Leaves that a row is cut into."""
        return -(-self.columns * self.entry_bytes // MATRIX_LEAF_BYTES)

    @property
    def leaf_count(self) -> int:
        """Leaves of the tree."""
        return self.rows * self.leaves_per_row

    @property
    def tree_bytes(self) -> int:
        """Memory of all the tree's digests."""
        return DIGEST_BYTES * sum(level_sizes(self.leaf_count))

    def leaf_place(self, leaf: int) -> tuple[int, int, int]:
        """Row, first column and the column past the last of a leaf."""
        row, part = divmod(leaf, self.leaves_per_row)
        width = MATRIX_LEAF_BYTES // self.entry_bytes
        return row, part * width, min((part + 1) * width, self.columns)

    def as_rows(self, matrix: npt.NDArray[np.signedinteger]) -> Matrix:
        """The matrix's bytes as rows, to be hashed: rows x (columns * entry_bytes)."""
        entries = np.ascontiguousarray(matrix, self.dtype)
        return entries.view(np.int8).reshape(self.rows, self.columns * self.entry_bytes)

    def entries(self, data: bytes) -> npt.NDArray[np.signedinteger]:
        """The matrix that these bytes are, rows x columns."""
        return np.frombuffer(data, self.dtype).reshape(self.rows, self.columns)

    def result_hash(self, root: bytes) -> bytes:
        """The commitment to a matrix of this form with this root."""
        header = _HEADER.pack(self.entry_bytes, self.rows, self.columns)
        return tagged_hash(MATRIX_TAG, header + root)

    def check_openings(self, leaves: Sequence[int], siblings: bytes) -> None:
        """Raise InvalidProof unless these are leaves, one or more, with as many siblings as needed."""
        if not leaves:
            raise InvalidProof(_("no leaf is opened: that proves nothing"))
        check_leaf_positions(self.leaf_count, leaves)
        check_siblings_length(self.leaf_count, leaves, siblings)

    def check_entries(
        self,
        result_hash: bytes,
        entries: dict[int, npt.NDArray[np.signedinteger]],
        siblings: bytes,
    ) -> None:
        """Raise WrongResult unless the leaves with these entries, by position, give the result."""
        digests = {
            leaf: tagged_hash(LEAF_TAG, row.astype(self.dtype).tobytes())
            for leaf, row in entries.items()
        }
        root = root_from_leaves(self.leaf_count, digests, siblings)
        if self.result_hash(root) != result_hash:
            raise WrongResult(_("the opened leaves, computed again, do not give the result"))


class MatrixTree:
    """The tree over a matrix."""

    def __init__(self, form: MatrixForm, matrix: npt.NDArray[np.signedinteger]) -> None:
        self._form = form
        self._tree = DigestTree(_leaves(form.as_rows(matrix)))

    @property
    def result_hash(self) -> bytes:
        """The commitment."""
        return self._form.result_hash(self._tree.root)

    def siblings(self, leaves: Sequence[int]) -> bytes:
        """Siblings of any distinct leaves, in the proof's order. Raises InvalidProof."""
        return self._tree.siblings(leaves)


def check_matrix(form: MatrixForm, result_hash: bytes, data: bytes) -> None:
    """Raise WrongResult unless these bytes are a matrix of this form with this hash."""
    if len(data) != form.data_bytes:
        raise WrongResult(
            ngettext(
                "the result has {count} byte, and {data_bytes} are expected",
                "the result has {count} bytes, and {data_bytes} are expected",
                len(data),
            ).format(count=len(data), data_bytes=form.data_bytes)
        )
    if MatrixTree(form, form.entries(data)).result_hash != result_hash:
        raise WrongResult(_("the result is not what its hash says"))


def _leaves(rows: Matrix) -> bytes:
    """The digests of the leaves, joined."""
    tagged, width = started(LEAF_TAG), rows.shape[1]
    data = memoryview(rows).cast("B")
    digests = []
    for row in range(0, len(data), width):
        for first in range(row, row + width, MATRIX_LEAF_BYTES):
            leaf = tagged.copy()
            leaf.update(data[first : min(first + MATRIX_LEAF_BYTES, row + width)])
            digests.append(leaf.digest())
    return b"".join(digests)
