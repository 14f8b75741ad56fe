"""The thread that works for validators: a link and a session for each, in one event loop.

    worker = PocWorker(urls, context, troubles, failed)
    worker.start()
    worker.stop()

The computing is done elsewhere: `context.executor` submits it to the supervised children.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from gettext import gettext as _

from engine.monitor.troubles import Troubles
from engine.poc_protocol.held_bytes import HeldBytes
from engine.poc_worker.connection import UNFINISHED_BYTES, Connection, Patience
from engine.poc_worker.context import WorkerContext
from engine.poc_worker.session import Session
from engine.poc_worker.standing import Standing

TICK_SECONDS = 5.0


class PocWorker(threading.Thread):
    """Works for these validators until stopped. `failed` is told of an error that ends it."""

    def __init__(
        self,
        urls: Iterable[str],
        context: WorkerContext,
        troubles: Troubles,
        failed: Callable[[Exception], None],
        patience: Patience | None = None,
        *,
        alone: bool = True,
    ) -> None:
        """`alone`: the engine has no other work, so that without a validator it does nothing."""
        super().__init__(name="poc", daemon=True)
        self._urls = tuple(urls)
        self._context = context
        self._troubles = troubles
        self._failed = failed
        self._patience = patience or Patience()
        self._alone = alone
        self.turned_at = self._connected_at = time.monotonic()
        """When the thread last looked after its sessions."""
        self._loop = asyncio.new_event_loop()
        self._main: asyncio.Task[None] | None = None
        self._stopping = False

    def run(self) -> None:
        """The thread."""
        try:
            with (
                asyncio.Runner(loop_factory=lambda: self._loop) as runner,
                suppress(asyncio.CancelledError),
            ):
                runner.run(self._work())
        except BaseExceptionGroup as group:
            first = group.exceptions[0]
            self._failed(first if isinstance(first, Exception) else RuntimeError(str(group)))
        except Exception as error:  # noqa: BLE001 - goes on in the main thread
            self._failed(error)

    def stop(self, patience: float = 3.0) -> None:
        """Close the connections. Results that were not sent wait in the ledger."""
        self._stopping = True
        with suppress(RuntimeError):  # the loop is closed: it ended by itself
            self._loop.call_soon_threadsafe(self._cancel)
        if self.ident is not None:
            self.join(patience)

    async def _work(self) -> None:
        try:
            await self._serve()
        finally:
            self._context.ledger.changes.flush()  # what was computed is not lost to a stop

    async def _serve(self) -> None:
        self._main = asyncio.current_task()
        async with asyncio.TaskGroup() as group:
            held = HeldBytes(UNFINISHED_BYTES)
            sessions = []
            for url in self._urls:
                standing = Standing(
                    url, self._troubles, self._context.failures, self._patience.rest
                )
                session = Session(url, self._context, group.create_task, standing)
                sessions.append(session)
                group.create_task(
                    Connection(url, session, self._context.report, self._patience, held).run()
                )
            while not self._stopping:
                await asyncio.sleep(min(TICK_SECONDS, self._patience.away / 4))
                self.turned_at = time.monotonic()
                for session in sessions:
                    session.tick()
                for event in self._context.tally.changes():
                    self._context.report(event)
                self._tell_if_away(any(session.replies.is_connected for session in sessions))
            raise asyncio.CancelledError

    def _tell_if_away(self, connected: bool) -> None:
        if connected:
            self._connected_at = self.turned_at
            self._troubles.end("validator_away")
        elif self.turned_at - self._connected_at >= self._patience.away:
            message = _("no validator was connected for {n:.0f} s").format(n=self._patience.away)
            advice = _("See the validators' own lines for the reason, and --validator.")
            self._troubles.begin("validator_away", message, advice, stops=self._alone)

    def _cancel(self) -> None:
        if self._main is not None:
            self._main.cancel()
