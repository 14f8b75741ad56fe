"""A team of threads that works in phases, with a barrier between two phases.

    with Team(4) as team:
        team.run((expand, strips), (multiply, strips))

A free thread takes the next item. A phase of a small task is shorter than it takes to wake a sleeping
thread (some 0.05 ms), so threads spin at a barrier for a while before they sleep; a thread is woken
once per run, not once per phase.
"""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

SPIN_SECONDS = 0.001
"""How long a thread spins at a barrier before it sleeps."""

type Phase = tuple[Callable[[Any], None], Iterable[Any]]
"""What is done with every item, and the items. Only work that releases the GIL gains anything."""


class Team:
    """The calling thread and `threads` - 1 others."""

    def __init__(self, threads: int, name: str = "team") -> None:
        self.threads = threads
        self._pool = ThreadPoolExecutor(max(1, threads - 1), thread_name_prefix=name)

    def run(self, *phases: Phase) -> None:
        """Do all of it. An error of any thread is raised here, and later phases are left out."""
        shared = [(work, iter(list(items))) for work, items in phases]
        barriers = [_SpinBarrier(self.threads) for _ in phases]
        errors: list[BaseException] = []

        def take_part() -> None:
            for (work, items), barrier in zip(shared, barriers, strict=True):
                try:
                    for item in items:  # a list's iterator gives each item to one thread
                        work(item)
                except BaseException as error:  # noqa: BLE001 - raised by the calling thread
                    errors.append(error)
                barrier.wait()
                if errors:
                    return

        for _ in range(self.threads - 1):
            self._pool.submit(take_part)
        take_part()
        if errors:
            raise errors[0]

    def close(self) -> None:
        """End the threads. May be called twice."""
        self._pool.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _SpinBarrier:
    """Used once: a number of threads wait until all of them have arrived."""

    def __init__(self, parties: int) -> None:
        self._missing = parties
        self._lock = threading.Lock()
        self._complete = threading.Event()

    def wait(self) -> None:
        """Arrive, and wait for the others."""
        with self._lock:
            self._missing -= 1
            if not self._missing:
                self._complete.set()
        patience = time.perf_counter() + SPIN_SECONDS
        while not self._complete.is_set():
            if time.perf_counter() > patience:
                self._complete.wait()
            time.sleep(0)  # lets others have the GIL
