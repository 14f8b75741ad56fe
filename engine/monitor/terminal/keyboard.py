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
        self._woken, self._wake = os.pipe()
        self._before = termios.tcgetattr(descriptor)

    def stop(self) -> None:
        """Stop reading; the terminal's mode is restored when this returns."""
        os.write(self._wake, b"\0")
        self.join()
        os.close(self._woken)
        os.close(self._wake)

    def run(self) -> None:
        """Read until stopped, or until the terminal is gone."""
        with contextlib.suppress(OSError, termios.error):
            tty.setcbreak(self._descriptor)
            try:
                while True:
                    ready = select.select([self._descriptor, self._woken], [], [])[0]
                    if self._woken in ready or not self._act(os.read(self._descriptor, 64)):
                        return
            finally:
                termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._before)

    def _act(self, typed: bytes) -> bool:
        """Call each key's action. False: the other side hung up."""
        for key in typed.decode("ascii", "ignore").lower():
            if (action := self._actions.get(key)) is not None:
                action()
        return bool(typed)
