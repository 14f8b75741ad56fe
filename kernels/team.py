"""A team of threads that works in phases; a phase begins when the last one's items are done.

    with Team(4) as team:
        team.run((expand, strips), (multiply, strips))

A free thread takes the next item. A phase of a small task is shorter than it takes to wake a sleeping
thread (some 0.05 ms). So nobody waits for a thread that has not woken yet: the others take its share,
and it joins in wherever they are by then. And a thread spins for a while before it sleeps, at the end
of a phase and after a run: tasks that follow one another find it awake.
"""

import threading
import time
import weakref
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

SPIN_SECONDS = 0.001
"""How long a thread spins before it sleeps."""

type Phase = tuple[Callable[[Any], None], Iterable[Any]]
"""What is done with every item, and the items. Only work that releases the GIL gains anything."""


class Team:
    """The calling thread and `threads` - 1 others."""

    def __init__(self, threads: int, name: str = "team") -> None:
        self.threads = threads
        runs: _Runs = SimpleQueue()
        self._runs = runs
        self._others = [
            threading.Thread(target=_serve, args=(runs,), name=f"{name}_{number}", daemon=True)
            for number in range(threads - 1)
        ]
        for thread in self._others:
            thread.start()
        self._end = weakref.finalize(self, _end, runs, threads - 1)

    def run(self, *phases: Phase) -> None:
        """Do all of it. An error of any thread is raised here, and later phases are left out."""
        run = _Run(phases)
        for _ in self._others:
            self._runs.put(run)
        run.take_part()
        if run.errors:
            raise run.errors[0]

    def close(self) -> None:
        """End the threads. May be called twice."""
        self._end()
        for thread in self._others:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Run:
    """What threads take part in, each from when it comes until all is done."""

    def __init__(self, phases: Iterable[Phase]) -> None:
        self.errors: list[BaseException] = []
        self._phases = [_Phase(work, list(items), self.errors) for work, items in phases]

    def take_part(self) -> None:
        """Return when all items of all phases are done, or those of a phase with an error."""
        for phase in self._phases:
            phase.take_part()
            phase.wait()
            if self.errors:
                return


class _Phase:
    """Items that threads take one by one, and how many are not done yet."""

    def __init__(
        self, work: Callable[[Any], None], items: list[Any], errors: list[BaseException]
    ) -> None:
        self._work = work
        self._items = iter(items)  # a list's iterator gives each item to one thread
        self._missing = len(items)
        self._errors = errors
        self._lock = threading.Lock()
        self._done = threading.Event()
        if not items:
            self._done.set()

    def take_part(self) -> None:
        """Work until no item is left to take."""
        for item in self._items:
            try:
                self._work(item)
            except BaseException as error:  # noqa: BLE001 - raised by the calling thread
                self._errors.append(error)
                self._count(sum(1 for _ in self._items))  # nobody takes what is left
            self._count(1)

    def wait(self) -> None:
        """Wait for items that others have taken."""
        patience = time.perf_counter() + SPIN_SECONDS
        while not self._done.is_set():
            if time.perf_counter() > patience:
                self._done.wait()
            time.sleep(0)  # lets others have the GIL

    def _count(self, done: int) -> None:
        with self._lock:
            self._missing -= done
            if not self._missing:
                self._done.set()


type _Runs = SimpleQueue[_Run | None]
"""Each run once for every other thread; None ends one of them."""


def _serve(runs: _Runs) -> None:
    while (run := _next(runs)) is not None:
        run.take_part()
        del run  # a sleeping thread keeps no operands


def _next(runs: _Runs) -> _Run | None:
    patience = time.perf_counter() + SPIN_SECONDS
    while time.perf_counter() < patience:
        try:
            return runs.get_nowait()
        except Empty:
            time.sleep(0)
    return runs.get()


def _end(runs: _Runs, threads: int) -> None:
    for _ in range(threads):
        runs.put(None)
