"""Large copies between the device and ordinary memory, by way of pinned memory, by several threads.

    with PinnedRing(stream) as ring:
        ring.send(address, array)
        content = ring.rows(address, rows, row_bytes, pitch)     # bytes

The driver's own copy of pageable memory is one thread's, and so is the first touch of each page. Here
pieces go through a ring of pinned buffers, and threads copy them from there or to there. New pages are
asked for as huge ones, as numpy does for its own arrays.
"""

import ctypes
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from kernels.cuda.driver import Event, PinnedBuffer, Stream

PIECE = 4 << 20
"""Bytes that are copied at a time."""
BUFFERS = 12
WORTH = 4 * PIECE
"""Bytes from which on fetching so is quicker than one copy of the driver's."""
SENT = PIECE // 4
"""The same to the device: inputs are smaller, and the first piece waits for nobody."""
WORTH_SENDING = 4 * SENT
THREADS = min(8, len(os.sched_getaffinity(0)))
_HUGE = 14
"""MADV_HUGEPAGE of madvise(2)."""

Content = npt.NDArray[np.uint8]


class PinnedRing:
    """Buffers and threads. Close it, or use it as a context manager."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._buffers = [PinnedBuffer(PIECE) for _ in range(BUFFERS)]
        self._passed: list[Event | None] = [None] * BUFFERS  # the device has read what was sent
        self._pool = ThreadPoolExecutor(THREADS, "pinned")

    def __enter__(self) -> "PinnedRing":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the buffers back. May be called twice."""
        self._pool.shutdown()
        for buffer in self._buffers:
            buffer.close()

    def send(self, address: int, array: npt.NDArray[Any]) -> None:
        """Copy an array's bytes to the device; read when this returns, there in the stream's order."""
        content = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        coming: list[tuple[int, int, Content, Future[None]]] = []

        def launch(place: int, start: int, pinned: Content, copied: Future[None]) -> None:
            copied.result()
            self._stream.to_device(address + start, self._buffers[place].address, pinned.size)
            self._passed[place] = self._stream.record()

        for number, start in enumerate(range(0, content.size, SENT)):
            place = number % BUFFERS
            if (event := self._passed[place]) is not None:
                event.wait()
            part = content[start : start + SENT]
            pinned = self._buffers[place].array[: part.size]
            coming.append((place, start, pinned, self._pool.submit(np.copyto, pinned, part)))
            if len(coming) == BUFFERS:
                launch(*coming.pop(0))
        for one in coming:
            launch(*one)

    def rows(self, address: int, rows: int, row_bytes: int, pitch: int) -> bytes:
        """Return rows that begin `pitch` bytes apart, one below the other. Raises DeviceFault."""
        made = new_bytes(rows * row_bytes)
        out = writable(made).reshape(rows, row_bytes)
        if pitch == row_bytes:
            rows, row_bytes, pitch = 1, rows * row_bytes, rows * pitch
            out = out.reshape(1, -1)
        busy: list[Future[None] | None] = [None] * BUFFERS
        coming: list[tuple[int, Event, Content]] = []
        for number, (at, part) in enumerate(_pieces(address, out, pitch)):
            place = number % BUFFERS
            if (before := busy[place]) is not None:
                before.result()
            self._stream.rows_to_host(self._buffers[place].address, at, part.shape, pitch)
            coming.append((place, self._stream.record(), part))
            if len(coming) > 2:
                self._hand_on(busy, *coming.pop(0))
        for place, event, part in coming:
            self._hand_on(busy, place, event, part)
        for future in busy:
            if future is not None:
                future.result()
        return made

    def _hand_on(
        self, busy: list[Future[None] | None], place: int, event: Event, part: Content
    ) -> None:
        """Have a piece that came copied to where it belongs."""
        event.wait()
        content = self._buffers[place].array[: part.size].reshape(part.shape)
        busy[place] = self._pool.submit(np.copyto, part, content)


def new_bytes(size: int) -> bytes:
    """Return bytes of this size, to be filled by their maker before anybody sees them."""
    make = ctypes.pythonapi.PyBytes_FromStringAndSize
    make.restype, make.argtypes = ctypes.py_object, [ctypes.c_char_p, ctypes.c_ssize_t]
    made: bytes = make(None, size)
    first = np.frombuffer(made, np.uint8).ctypes.data
    page = os.sysconf("SC_PAGE_SIZE")
    start = -(-first // page) * page
    with suppress(AttributeError, OSError):  # only advice
        ctypes.CDLL(None).madvise(
            ctypes.c_void_p(start), ctypes.c_size_t(first + size - start), _HUGE
        )
    return made


def writable(content: bytes) -> Content:
    """Return the memory of new bytes."""
    first = np.frombuffer(content, np.uint8).ctypes.data
    return np.frombuffer((ctypes.c_uint8 * len(content)).from_address(first), np.uint8)


def _pieces(address: int, out: Content, pitch: int) -> Iterator[tuple[int, Content]]:
    """Cut rows, or parts of a row, of at most PIECE bytes: addresses, and where they go."""
    rows, row_bytes = out.shape
    down, across = max(1, PIECE // row_bytes), min(row_bytes, PIECE)
    for row in range(0, rows, down):
        for column in range(0, row_bytes, across):
            yield (
                address + row * pitch + column,
                out[row : row + down, column : column + across],
            )
