"""Changes from many coroutines, brought to the disk together: one transaction, one sync for a group.

    groups = GroupCommit(database)
    result = await groups.add(lambda: ledger.record_taken(offer))   # back once it is on the disk

A change that comes while none is under way is written at once. Those that come while a group is
written, or for as long again (`pause`), are the next group: so the loop has at least half of its time
for other things, and the busier it is, the more share a sync. A change that raises is undone alone.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from engine.runtime.sql import Transaction

LONGEST_PAUSE = 0.02
"""Seconds for which a group gathers, at most."""


class Transactions(Protocol):
    """What `Database` is: transactions that may be nested, with changes that are undone alone."""

    def write(self) -> AbstractContextManager[Transaction]:
        """Run one transaction: all of it is on the disk when the block ends, or nothing."""

    def savepoint(self) -> None:
        """Begin a change within the transaction."""

    def release(self) -> None:
        """End it: it is part of the transaction now."""

    def roll_back(self) -> None:
        """End it, and undo it."""


@dataclass(frozen=True, slots=True)
class _Change:
    make: Callable[[], Any]
    future: asyncio.Future[Any]


class GroupCommit:
    """See the module. For one event loop, on which the changes are made."""

    def __init__(
        self,
        database: Transactions,
        last: Callable[[], Callable[[], None]] | None = None,
        first: Callable[[], None] = lambda: None,
        *,
        pause: float = 1.0,
    ) -> None:
        """`last`: makes a change at the end of each group, and gives what to do after the commit.

        `first` makes one at its beginning. `pause`: how many times as long as a group is written the
        next one is gathered; `LONGEST_PAUSE` is as much longer.
        """
        self.error: Exception | None = None
        """Why a whole group was not written. It is the last: what was decided in it is lost."""
        self._database = database
        self._last = last or (lambda: lambda: None)
        self._first = first
        self._pause = pause
        self._changes: list[_Change] = []
        self._scheduled: asyncio.TimerHandle | None = None
        self._not_before = 0.0

    def add[T](self, make: Callable[[], T]) -> "asyncio.Future[T]":
        """Have this change made. The future gives what it returns, once that is on the disk.

        It raises what the change raises, or why the group was not written: DatabaseError.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._changes.append(_Change(make, future))
        if self._scheduled is None:
            self._scheduled = loop.call_at(self._not_before, self.flush)
        return future

    def flush(self) -> None:
        """Write now what waits."""
        if self._scheduled is None:
            return
        self._scheduled.cancel()
        self._scheduled = None
        loop, began = asyncio.get_running_loop(), time.monotonic()
        changes, self._changes = self._changes, []
        try:
            if self.error is not None:
                raise self.error  # what was decided since rests on what was lost
            with self._database.write():
                self._first()
                made = [self._make(change.make) for change in changes]
                after = self._last()
            after()
        except Exception as error:  # noqa: BLE001 - each of them hears of it
            self.error = self.error or error
            made = [error] * len(changes)
        pause = self._pause * min(LONGEST_PAUSE, time.monotonic() - began)
        self._not_before = loop.time() + pause
        for change, result in zip(changes, made, strict=True):
            if change.future.cancelled():
                continue  # whoever asked for it is gone, and it is made nevertheless
            if isinstance(result, Exception):
                change.future.set_exception(result)
            else:
                change.future.set_result(result)

    def _make(self, make: Callable[[], Any]) -> Any:
        """What the change returns, or the exception that it raised, and then nothing is changed."""
        self._database.savepoint()
        try:
            made = make()
        except Exception as error:  # noqa: BLE001 - of this change alone
            self._database.roll_back()
            return error
        self._database.release()
        return made
