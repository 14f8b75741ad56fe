"""What a model keeps on a card from job to job, weights and plans, and how entries are moved there."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.cuda.network.machine import Array, Block, CardSums, Machine
from kernels.cuda.network.moves import MOVE

Axis = tuple[int, int, int, int, int, int, int]
"""size, times, plus, apart, limit, source, target: see moves.py."""


class Model:
    """What the operators take: the machine, and what they keep on it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._kept: dict[Any, Any] = {}
        self._numbers: dict[tuple[str, tuple[int, ...]], Block] = {}

    def once(self, owner: object, what: str, make: Callable[[], Any]) -> Any:
        """Return what `make` gave the first time."""
        key = (owner, what)
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def weights(
        self,
        owner: object,
        what: str,
        array: npt.NDArray[Any] | Callable[[], npt.NDArray[Any]],
        dtype: str,
    ) -> Array:
        """Return an operator's tensor, or what makes it, on the card as entries of this type."""

        def upload() -> Array:
            content = array() if callable(array) else array
            return self.machine.upload(np.ascontiguousarray(content, dtype))

        made: Array = self.once(owner, what, upload)
        return made

    def numbers(self, *numbers: int, dtype: str = "<i8") -> Block:
        """Return these numbers on the card."""
        key = (dtype, numbers)
        if key not in self._numbers:
            self._numbers[key] = self.machine.upload(np.array(numbers, dtype)).block
        return self._numbers[key]

    def move(
        self,
        source: Block,
        target: Block,
        axes: list[Axis],
        *,
        entry_bytes: int = 1,
        target_bytes: int = 0,
        value: int = 0,
        start: int = 0,
    ) -> None:
        """Move entries into `target` from its entry `start` on; `axes` innermost first."""
        kernel = MOVE[entry_bytes, target_bytes or entry_bytes]
        plan = self.numbers(*(number for axis in axes for number in axis))
        count = int(np.prod([axis[0] for axis in axes], dtype=np.int64))
        self.machine.launch(kernel, count, source, plan, target, len(axes), value, start, count)

    def gathered(
        self, x: Array, shape: tuple[int, ...], axes: Sequence[tuple[int, ...]], value: int = 0
    ) -> Array:
        """Return `shape` entries of x; for each side, outermost first: (times, plus, apart, source).

        `source` is the side of x that a coordinate goes along, and -1 stands for none: broadcast.
        """
        out = self.machine.array(*shape, entry_bytes=x.entry_bytes)
        inner, outer = strides(x.shape), strides(shape)
        planned: list[Axis] = []
        for i, (times, plus, apart, source) in enumerate(axes):
            along = source >= 0
            limit, stride = (x.shape[source], inner[source]) if along else (1, 0)
            planned.append((shape[i], times if along else 0, plus, apart, limit, stride, outer[i]))
        size = x.entry_bytes
        self.move(x.block, out.block, planned[::-1], entry_bytes=size, value=value)
        return out

    def broadcast(self, x: Array, shape: tuple[int, ...]) -> Array:
        """Return x, of as many sides, broadcast to this shape."""
        if x.shape == shape:
            return x
        axes = [(1, 0, 1, i if side > 1 else -1) for i, side in enumerate(x.shape)]
        return self.gathered(x, shape, axes)

    def packed(self, sums: CardSums) -> Array:
        """Return sums without gaps between the rows."""
        if sums.pitch == sums.columns:
            return Array(sums.block, (sums.rows, sums.columns), 4)
        out = self.machine.array(sums.rows, sums.columns, entry_bytes=4)
        columns = (sums.columns, 1, 0, 1, sums.columns, 1, 1)
        rows = (sums.rows, 1, 0, 1, sums.rows, sums.pitch, sums.columns)
        self.move(sums.block, out.block, [columns, rows], entry_bytes=4)
        return out


def strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return how far neighbours along each side are apart, in entries."""
    found, apart = [], 1
    for side in reversed(shape):
        found.append(apart)
        apart *= side
    return tuple(reversed(found))
