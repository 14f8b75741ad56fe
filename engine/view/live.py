"""Shows the board on a terminal while it is open, and gives the terminal back as it was.

    with LiveView(board):
        mine_on(request, key, board)

On the alternate screen, as an editor is: what stood there before stands there again afterwards,
however the run ends, a kill -9 excepted (`reset` mends that). Ctrl-Z works, too.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Self, TextIO

from rich.console import Console

from engine.view.board import Board
from engine.view.terminal import Size, draw

FRAMES_PER_SECOND = 4


def can_show(out: TextIO) -> bool:
    """Whether `out` is a terminal that a live view can be drawn on."""
    if not out.isatty() or os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
        return False
    return (out.encoding or "").lower().replace("-", "") == "utf8"


class LiveView:
    """A context manager; for the main thread, as it handles Ctrl-Z."""

    def __init__(self, board: Board, console: Console | None = None) -> None:
        self._board = board
        self._console = console or Console()
        self._frames: _Frames | None = None
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._closing.enter_context(self._on_suspend())
        self._closing.callback(self._hide)
        self._show()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.close()

    def _show(self) -> None:
        self._frames = _Frames(self._board, self._console)
        self._frames.start()

    def _hide(self) -> None:
        if self._frames is not None:
            self._frames.stop()
            self._frames = None

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
        # In a thread: the main one may hold the board's lock at this moment, and drawing wants it.
        threading.Thread(target=self._step_aside, daemon=True).start()

    def _step_aside(self) -> None:
        self._hide()
        os.kill(os.getpid(), signal.SIGSTOP)  # goes on from here when the shell says `fg`
        self._show()


class _Frames(threading.Thread):
    """Draws until told to stop, then clears the screen: some terminals would keep parts of it."""

    def __init__(self, board: Board, console: Console) -> None:
        super().__init__(name="live-view", daemon=True)
        self._board = board
        self._console = console
        self._stopping = threading.Event()

    def stop(self) -> None:
        """The terminal is given back when this returns."""
        self._stopping.set()
        self.join()

    def run(self) -> None:
        with contextlib.suppress(OSError), self._console.screen() as screen:  # it may be gone
            while not self._stopping.is_set():
                width, height = self._console.size
                screen.update(draw(self._board.snapshot(), Size(width, height)))
                self._stopping.wait(1 / FRAMES_PER_SECOND)
            self._console.clear()


def stdout_can_show() -> bool:
    """Whether the standard output is such a terminal."""
    return can_show(sys.stdout)
