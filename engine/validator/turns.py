"""Work that takes milliseconds, off the event loop: a few threads, and a short line before them.

    turns = Turns()
    value = await turns.run("alice", parse, body)      # raises LineFull

Whoever it is done for has one piece at work or in the line's front at a time, so a customer or a
connection with a hundred pieces delays its own, and the others' by one each.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from gettext import gettext as _

from engine.runtime.closing import Closing
from engine.runtime.errors import EngineError

THREADS = 2
WAITING = 256
WAITING_EACH = 16


class LineFull(EngineError):
    """Too many pieces of work wait."""


class Turns(Closing):
    """See the module. For one event loop."""

    def __init__(self, waiting: int = WAITING, each: int = WAITING_EACH) -> None:
        """At most `waiting` pieces wait or are at work, `each` of one owner."""
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="turn")
        self._free = asyncio.Semaphore(THREADS)
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._waiting: Counter[str] = Counter()
        self._most = waiting
        self._most_each = each

    async def run[*Args, T](self, owner: str, work: Callable[[*Args], T], *args: *Args) -> T:
        """Return what the work returns. Raises LineFull, and what it raises."""
        if self._waiting.total() >= self._most or self._waiting[owner] >= self._most_each:
            raise LineFull(_("too much is being read already: try again in a moment"))
        self._waiting[owner] += 1
        try:
            async with self._locks[owner], self._free:
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._threads, work, *args)
        finally:
            self._waiting[owner] -= 1
            if not self._waiting[owner]:
                del self._waiting[owner], self._locks[owner]

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)
