"""The queue that a child process is fed by, and how it is filled.

A child has the end that it reads, and nothing else: whatever it does to that end, and whoever else it
leaves it to, its parent never waits for it.
"""

import os
import pickle
import select
import threading
from collections import deque
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.queues import SimpleQueue
from typing import Any

_PIECE_BYTES = select.PIPE_BUF - 96
"""With what multiprocessing adds, less than the kernel writes whole or not at all (pipe(7))."""
_ROOM_MILLISECONDS = 50
"""A writer that waits for room looks so often whether the queue is to be closed."""
_JOIN_SECONDS = 0.002


class Pieces(SimpleQueue[tuple[bool, bytes]]):
    """Pieces of pickled orders, each with whether more of its order follow.

    One thread writes at a time, so that it needs no lock, which the child could keep; where there is
    no room `put` raises BlockingIOError.
    """

    _reader: Connection
    _writer: Connection

    def __init__(self) -> None:
        super().__init__(ctx=get_context("spawn"))
        self._wlock = None
        os.set_blocking(self._writer.fileno(), False)

    def __getstate__(self) -> Any:
        state: Any = super().__getstate__()
        reader, _writer, reading, _writing = state
        return reader, None, reading, None

    def given_away(self) -> None:
        """Close the end that is read, now that a child has it: with the child the pipe breaks."""
        self._reader.close()

    def wait_for_room(self) -> None:
        """Wait a moment, until there is room or nobody reads any more."""
        poll = select.poll()
        poll.register(self._writer.fileno(), select.POLLOUT)
        poll.poll(_ROOM_MILLISECONDS)


class TaskQueue:
    """The parent's side of a child's task queue; `queue` is what the child is given.

    What there is room for is written at once: a thread for it would have to wait for this interpreter.
    The queue of a child that is stopped fills up, so the rest is left to a thread.
    """

    def __init__(self) -> None:
        self.queue = Pieces()
        self._lock = threading.Lock()
        self._waiting: deque[tuple[bool, bytes]] = deque()
        self._writer: threading.Thread | None = None
        self._closing = False

    def put(self, order: Any) -> None:
        """Hand an order to the child; None asks it to end. Raises what pickle raises."""
        pickled = pickle.dumps(order)
        starts = range(0, len(pickled), _PIECE_BYTES)
        with self._lock:
            for start in starts:
                piece = pickled[start : start + _PIECE_BYTES]
                self._waiting.append((start != starts[-1], piece))
            if self._writer is None and not self._write():
                writer = threading.Thread(target=self._run, name="pool-tasks", daemon=True)
                with suppress(RuntimeError):  # no thread could be: the next order tries again
                    writer.start()
                    self._writer = writer

    def close(self) -> bool:
        """Free everything, now that the child is gone. False: not yet, call it again."""
        with self._lock:
            self._closing, writer = True, self._writer
        if writer is not None:
            writer.join(_JOIN_SECONDS)
            if writer.is_alive():
                return False
        self.queue.close()
        return True

    def _write(self) -> bool:
        """Write what there is room for; return whether that was all."""
        while self._waiting:
            try:
                self.queue.put(self._waiting[0])
            except BlockingIOError:
                return False
            except OSError:  # nobody reads any more
                self._waiting.clear()
            else:
                self._waiting.popleft()
        return True

    def _run(self) -> None:
        while True:
            self.queue.wait_for_room()
            with self._lock:
                if self._closing or self._write():
                    self._writer = None
                    return
