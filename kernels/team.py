"""Threads that share out work in phases: no phase begins before everyone has ended the one before.

    with Team(4) as team:
        team.run((expand, strips), (multiply, strips))

Whoever is free takes the next item. A phase of a small task is shorter than it takes to wake a
thread that sleeps (some 0.05 ms), so everyone who waits for the others looks again and again for a
while before it goes to sleep; a thread is woken once a run, not once a phase.
"""

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

SPIN_SECONDS = 0.001
"""How long a thread looks for the others before it sleeps."""

type Phase = tuple[Callable[[Any], None], Iterable[Any]]
"""What is done with every item, and the items. The work lets go of the GIL, or nothing is gained."""


class Team:
    """The calling thread and `threads` - 1 others."""

    def __init__(self, threads: int, name: str = "team") -> None:
        self.threads = threads
        self._pool = ThreadPoolExecutor(max(1, threads - 1), thread_name_prefix=name)

    def run(self, *phases: Phase) -> None:
        """Do all of it. An error of any thread is raised here, and later phases are left out."""
        shared = [(work, iter(list(items))) for work, items in phases]
        meetings = [_Meeting(self.threads) for _ in phases]
        errors: list[BaseException] = []

        def take_part() -> None:
            for (work, items), meeting in zip(shared, meetings, strict=True):
                try:
                    for item in items:  # a list's iterator gives each item once, whoever asks
                        work(item)
                except BaseException as error:  # noqa: BLE001 - raised by the calling thread
                    errors.append(error)
                meeting.wait()
                if errors:
                    return

        for _ in range(self.threads - 1):
            self._pool.submit(take_part)
        take_part()
        if errors:
            raise errors[0]

    def close(self) -> None:
        """End the threads. Closing twice is no error."""
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


class _Meeting:
    """Where a number of threads wait until all of them have come."""

    def __init__(self, parties: int) -> None:
        self._missing = parties
        self._lock = threading.Lock()
        self._complete = threading.Event()

    def wait(self) -> None:
        """Come, and wait for the others."""
        with self._lock:
            self._missing -= 1
            if not self._missing:
                self._complete.set()
        patience = time.perf_counter() + SPIN_SECONDS
        while not self._complete.is_set():
            if time.perf_counter() > patience:
                self._complete.wait()
            time.sleep(0)  # lets others have the GIL
