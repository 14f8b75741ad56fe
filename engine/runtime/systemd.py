"""Tells systemd how the run is: READY, STATUS, WATCHDOG, STOPPING, as sd_notify(3) has it.

    manager = Manager.from_environment()   # says nothing where no service manager listens
    manager.ready()
    manager.alive("block 1234")            # a few times a second; told as often as it has to be

The keep-alive of the watchdog is the mining loop's own: whoever calls `alive` vouches for it.
"""

import contextlib
import os
import socket
import time
from collections.abc import Callable
from typing import Self


class Manager:
    """The service manager, if any. Never raises: a miner does not stop since nobody listens."""

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
        self._told = ""
        self._vouched = -float("inf")

    @classmethod
    def from_environment(cls) -> Self:
        """As NOTIFY_SOCKET and WATCHDOG_USEC say, which no child inherits from here on."""
        address = os.environ.pop("NOTIFY_SOCKET", None)
        watchdog = os.environ.pop("WATCHDOG_USEC", None)
        meant_for = os.environ.pop("WATCHDOG_PID", None)
        if watchdog is None or not watchdog.isdigit() or meant_for not in (None, str(os.getpid())):
            return cls(address)
        return cls(address, int(watchdog) / 1e6)

    def ready(self) -> None:
        """Blocks are answered from now on."""
        self._tell("READY=1")

    def alive(self, status: str) -> None:
        """Everything turns; `status` is one line for `systemctl status`."""
        if status != self._told:
            self._told = status
            self._tell(f"STATUS={status}")
        if self._every is not None and self._clock() - self._vouched >= self._every:
            self._vouched = self._clock()
            self._tell("WATCHDOG=1")

    def stopping(self) -> None:
        """The end began."""
        self._tell("STOPPING=1")

    def _tell(self, words: str) -> None:
        if not self._address:
            return
        place = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line,
        ):
            line.setblocking(False)
            line.sendto(words.encode(), place)
