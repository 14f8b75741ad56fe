"""Notify systemd of the run's state: READY, STATUS, WATCHDOG, STOPPING; see sd_notify(3).

    manager = Manager.from_environment()   # does nothing where no service manager listens
    manager.ready()
    manager.alive("block 1234")            # a few times a second; sent as often as needed

The caller of `alive` feeds the watchdog, so it must be the loop whose progress is to be watched.
"""

import contextlib
import os
import socket
import time
from collections.abc import Callable
from typing import Self, TextIO

from engine.runtime.printable import printable

MAX_STATUS = 500


class Manager:
    """The service manager, if any. Never raises: a missing service manager must not stop a miner."""

    def __init__(
        self,
        address: str | None = None,
        watchdog: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`address`: a datagram socket's path, `@` first for an abstract one. `watchdog`: seconds."""
        self._address = address
        self._every = None if watchdog is None else watchdog / 3
        self._clock = clock
        self._status = ""
        self._fed_at = -float("inf")

    @classmethod
    def from_environment(cls) -> Self:
        """Read NOTIFY_SOCKET and WATCHDOG_USEC, and remove them so that no child inherits them."""
        address = os.environ.pop("NOTIFY_SOCKET", None)
        watchdog = os.environ.pop("WATCHDOG_USEC", None)
        meant_for = os.environ.pop("WATCHDOG_PID", None)
        if watchdog is None or not watchdog.isdigit() or meant_for not in (None, str(os.getpid())):
            return cls(address)
        return cls(address, int(watchdog) / 1e6)

    def ready(self) -> bool:
        """Report that blocks are answered from now on, or as soon as a node is there.

        A start that waits for a node is over: `systemctl start` would hang for hours otherwise, or
        kill what waits, and the watchdog begins to count only now. False: its queue is full, say it
        again.
        """
        return self._send("READY=1")

    def alive(self, status: str) -> None:
        """Report progress; `status` is made one line for `systemctl status`.

        Lines are assignments: a word of a node's must not become one.
        """
        status = " ".join(printable(status).split())[:MAX_STATUS]
        if status != self._status and self._send(f"STATUS={status}"):
            self._status = status
        due = self._every is not None and self._clock() - self._fed_at >= self._every
        if due and self._send("WATCHDOG=1"):
            self._fed_at = self._clock()

    def stopping(self) -> None:
        """Report that the program is ending."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> bool:
        """Return False where its queue is full, or nobody listens now."""
        if not self._address:
            return True
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender,
        ):
            sender.setblocking(False)
            sender.sendto(message.encode(), address)
            return True
        return False


def is_journal(stream: TextIO) -> bool:
    """Whether systemd's journal reads it; see systemd.exec(5), JOURNAL_STREAM."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        found = os.fstat(stream.fileno())
        return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
    return False
