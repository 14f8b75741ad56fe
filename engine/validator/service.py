"""The market at work: carries its actions out, on one event loop, and brings it what comes back.

    service = Service(market, inspector, blobs, books, kinds, report)
    await service.run(stopping)          # restores, then looks at the clock until it is asked to end

Nothing here waits for a worker: what is to be sent goes into the connection's own bounded queue, and
whoever does not read is hung up on. What takes time is a task of its own, and its end an event.
"""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from contextlib import suppress
from gettext import gettext as _
from typing import Any

from engine.jobs.blobs import BlobCache, BlobRef
from engine.monitor.reporter import Reporter
from engine.poc_protocol.constants import MAX_FRAME_BYTES, RefusalCode
from engine.poc_protocol.frames import Frame, ProtocolError
from engine.poc_protocol.outbox import Outbox
from engine.runtime.errors import NoDevice
from engine.validator.market.actions import Action, Closed, FetchData, HangUp, Inspect, Send, Tell
from engine.validator.market.market import Market
from engine.validator.result_checker import Inspector
from engine.validator.store.database import Books
from engine.validator.store.requirements import Facts
from engine.validator.store.tasks import TaskRow

TICK_SECONDS = 0.25
OUTBOX_FRAMES = 64
OUTBOX_BYTES = 4 * MAX_FRAME_BYTES
"""What waits for a worker to read it, in frames and in bytes."""


class Service:
    """See the module. Everything but `__init__` belongs to the event loop."""

    def __init__(
        self,
        market: Market,
        inspector: Inspector,
        blobs: BlobCache,
        books: Books,
        report: Reporter,
    ) -> None:
        self.market = market
        self.blobs = blobs
        self.books = books
        self._inspector = inspector
        self._report = report
        self._outboxes: dict[int, Outbox] = {}
        self._links = itertools.count(1)
        self._running: set[asyncio.Task[None]] = set()
        self._died: BaseException | None = None
        self._fetch: dict[int, Callable[[FetchData], Coroutine[Any, Any, bool]]] = {}

    async def run(
        self, stopping: asyncio.Event, can_compute: Callable[[], bool] = lambda: True
    ) -> None:
        """Take up what was open, and look at the clock until the end. Raises DatabaseError, and
        what else a task beside it died of: a verdict that never comes would hold a reward for ever.

        Without a device that computes results again no verdict could be given: raises NoDevice.
        """
        for task in self.books.tasks.open():
            self.blobs.hold(_refs(task.facts))
        self.perform(self.market.restore())
        while not stopping.is_set():
            if not can_compute():
                raise NoDevice(_("no device is in service that could check results"))
            if self._died is not None:
                raise self._died
            self.perform(self.market.tick())
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), TICK_SECONDS)
        for outbox in self._outboxes.values():
            outbox.close("the validator stops")
        for work in list(self._running):
            work.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def post(
        self, customer: str, payload: dict[str, Any], facts: Facts, reward: int, deadline: float
    ) -> TaskRow:
        """Take a customer's task. Raises NoCredit."""
        self.blobs.hold(_refs(facts))
        try:
            task, actions = self.market.post(customer, payload, facts, reward, deadline)
        except BaseException:
            self.blobs.release(_refs(facts))
            raise
        self.perform(actions)
        return task

    def enter(self, outbox: Outbox, fetch: Callable[[FetchData], Coroutine[Any, Any, bool]]) -> int:
        """A worker has connected. `fetch` gets the data of a result from it."""
        link = next(self._links)
        self._outboxes[link] = outbox
        self._fetch[link] = fetch
        self.perform(self.market.connected(link))
        return link

    def leave(self, link: int) -> None:
        """It is gone."""
        del self._outboxes[link], self._fetch[link]
        self.perform(self.market.left(link))

    def hear(self, link: int, frame: Frame) -> None:
        """It said something."""
        self.perform(self.market.heard(link, frame))

    def refuse(self, link: int, code: RefusalCode) -> None:
        """It said something that cannot be used, and names no job."""
        if (outbox := self._outboxes.get(link)) is not None:
            outbox.put(ProtocolError(code=code))

    def perform(self, actions: list[Action]) -> None:
        """Carry out what the market decided."""
        for action in actions:
            match action:
                case Send(link, frame):
                    if (outbox := self._outboxes.get(link)) is not None:
                        outbox.put(frame)
                case HangUp(link, reason):
                    if (outbox := self._outboxes.get(link)) is not None:
                        outbox.close(reason)
                case FetchData():
                    self._start(self._bring(action))
                case Inspect():
                    self._start(self._look(action))
                case Closed(task_id):
                    self.blobs.release(_refs(self.books.tasks.existing(task_id).facts))
                case Tell(event):
                    self._report(event)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._died = self._died or task.exception()

    async def _bring(self, wanted: FetchData) -> None:
        fetch = self._fetch.get(wanted.link)
        complete = fetch is not None and await fetch(wanted)
        self.perform(self.market.fetched(wanted.job_id, complete=complete))

    async def _look(self, inspect: Inspect) -> None:
        job = self.books.jobs.find(inspect.job_id)
        if job is None:
            return
        finding = await self._inspector.inspect(
            job, self.books.jobs.payload(job.job_id), inspect.what, inspect.siblings
        )
        self.perform(self.market.found(inspect.job_id, inspect.what, finding))


def _refs(facts: Facts) -> list[BlobRef]:
    return [BlobRef(sha256, size) for sha256, size in facts.blobs]
