"""What a network on a card needs of the card: memory, launches, products. Values as they lie there.

`card.py` is the driver's; the tests have one of numpy arrays and the CUDA simulator, so that everything
above this interface runs without a card, too.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.cuda.network.kernel import NetworkKernel

SLACK = 16
"""Memory comes in multiples of so many bytes."""


class Block:
    """Memory on the card, `size` bytes or more; it goes back when nobody holds it any more."""

    size: int


@dataclass(frozen=True, slots=True)
class Array:
    """Entries in C order from a block's start, int8, int32 or int64: `shape` of them."""

    block: Block
    shape: tuple[int, ...]
    entry_bytes: int = 1

    @property
    def count(self) -> int:
        """How many."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def reshaped(self, *shape: int) -> "Array":
        """The same entries in another shape."""
        return Array(self.block, shape, self.entry_bytes)


@dataclass(frozen=True, slots=True)
class CardSums:
    """int32 sums, rows x columns; a row begins `pitch` entries after the one before."""

    block: Block
    rows: int
    columns: int
    pitch: int


class Right(ABC):
    """The second operand of products, n x k int8, in the form that the product reads."""

    n: int
    k: int


class CannotRecord(Exception):
    """What was to be recorded copies from or to the host."""


class Recording(ABC):
    """Launches that a machine does again, on the memory that they had. It holds that memory."""

    @abstractmethod
    def replay(self) -> None:
        """Put all of them on the stream."""


class Machine(ABC):
    """One card, or what stands for it. Everything is done in order; `wait` waits for all of it."""

    closed = False
    """Whether its memory is gone."""
    tables: Block | None = None
    """Constants of SHA-256, for the commitment."""
    tree_threads = 128
    """Threads of a block that hashes leaves, or two levels of a tree."""
    tree_lanes = 64
    """Hashing threads of a block that does the rest of a tree."""

    @abstractmethod
    def empty(self, size: int) -> Block:
        """Return `size` bytes. Raises TaskTooLarge."""

    @abstractmethod
    def write(self, block: Block, array: npt.NDArray[Any]) -> None:
        """Copy an array's bytes into the block's beginning."""

    @abstractmethod
    def read(self, block: Block, rows: int, row_bytes: int, pitch: int) -> npt.NDArray[np.uint8]:
        """Return rows, `pitch` bytes apart, one below the other. Raises DeviceFault."""

    @abstractmethod
    def launch(self, kernel: NetworkKernel, count: int, *arguments: Block | int) -> None:
        """Run a kernel over `count` entries."""

    @abstractmethod
    def launch_grid(
        self, kernel: Any, grid: tuple[int, ...], threads: int, *arguments: Block | int
    ) -> None:
        """Run one of the commitment's kernels, which want a certain grid and take words."""

    @abstractmethod
    def record(self, work: Callable[[], None]) -> Recording:
        """Note what `work` launches, without doing it. Raises CannotRecord, TaskTooLarge."""

    @abstractmethod
    def copy(self, block: Block, size: int) -> Block:
        """Return a copy of a block's first bytes. Raises TaskTooLarge."""

    @abstractmethod
    def right(self, rows: Array) -> Right:
        """Return a product's second operand, from n x k entries."""

    @abstractmethod
    def multiply(self, A: Array, B: Right) -> CardSums:
        """Return A B^T, exact. That it was right is known after `wait`."""

    @abstractmethod
    def wait(self) -> None:
        """Wait for everything. Raises DeviceFault, also for a product that was wrong."""

    @abstractmethod
    def trim(self) -> None:
        """Give memory back that nobody holds."""

    @property
    @abstractmethod
    def free_bytes(self) -> int:
        """Memory that may still be taken."""

    def array(self, *shape: int, entry_bytes: int = 1) -> Array:
        """Return room for entries. Raises TaskTooLarge."""
        return Array(self.empty(math.prod(shape) * entry_bytes), shape, entry_bytes)

    def upload(self, array: npt.NDArray[Any]) -> Array:
        """Return a copy of an array on the card."""
        made = self.array(*array.shape, entry_bytes=array.dtype.itemsize)
        self.write(made.block, array)
        return made

    def download(self, array: Array) -> npt.NDArray[Any]:
        """Return a copy of an array on the host. Raises DeviceFault."""
        size = array.count * array.entry_bytes
        content = self.read(array.block, 1, size, size).reshape(-1)
        return content.view(f"<i{array.entry_bytes}").reshape(array.shape)
