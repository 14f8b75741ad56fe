"""Tells of kernels that are compiled in the midst of work, so that whoever waits gives it that time.

tell_compiling(lambda done, total: print(f"{done} of {total}"))
with Compiling(len(kernels)) as compiling:
for kernel in kernels:
kernel.compile()
compiling.one_done()
"""

import threading
import time
from collections.abc import Callable
from typing import Self

Progress = Callable[[int, int], None]
"""Called with how many kernels are compiled, and how many there are to compile."""


class _Told:
    """Whom this process tells, and the seconds that compiling took so far."""

    progress: Progress | None = None
    seconds = 0.0


def tell_compiling(progress: Progress) -> None:
    """Have this called from now on where work waits for kernels; from a thread of its own at times."""
    _Told.progress = progress


def compiling_seconds() -> float:
    """Return how long this process has compiled so far."""
    return _Told.seconds


class Compiling:
    """So many kernels are compiled within. `after`: seconds that they may take before it is told.

    `progress` in place of the process's own.
    """

    def __init__(self, total: int, progress: Progress | None = None, *, after: float = 0.0) -> None:
        self._total, self._done = total, 0
        self._progress = progress or _Told.progress
        self._telling = threading.Event()
        self._timer = threading.Timer(after, self._tell_first)
        self._timer.daemon = True
        self._after = after
        self._began = 0.0

    def __enter__(self) -> Self:
        self._began = time.perf_counter()
        if self._after:
            self._timer.start()
        else:
            self._tell_first()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        _Told.seconds += time.perf_counter() - self._began

    def one_done(self) -> None:
        """One more is compiled."""
        self._done += 1
        if self._telling.is_set():
            self._tell()

    def _tell_first(self) -> None:
        self._telling.set()
        self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(self._done, self._total)
