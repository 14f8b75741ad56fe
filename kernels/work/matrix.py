"""Work whose result is a matrix of integers: computed, hashed, opened (see commit/rows.py)."""

import os
from abc import abstractmethod
from collections.abc import Sequence
from gettext import gettext as _
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.commit.rows import MatrixForm, MatrixTree, check_matrix
from kernels.device import Device, Integers, Made, ResultTree, WholeJobs
from kernels.digest import DIGEST_BYTES
from kernels.errors import InvalidProof
from kernels.memory import require_bytes
from kernels.work import Checked, Outcome
from kernels.work.committed import CommittedWork

SEED_BYTES = 32


class MatrixResult(CommittedWork):
    """Says the form of its matrix, and how the matrix or parts of it are computed."""

    __slots__ = ()

    @property
    @abstractmethod
    def form(self) -> MatrixForm:
        """The result's."""

    @abstractmethod
    def matrix(self, device: Device) -> Integers:
        """Compute the whole result."""

    def whole(self, jobs: WholeJobs) -> Made | None:  # noqa: ARG002
        """Have the device do all of it, tree and all; None where it does not."""
        return None

    @abstractmethod
    def check_matrix(self, matrix: Integers, seed: bytes) -> Checked:
        """Raise WrongResult where a cheap check, drawn from the seed, finds the matrix wrong."""

    @abstractmethod
    def leaf_entries(self, leaves: Sequence[int]) -> dict[int, Integers]:
        """Return the entries of these leaves, by leaf, computed in plain numpy."""

    @property
    def leaf_count(self) -> int:
        """Leaves of the result's tree."""
        return self.form.leaf_count

    @property
    def outcome_bytes(self) -> int:
        """Bytes: the matrix."""
        return self.form.data_bytes

    def compute(self, device: Device) -> tuple[Outcome, ResultTree]:
        """Compute the result and its tree. Raises TaskTooLarge before it allocates anything."""
        require_bytes(
            _("a result of {rows} x {columns}").format(
                rows=self.form.rows, columns=self.form.columns
            ),
            self.bytes_needed,
        )
        jobs = device.whole_jobs()
        made = None if jobs is None else self.whole(jobs)
        return self.committed(self.matrix(device)) if made is None else self._outcome(*made)

    def committed(self, matrix: Integers) -> tuple[Outcome, ResultTree]:
        """Return the outcome with this matrix, and its tree."""
        return self._outcome(matrix, MatrixTree(self.form, matrix))

    def _outcome(self, matrix: Integers, tree: ResultTree) -> tuple[Outcome, ResultTree]:
        data = bytes_of(self.form.as_rows(matrix))
        return Outcome(tree.result_hash, data=data), tree

    def check(self, outcome: Outcome) -> None:
        """Check it as a seed of this moment has it."""
        self.check_drawn(outcome, os.urandom(SEED_BYTES))

    def check_drawn(self, outcome: Outcome, seed: bytes) -> Checked:
        """Check the matrix, where it came along, against its hash, and then itself.

        Without it nothing is known but the hash's length: draw leaves, then, and have them opened.
        `seed`: 32 bytes, drawn after the commitment.
        """
        _check_digest(outcome.result_hash)
        if outcome.proof is not None:
            raise InvalidProof(_("a result of this kind has no proof"))
        if outcome.data is not None:
            check_matrix(self.form, outcome.result_hash, outcome.data)
            return self.check_matrix(self.form.entries(outcome.data), seed)
        return Checked("hash")

    def check_leaves(self, result_hash: bytes, leaves: Sequence[int], siblings: bytes) -> None:
        """Raise unless these leaves, computed again, give the result."""
        _check_digest(result_hash)
        self.form.check_openings(leaves, siblings)
        self.form.check_entries(result_hash, self.leaf_entries(leaves), siblings)


def bytes_of(array: npt.NDArray[Any]) -> bytes:
    """Return an array's bytes: those that all of it is a view of, or else a copy."""
    owner: Any = array
    while isinstance(owner, np.ndarray) and owner.base is not None:
        owner = owner.base
    if isinstance(owner, bytes) and len(owner) == array.nbytes and array.flags.c_contiguous:
        return owner
    return array.tobytes()


def _check_digest(result_hash: bytes) -> None:
    if len(result_hash) != DIGEST_BYTES:
        raise InvalidProof(
            _("a result hash is {DIGEST_BYTES} bytes").format(DIGEST_BYTES=DIGEST_BYTES)
        )
