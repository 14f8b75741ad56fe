"""Expand: rows of A or B from the seed (section 2 of the specification).

`reference.py` and `cpu.py` both have an `expand_rows` of the shape below.
"""

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.int8]
Rows = npt.NDArray[np.int64]


class Operand(NamedTuple):
    """What tells one operand's random stream from another's: Philox's key, half its counter."""

    key0: int
    key1: int
    counter2: int
    counter3: int

    @classmethod
    def from_half_seed(cls, half: bytes) -> "Operand":
        """16 bytes of seed, as four little-endian words."""
        key0, key1, counter2, counter3 = np.frombuffer(half, "<u4").tolist()
        return cls(key0, key1, counter2, counter3)


def operands(seed: bytes) -> tuple[Operand, Operand]:
    """A and B of a 32-byte seed."""
    return Operand.from_half_seed(seed[:16]), Operand.from_half_seed(seed[16:])


class ExpandRows(Protocol):
    """Fill `out`, m x n, with the m rows of the operand that `rows` names, 0 <= row < 2^16."""

    def __call__(self, operand: Operand, rows: Rows, out: Matrix, /) -> None:
        """Every entry of `out` is written."""
