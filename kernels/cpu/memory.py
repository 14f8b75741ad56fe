"""Arrays whose first byte starts a cache line: vectors and tiles are loaded whole from there."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

LINE = 64


def aligned(shape: tuple[int, ...], kind: npt.DTypeLike) -> npt.NDArray[Any]:
    """Like numpy.empty, aligned to 64 bytes."""
    size = math.prod(shape) * np.dtype(kind).itemsize
    room = np.empty(size + LINE, np.uint8)
    first = -room.ctypes.data % LINE
    return room[first : first + size].view(kind).reshape(shape)


def round_up(x: int, step: int) -> int:
    """The next multiple of `step`, or x itself."""
    return -(-x // step) * step
