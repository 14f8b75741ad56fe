"""The queue that a child process is fed by, and the thread that fills it.

A child has the end that it reads, and nothing else: whatever it does to that end, and whoever else it
leaves it to, its parent never waits for it.
"""

import os
import pickle
import queue
import select
import threading
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

    One thread writes, so that it needs no lock, which the child could keep.
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

    The queue of a child that is stopped fills up, so a thread writes.
    """

    def __init__(self) -> None:
        self.queue = Pieces()
        self._orders: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._writer = threading.Thread(target=self._write, name="pool-tasks", daemon=True)
        try:
            self._writer.start()
        except RuntimeError:  # no thread could be
            self.queue.close()
            raise

    def put(self, order: Any) -> None:
        """Hand an order to the child; None asks it to end. Raises what pickle raises."""
        self._orders.put(pickle.dumps(order))

    def close(self) -> bool:
        """Free everything, now that the child is gone. False: not yet, call it again."""
        self._closing.set()
        self._orders.put(b"")
        self._writer.join(_JOIN_SECONDS)
        if self._writer.is_alive():
            return False
        self.queue.close()
        return True

    def _write(self) -> None:
        with suppress(OSError):  # nobody reads any more
            while not self._closing.is_set():
                order = self._orders.get()
                for start in range(0, len(order), _PIECE_BYTES):
                    end = start + _PIECE_BYTES
                    self._put((end < len(order), order[start:end]))

    def _put(self, piece: tuple[bool, bytes]) -> None:
        while not self._closing.is_set():
            with suppress(BlockingIOError):
                self.queue.put(piece)
                break
            self.queue.wait_for_room()
