"""Where a program's values lie in the arena, and its tables and weights in the constants."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kernels.cpu.memory import LINE, aligned, round_up
from kernels.network import Window
from kernels.network.graph.operator import Form

SLACK = 2 * LINE
"""Bytes after the last value: a vector that begins in it may end there."""
EXTRA_PLACES = 11
"""A tile may begin at the last place and have rows beyond it: as many as dots.py says, less one."""


class NoProgram(Exception):
    """Something has no step here: the graph is computed operator by operator."""


@dataclass(slots=True)
class Image:
    """A value in the arena: pixels of `channels` bytes, with room for `halo` around them."""

    height: int
    width: int
    channels: int
    halo: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    """Top, left, bottom, right."""
    fill: int = 0
    """The byte around it."""
    offset: int = 0

    @classmethod
    def of(cls, form: Form) -> "Image":
        """Return what a value of this form is; anything but one image is one row of bytes."""
        if form.entry_bytes != 1:
            raise NoProgram
        if len(form.shape) == 4 and form.shape[0] == 1:
            return cls(*form.shape[1:])
        return cls(1, 1, form.entries)

    @property
    def pitch(self) -> int:
        """Bytes from row to row."""
        return (self.width + self.halo[1] + self.halo[3]) * self.channels

    @property
    def size(self) -> int:
        """Bytes with the halo."""
        return (self.height + self.halo[0] + self.halo[2]) * self.pitch

    @property
    def origin(self) -> int:
        """Its first pixel in the arena."""
        return self.offset + self.halo[0] * self.pitch + self.halo[1] * self.channels

    @property
    def row(self) -> int:
        """Bytes of a row without the halo."""
        return self.width * self.channels

    @property
    def whole(self) -> bool:
        """Whether there is nothing around it."""
        return not any(self.halo)

    def surround(self, window: Window, fill: int) -> None:
        """Ask for room for what the window sees outside, of this byte."""
        if not any(window.padding):
            return
        if any(self.halo) and self.fill != fill:
            raise NoProgram
        self.fill = fill
        self.halo = [max(pair) for pair in zip(self.halo, window.padding, strict=True)]

    def sees(self, window: Window, fill: int) -> bool:
        """Whether all that the window sees outside is this byte; asks for room where none was asked."""
        if not any(window.padding):
            return True
        if self.whole:
            self.surround(window, fill)
        covered = all(x >= y for x, y in zip(self.halo, window.padding, strict=True))
        return covered and self.fill == fill

    def places(self, window: Window) -> npt.NDArray[np.int32]:
        """Return the distance of each place of the window from its first pixel in the image."""
        down, across = window.positions(self.height, self.width)
        rows = (np.arange(down) * window.stride[0] - window.padding[0]) * self.pitch
        columns = (np.arange(across) * window.stride[1] - window.padding[1]) * self.channels
        return (rows[:, np.newaxis] + columns).reshape(-1).astype(np.int32)

    def taps(self, window: Window) -> npt.NDArray[np.int32]:
        """Return the distance of each entry of the window from its first one."""
        rows = np.arange(window.height) * window.dilation[0] * self.pitch
        columns = np.arange(window.width) * window.dilation[1] * self.channels
        return (rows[:, np.newaxis] + columns).reshape(-1).astype(np.int32)


class Constants:
    """Bytes that steps refer to; the same bytes are kept once."""

    def __init__(self) -> None:
        self._parts: dict[bytes, int] = {}
        self._size = 0

    def keep(self, array: npt.NDArray[np.generic]) -> int:
        """Return where it lies."""
        content = np.ascontiguousarray(array).tobytes()
        if content not in self._parts:
            self._parts[content] = self._size
            self._size += round_up(len(content), LINE)
        return self._parts[content]

    def places(self, distances: npt.NDArray[np.int32]) -> int:
        """Return where distances lie, the last one some times more."""
        return self.keep(np.append(distances, [distances[-1]] * EXTRA_PLACES).astype(np.int32))

    def bytes(self) -> npt.NDArray[np.uint8]:
        """Return all of it, from the start of a cache line on."""
        whole = aligned((self._size + LINE,), np.uint8)
        for content, place in self._parts.items():
            whole[place : place + len(content)] = np.frombuffer(content, np.uint8)
        return whole


def place_all(images: list[Image], last_use: tuple[int, ...], inputs: int) -> int:
    """Give each value its place, where nothing lies that is still needed; return the arena's size."""
    taken: list[tuple[int, int, int]] = []
    most = 0
    for value, image in enumerate(images):
        node = value - inputs
        taken = sorted(x for x in taken if x[2] >= node)
        size, at = round_up(image.size + LINE, LINE), 0
        for start, end, _last in taken:
            if start - at >= size:
                break
            at = max(at, end)
        image.offset = at
        taken.append((at, at + size, last_use[value]))
        most = max(most, at + size)
    return most + SLACK
