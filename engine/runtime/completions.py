"""Futures of other threads, waited for on an event loop: one wake-up for all that end together.

    completions = Completions()
    result = await completions.wrap(executor.submit(work))

`asyncio.wrap_future` wakes the loop for each, which costs a system call and a fight for the
interpreter with the thread that goes on to the next one.
"""

import asyncio
import concurrent.futures
import threading
from contextlib import suppress
from functools import partial
from typing import Any


class Completions:
    """See the module. For one event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended: list[tuple[asyncio.Future[Any], concurrent.futures.Future[Any]]] = []

    def wrap[T](self, source: "concurrent.futures.Future[T]") -> "asyncio.Future[T]":
        """Return a future of the running loop that ends as `source` does; cancelling goes on to it."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        future.add_done_callback(lambda done: source.cancel() if done.cancelled() else None)
        source.add_done_callback(partial(self._take, loop, future))
        return future

    def _take(
        self,
        loop: asyncio.AbstractEventLoop,
        future: "asyncio.Future[Any]",
        source: "concurrent.futures.Future[Any]",
    ) -> None:
        """Take note that it has ended. In any thread."""
        with self._lock:
            self._ended.append((future, source))
            if len(self._ended) > 1:
                return  # the loop was woken
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        with self._lock:
            ended, self._ended = self._ended, []
        for future, source in ended:
            if future.done():
                continue
            if source.cancelled():
                future.cancel()
            elif (error := source.exception()) is not None:
                future.set_exception(error)
            else:
                future.set_result(source.result())
