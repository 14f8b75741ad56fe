"""Expand: rows of A or B from the seed (section 2 of the specification).

`reference.py` has it in numpy, `kernels.cpu.philox` in vectors.
"""

from typing import NamedTuple

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
