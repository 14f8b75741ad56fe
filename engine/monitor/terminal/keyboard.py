"""Single keys of a terminal, read while the live view is shown; the terminal's mode is restored.

    keys = Keys(sys.stdin.fileno(), {"p": pause, "q": stop})
    keys.start()
    keys.stop()

In cbreak mode: a key comes without Enter and is not shown, and Ctrl-C and Ctrl-Z stay signals.
"""

import contextlib
import os
import select
import termios
import threading
import tty
from collections.abc import Callable, Mapping

POLL_SECONDS = 0.25


def in_foreground(descriptor: int) -> bool:
    """Return whether this program is in the foreground; in the background, reading would stop it."""
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:
        return False


class Keys(threading.Thread):
    """Calls the action of each key; other keys do nothing."""

    def __init__(self, descriptor: int, actions: Mapping[str, Callable[[], None]]) -> None:
        super().__init__(name="keys", daemon=True)
        self._descriptor = descriptor
        self._actions = actions
        self._stopping = threading.Event()
        self._before = termios.tcgetattr(descriptor)

    def stop(self) -> None:
        """Stop reading; the terminal's mode is restored when this returns."""
        self._stopping.set()
        self.join()

    def run(self) -> None:
        """Read until stopped, or until the terminal is gone."""
        with contextlib.suppress(OSError, termios.error):
            tty.setcbreak(self._descriptor)
            try:
                while not self._stopping.is_set():
                    if select.select([self._descriptor], [], [], POLL_SECONDS)[0]:
                        self._act(os.read(self._descriptor, 64))
            finally:
                termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)

    def _act(self, typed: bytes) -> None:
        if not typed:  # the other side hung up
            self._stopping.set()
        for key in typed.decode("ascii", "ignore").lower():
            if (action := self._actions.get(key)) is not None:
                action()
