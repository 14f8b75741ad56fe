"""A task: the seed that gives both operands, their size, and how often the product is taken.

    >>> task = Task(bytes(range(32)), n=257)
    >>> task.leaves_per_row, task.leaf_count
    (2, 514)
    >>> task.leaf_place(513)
    (256, 256, 257)

Leaves are numbered row by row, and within a row from left to right.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from gettext import gettext as _
from typing import NamedTuple

from kernels.errors import InvalidTask

SEED_BYTES = 32
LEAF_BYTES = 256
MAX_SIZE = 65_536
"""The largest n for which no sum of n products of int8 overflows int32."""
MAX_ITERATIONS = 65_536
MAX_OPENINGS = 1024


class Operand(NamedTuple):
    """An operand's random stream: Philox's 64-bit key and the upper half of its 128-bit counter."""

    key0: int
    key1: int
    counter2: int
    counter3: int

    @classmethod
    def from_half_seed(cls, half: bytes) -> "Operand":
        """Read 16 bytes of seed as four little-endian words."""
        return cls(*struct.unpack("<4I", half))


def operands(seed: bytes) -> tuple[Operand, Operand]:
    """Return A and B of a 32-byte seed."""
    return Operand.from_half_seed(seed[:16]), Operand.from_half_seed(seed[16:])


@dataclass(frozen=True, slots=True)
class Task:
    """A valid task: n x n operands from 32 bytes of seed. Raises InvalidTask for any other values."""

    seed: bytes
    n: int
    iterations: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.seed, bytes) or len(self.seed) != SEED_BYTES:
            raise InvalidTask(_("a seed is {SEED_BYTES} bytes").format(SEED_BYTES=SEED_BYTES))
        if self.seed[:16] == self.seed[16:]:
            raise InvalidTask(
                _("the halves of the seed are equal, which would make A and B the same")
            )
        if not _is_in_range(self.n, MAX_SIZE):
            raise _out_of_range(_("matrix size"), self.n, MAX_SIZE)
        if not _is_in_range(self.iterations, MAX_ITERATIONS):
            raise _out_of_range("iterations", self.iterations, MAX_ITERATIONS)

    def __reduce__(self) -> tuple[type["Task"], tuple[bytes, int, int]]:
        # Pickled for every job, and five times as fast as a dataclass does it.
        return Task, (self.seed, self.n, self.iterations)

    @property
    def leaves_per_row(self) -> int:
        """Leaves that one row of the result is cut into; the last one may be short."""
        return -(-self.n // LEAF_BYTES)

    @property
    def leaf_count(self) -> int:
        """L, the number of leaves below the root."""
        return self.n * self.leaves_per_row

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds that the whole task takes."""
        return self.n**3 * self.iterations

    def leaf_place(self, leaf: int) -> tuple[int, int, int]:
        """Return a leaf's row, first column and the column past its last, 0 <= leaf < leaf_count."""
        return self.leaf_places([leaf])[leaf]

    def leaf_places(self, leaves: Iterable[int]) -> dict[int, tuple[int, int, int]]:
        """Return the place of each of these leaves, by leaf (see `leaf_place`)."""
        per_row, n = self.leaves_per_row, self.n
        return {
            leaf: (
                leaf // per_row,
                leaf % per_row * LEAF_BYTES,
                min((leaf % per_row + 1) * LEAF_BYTES, n),
            )
            for leaf in leaves
        }


def _is_in_range(value: int, most: int) -> bool:
    return type(value) is int and 1 <= value <= most


def _out_of_range(what: str, value: int, most: int) -> InvalidTask:
    return InvalidTask(
        _("{what} {value!r} is out of range: it must be 1 to {most}").format(
            what=what, value=value, most=most
        )
    )
