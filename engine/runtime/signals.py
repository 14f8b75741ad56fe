"""Ctrl-C and SIGTERM: the first asks the program to end, the second forces it."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_INTERRUPTED = 130


@contextmanager
def stop_on_signals(
    stop: Callable[[], None], child_pids: Callable[[], dict[str, int | None]]
) -> Iterator[None]:
    """Call `stop` on the first SIGINT or SIGTERM; on the second kill the children and raise
    KeyboardInterrupt; on the third end the process at once.

    Both functions run in a signal handler, so they must not take a lock that the main thread may
    hold. In any other thread than the main one this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = 0

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            stop()
        elif asked == 2:
            kill_all(child_pids())
            raise KeyboardInterrupt
        else:
            os._exit(EXIT_INTERRUPTED)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def kill_all(pids: dict[str, int | None]) -> None:
    """Send SIGKILL: a child may be stopped, or hang in a kernel."""
    for pid in pids.values():
        if pid is not None:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
