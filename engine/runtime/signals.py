"""Ctrl-C and SIGTERM: the first asks for the end, the second makes it one."""

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
    """SIGINT and SIGTERM call `stop`, which asks for the end; a second one kills the children and
    raises KeyboardInterrupt; a third one ends the process as it stands.

    Both functions are called by a signal handler and may take no lock, which the main thread may
    hold. For the main thread only; in another one nothing is changed.
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
    """SIGKILL: nobody waits for a child that is stopped, or hangs in a kernel."""
    for pid in pids.values():
        if pid is not None:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
