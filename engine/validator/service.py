"""Performs the market's actions on one event loop, and brings back what comes of them.

    service = Service(market, checker, blobs, store, report)
    await service.run(stopping)          # restores, then ticks until it is asked to end

What comes is decided and written in groups (`group_commit.py`), and what was decided is performed once
the group is on the disk: nobody is told of what a crash could take back. Nothing here waits for a
worker: what is to be sent goes into the connection's bounded outbox, and a worker that does not read is
disconnected. What takes time runs as a task of its own.
"""

import asyncio
import itertools
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from gettext import gettext as _
from typing import Any

from engine.jobs.blobs import BlobCache
from engine.monitor.events.validator import MarketDatabaseBack, MarketDatabaseLost
from engine.monitor.reporter import Reporter
from engine.poc_protocol.constants import MAX_FRAME_BYTES, RefusalCode
from engine.poc_protocol.frames import Frame, ProtocolError
from engine.poc_protocol.held_bytes import HeldBytes
from engine.poc_protocol.outbox import Outbox
from engine.runtime.errors import NoDevice
from engine.runtime.group_commit import GroupCommit
from engine.validator.market.actions import Action, CheckResult, FetchData, HangUp, Send
from engine.validator.market.dispatch import MOST_JOBS
from engine.validator.market.market import Market
from engine.validator.result_checker import ResultChecker
from engine.validator.store.backend import DatabaseLost
from engine.validator.store.database import Store
from engine.validator.store.tasks import TaskDraft, TaskRow
from engine.validator.turns import Turns

TICK_SECONDS = 0.25
OUTBOX_FRAMES = 4 * MOST_JOBS
OUTBOX_BYTES = 4 * MAX_FRAME_BYTES
"""What waits for a worker to read it, in frames and in bytes. A group may hold an `open`, a verdict and
a new job for each of a worker's jobs."""
SHARED_PAUSE = 2.0
"""Where validators share the work, each has fewer changes in a time: it gathers them for longer."""
RECONNECT_SECONDS = 1.0
MOST_PAUSE_SECONDS, STEADY_SECONDS = 30.0, 10.0
"""A database that is lost again so soon, such as with a full disk, is left alone longer each time."""
UNSENT_BYTES = 128 * 2**20
"""What waits for all workers together."""


class Service:
    """See the module. Everything but `__init__` belongs to the event loop."""

    def __init__(
        self,
        market: Market,
        checker: ResultChecker,
        blobs: BlobCache,
        store: Store,
        report: Reporter,
    ) -> None:
        self.market = market
        self.blobs = blobs
        self.store = store
        self._checker = checker
        self._report = report
        self._outboxes: dict[int, Outbox] = {}
        self._connection_ids = itertools.count(1)
        self._running: set[asyncio.Task[None]] = set()
        self._died: BaseException | None = None
        self._pause, self._back_at = 0.0, 0.0
        self._fetch: dict[int, Callable[[FetchData], Coroutine[Any, Any, bool]]] = {}
        self._decided: list[Action] = []
        self._posting: set[str] = set()
        self._groups, self._posts = self._new_groups()
        self.turns = Turns()
        self.unsent = HeldBytes(UNSENT_BYTES)

    async def run(
        self, stopping: asyncio.Event, can_compute: Callable[[], bool] = lambda: True
    ) -> None:
        """Resume what was open, and tick until the end. Raises DatabaseError, or what a task died of:
        a verdict that never comes would hold a reward for ever.

        Raises NoDevice where no device is left to check results with.
        """
        await self._decide(self.market.restore)
        while not stopping.is_set():
            if not can_compute():
                raise NoDevice(_("no device is in service that could check results"))
            if (error := self._groups.error or self._posts.error or self._died) is not None:
                if not isinstance(error, DatabaseLost):
                    raise error
                await self._begin_anew(error, stopping)
                continue
            with suppress(DatabaseLost):  # as `_groups.error` says
                await self._decide(self.market.tick)
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), TICK_SECONDS)
        self.turns.close()
        for outbox in self._outboxes.values():
            outbox.close("the validator stops")
        for work in list(self._running):
            work.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def post(self, draft: TaskDraft) -> TaskRow:
        """Take a customer's task: it is on the disk now. Raises NoCredit."""
        if self._posts is not self._groups:
            self._posting.add(draft.customer)
        return await self._posts.add(partial(self._take, draft))

    def _new_groups(self) -> tuple[GroupCommit, GroupCommit]:
        """Return where changes are grouped, and tasks that are posted.

        Several validators lock customers' rows: see `store/customers.py`.
        """
        if not self.store.database.shared:
            groups = GroupCommit(self.store.database, self._end_of_group)
            return groups, groups
        groups = GroupCommit(self.store.database, self._end_of_group, pause=SHARED_PAUSE)
        return groups, GroupCommit(self.store.database, self._end_of_posts, self._begin_posts)

    def _begin_posts(self) -> None:
        posting, self._posting = self._posting, set()
        self.store.customers.lock(posting)

    def _end_of_posts(self) -> Callable[[], None]:
        return self._offer_soon

    def _offer_soon(self) -> None:
        """Have tasks given out at the end of the next group."""
        self._decide(list)

    def _take(self, draft: TaskDraft) -> TaskRow:
        return self.market.post(draft)

    def connected(
        self, outbox: Outbox, fetch: Callable[[FetchData], Coroutine[Any, Any, bool]]
    ) -> int:
        """Take a worker that has connected. `fetch` gets the data of a result from it."""
        connection = next(self._connection_ids)
        self._outboxes[connection] = outbox
        self._fetch[connection] = fetch
        self._decide(partial(self.market.connected, connection))
        return connection

    def disconnected(self, connection: int) -> None:
        """Take note that it is gone."""
        del self._outboxes[connection], self._fetch[connection]
        self._decide(partial(self.market.disconnected, connection))

    def received(self, connection: int, frame: Frame) -> "asyncio.Future[None]":
        """Pass its frame on to the market; the future is done when what follows was performed."""
        return self._decide(partial(self.market.received, connection, frame))

    def refuse(self, connection: int, code: RefusalCode) -> None:
        """Answer a frame that cannot be used and names no job."""
        if (outbox := self._outboxes.get(connection)) is not None:
            outbox.put(ProtocolError(code=code))

    def perform(self, actions: list[Action]) -> None:
        """Perform what the market decided."""
        for action in actions:
            match action:
                case Send(connection, frame):
                    if (outbox := self._outboxes.get(connection)) is not None:
                        outbox.put(frame)
                case HangUp(connection, reason):
                    if (outbox := self._outboxes.get(connection)) is not None:
                        outbox.close(reason)
                case FetchData():
                    self._start(self._bring(action))
                case CheckResult():
                    self._start(self._check(action))
                case _:
                    self._report(action)

    def _decide(self, decide: Callable[[], list[Action]]) -> "asyncio.Future[None]":
        """Have the market decide with the next group."""

        def change() -> None:
            self._decided += decide()

        future = self._groups.add(change)
        future.add_done_callback(_heard)
        return future

    def _end_of_group(self) -> Callable[[], None]:
        self._decided += self.market.offer()
        decided, self._decided = self._decided, []
        return partial(self.perform, decided)

    async def _begin_anew(self, error: DatabaseLost, stopping: asyncio.Event) -> None:
        """Wait until the database is there again, and go on from what it holds, as after a restart.

        Workers dial again: what they were told, and what was decided on, may not have been committed.
        """
        self._report(MarketDatabaseLost(str(error)))
        self._hang_up()
        for work in list(self._running):
            work.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        steady = time.monotonic() - self._back_at > STEADY_SECONDS
        longer = min(max(RECONNECT_SECONDS, 2 * self._pause), MOST_PAUSE_SECONDS)
        pause = self._pause = 0.0 if steady else longer
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), pause)
            if stopping.is_set():
                return
            with suppress(DatabaseLost):
                await asyncio.to_thread(self.store.begin_anew)
                break
            pause = RECONNECT_SECONDS
        self._hang_up()  # those that came meanwhile, of which the market does not know
        self._died, self._decided = None, []
        self._posting.clear()
        self._groups, self._posts = self._new_groups()
        with suppress(DatabaseLost):
            await self._decide(self.market.begin_anew)
            self._report(MarketDatabaseBack())
        self._back_at = time.monotonic()

    def _hang_up(self) -> None:
        for outbox in self._outboxes.values():
            outbox.close("the validator's database does not answer")

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._died = self._died or task.exception()

    async def _bring(self, wanted: FetchData) -> None:
        fetch = self._fetch.get(wanted.connection)
        complete = fetch is not None and await fetch(wanted)
        await self._decide(partial(self.market.fetched, wanted.job_id, complete=complete))

    async def _check(self, wanted: CheckResult) -> None:
        job = wanted.job
        payload = self.store.jobs.payload(job.job_id)
        finding = await self._checker.check(job, payload, wanted.kind, wanted.siblings)
        await self._decide(partial(self.market.checked, job.job_id, wanted.kind, finding))


def _heard(future: "asyncio.Future[None]") -> None:
    """Take note of its error: the next turn of `run` sees that of the group."""
    if not future.cancelled():
        future.exception()
