"""Shows the engine's state on a terminal while it is open, and restores the terminal.

    with LiveView(monitor) as view:
        run_node(request, key, monitor, view.attend)

It uses the alternate screen, as an editor does: the former content is back afterwards, however the run
ends, except by kill -9 (`reset` repairs that). Ctrl-Z works, too, and so do the keys p and q while
there is a control.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Self, TextIO

from rich.console import Console

from engine.monitor.control import Control
from engine.monitor.output import Output
from engine.monitor.state import Monitor
from engine.monitor.terminal.keyboard import Keys, in_foreground
from engine.monitor.terminal.render import Size, draw, hint
from engine.runtime.closing import Closing

FRAMES_PER_SECOND = 4


def can_show(out: TextIO) -> bool:
    """Return whether `out` is a terminal that can show a live view, and this program has it."""
    if not out.isatty() or os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
        return False
    if (out.encoding or "").lower().replace("-", "") != "utf8":
        return False
    return in_foreground(out.fileno())


class LiveView(Closing):
    """The live view; for the main thread, as it handles Ctrl-Z."""

    def __init__(
        self, monitor: Monitor, output: Output | None = None, console: Console | None = None
    ) -> None:
        """`output`: is told to look for its reader when the terminal cannot be drawn on."""
        self._monitor = monitor
        self._output = output
        self._console = console or Console()
        self._control: Control | None = None
        self._frames: _Frames | None = None
        self._keys: Keys | None = None
        self._changing = threading.Lock()
        self._open = self._aside = False
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._closing.enter_context(self._on_suspend())
        self._closing.callback(self._hide)
        self._open = True
        self._show()
        return self

    def close(self) -> None:
        """Restore the terminal."""
        self._open = False
        self._closing.close()

    @contextlib.contextmanager
    def attend(self, control: Control) -> Iterator[None]:
        """Handle keys while this is open, if the input is a terminal."""
        self._control = control
        with self._changing:
            self._listen()
        try:
            yield
        finally:
            self._control = None
            with self._changing:
                self._stop_listening()

    def _show(self) -> None:
        with self._changing:
            if not self._open:
                return
            self._listen()
            self._frames = _Frames(
                self._monitor, self._console, self._output, with_keys=self._keys is not None
            )
            self._frames.start()

    def _hide(self) -> None:
        with self._changing:
            self._stop_listening()
            if self._frames is not None:
                self._frames.stop()
                self._frames = None

    def _listen(self) -> None:
        if self._control is None or not sys.stdin.isatty():
            return
        descriptor = sys.stdin.fileno()
        if in_foreground(descriptor):
            self._keys = Keys(descriptor, {"p": self._pause_or_resume, "q": self._control.stop})
            self._keys.start()
            if self._frames is not None:
                self._frames.with_keys = True

    def _stop_listening(self) -> None:
        if self._keys is not None:
            self._keys.stop()
            self._keys = None

    def _pause_or_resume(self) -> None:
        if (control := self._control) is not None:
            paused = self._monitor.snapshot().pause_asked
            (control.resume if paused else control.pause)()

    @contextlib.contextmanager
    def _on_suspend(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGTSTP, self._suspend)
        try:
            yield
        finally:
            signal.signal(signal.SIGTSTP, before)

    def _suspend(self, _number: int, _frame: FrameType | None) -> None:
        # In a thread: the main one may hold the monitor's lock now, which drawing needs.
        if not self._aside:
            self._aside = True
            threading.Thread(target=self._step_aside, daemon=True).start()

    def _step_aside(self) -> None:
        self._hide()
        os.kill(os.getpid(), signal.SIGSTOP)  # goes on from here when the shell says `fg`, or `bg`
        while self._open and not in_foreground(self._console.file.fileno()):
            time.sleep(0.25)
        self._aside = False
        self._show()


class _Frames(threading.Thread):
    """Draws until stopped, then clears the screen: some terminals would keep parts of it."""

    def __init__(
        self, monitor: Monitor, console: Console, output: Output | None, *, with_keys: bool
    ) -> None:
        super().__init__(name="live-view", daemon=True)
        self.with_keys = with_keys
        self._monitor = monitor
        self._console = console
        self._output = output
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Stop drawing; the terminal is restored when this returns."""
        self._stopping.set()
        self.join()

    def run(self) -> None:
        with contextlib.suppress(OSError), self._console.screen() as screen:  # it may be gone
            while not self._stopping.is_set():
                width, height = self._console.size
                keys = hint() if self.with_keys else ""
                screen.update(draw(self._monitor.snapshot(), Size(width, height), keys))
                self._stopping.wait(1 / FRAMES_PER_SECOND)
            self._console.clear()
        if self._output is not None and not self._stopping.is_set():
            self._output.look()
