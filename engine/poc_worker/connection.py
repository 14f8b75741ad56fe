"""The connection to one validator: dialled, listened to, lost, and dialled again, for weeks.

A validator is not trusted. What it sends is bounded before it is read (`websocket.py`), read no faster
than `FRAMES_A_SECOND` and the devices allow, and nothing waits for a validator that does not read: its
connection ends.
"""

import asyncio
import random
import time
from dataclasses import dataclass
from functools import partial
from gettext import gettext as _
from typing import Any, NoReturn

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from engine.monitor.events.poc import ValidatorBug, ValidatorDown, ValidatorUp
from engine.monitor.reporter import Reporter
from engine.poc_protocol.constants import MAX_FRAME_BYTES
from engine.poc_protocol.decoder import Decoder, Refusal, refuse_long
from engine.poc_protocol.frames import FROM_VALIDATOR, Frame, one_line
from engine.poc_protocol.held_bytes import HeldBytes
from engine.poc_protocol.outbox import Outbox
from engine.poc_protocol.rate_limit import TokenBucket
from engine.poc_protocol.websocket import SOCKET_LIMITS, BoundedConnection, TooLong, read_message
from engine.poc_worker.session import Session
from engine.poc_worker.standing import FIRST_REST_SECONDS
from engine.runtime.errors import DatabaseError, LedgerError, reason_of
from node_client.retry_after import seconds_of
from node_client.route import route_to

FRAMES_A_SECOND = 100.0
FRAMES_AT_ONCE = 400
VALUES_A_SECOND = 50_000.0
VALUES_AT_ONCE = 2.0**20
"""Of JSON: what takes the time to read it. More waits in the validator's socket."""
SHORT = 16 * 2**10
"""Characters of a frame that is not counted where it follows a job that was done."""
UNFINISHED_BYTES = 64 * 2**20
"""Of frames that are not whole, from all validators."""
_POLICY = 1008
"""Close code of RFC 6455: a policy was violated."""
MAX_UNSENT = 1024
MAX_UNSENT_BYTES = 4 * MAX_FRAME_BYTES
"""What waits for a validator that does not read, in frames and in bytes."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Times in seconds. Pauses double from `first` to `most`, and start over after `well`."""

    first: float = 1.0
    most: float = 60.0
    well: float = 30.0
    opening: float = 15.0
    sending: float = 30.0
    silence: float = 20.0
    """A peer that answers no ping for so long is gone."""
    rest: float = FIRST_REST_SECONDS
    """The first pause of a validator that failed too often."""
    away: float = 60.0
    """Without a connection to any validator for so long, it is told as a trouble."""


class _NoRedirects(connect):
    """A validator is what was dialled: where it points to was not asked for, and is not signed."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class Connection:
    """Keeps `session` connected."""

    def __init__(
        self,
        url: str,
        session: Session,
        report: Reporter,
        patience: Patience | None = None,
        held: HeldBytes | None = None,
    ) -> None:
        """`held`: what all connections hold of frames that are not whole."""
        self._url = url
        self._route = route_to(url)
        self._decoder = Decoder(FROM_VALIDATOR)
        self._session = session
        self._report = report
        self._patience = patience or Patience()
        self._connection_type = type(
            "Bounded", (BoundedConnection,), {"held": held or HeldBytes(UNFINISHED_BYTES)}
        )
        self._told: str | None = None
        self._asked_pause = 0.0
        self._closing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until cancelled. Raises DatabaseError, LedgerError."""
        pause = self._patience.first
        while True:
            began = time.monotonic()
            reason = await self._connect()
            if rest := self._session.standing.rest():
                self._session.drop_jobs()
                self._told = None  # each rest is told
                self._tell_down(_("it failed too often"), rest)
                await asyncio.sleep(rest)
                self._session.standing.rested()
                continue
            if time.monotonic() - began >= self._patience.well:
                pause = self._patience.first
            wait = pause * random.uniform(0.5, 1.0)  # noqa: S311 - so that not all come at once
            wait, self._asked_pause = max(wait, self._asked_pause), 0.0
            self._tell_down(reason, wait)
            await asyncio.sleep(wait)
            pause = min(2 * pause, self._patience.most)

    async def _connect(self) -> str:
        """One connection, to its end. Gives the reason of the end."""
        patience = self._patience
        try:
            async with _NoRedirects(
                self._url,
                open_timeout=patience.opening,
                ping_interval=patience.silence,
                ping_timeout=patience.silence,
                close_timeout=2,
                proxy=self._route.proxy,
                ssl=self._route.tls(),
                create_connection=self._connection_type,
                **SOCKET_LIMITS,
            ) as connection:
                assert isinstance(connection, BoundedConnection)
                return await self._serve(connection)
        except TimeoutError:
            return _("it did not answer within {seconds:.0f} s").format(seconds=patience.opening)
        except (OSError, InvalidHandshake, InvalidURI, EOFError) as error:
            self._asked_pause = _pause_asked_by(error)
            return one_line(reason_of(error))
        except (DatabaseError, LedgerError):
            raise
        except Exception as error:  # noqa: BLE001 - nor one over what a peer does to a connection
            self._tell_bug(error)
            return type(error).__name__

    async def _serve(self, connection: BoundedConnection) -> str:
        outbox = Outbox(
            frames=MAX_UNSENT, size=MAX_UNSENT_BYTES, on_overflow=connection.transport.abort
        )
        self._told = None
        self._report(ValidatorUp(self._url))
        standing = self._session.standing
        standing.hang_up = partial(self._hang_up, connection)
        self._session.connected(outbox.put)
        writing = asyncio.create_task(outbox.run(connection.send_texts, self._patience.sending))
        try:
            await self._listen(connection)
        except ConnectionClosed as closed:
            reason = outbox.reason or _closing_words(closed)
            if closed.rcvd is None and self._session.room.inside:
                standing.cut(reason)
            return reason
        finally:
            standing.hang_up = _nothing
            self._session.lost()
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    def _hang_up(self, connection: ClientConnection) -> None:
        self._closing = asyncio.create_task(connection.close(_POLICY))

    async def _listen(self, connection: ClientConnection) -> NoReturn:
        frame_rate = TokenBucket(FRAMES_A_SECOND, FRAMES_AT_ONCE)
        value_rate = TokenBucket(VALUES_A_SECOND, VALUES_AT_ONCE)
        while True:
            message = await read_message(connection)
            if self._session.earned and not isinstance(message, TooLong) and len(message) < SHORT:
                self._session.earned -= 1
            elif wait := max(frame_rate.reserve(), value_rate.reserve(_values(message))):
                await asyncio.sleep(wait)
            read = refuse_long() if isinstance(message, TooLong) else self._decoder.decode(message)
            size = 0 if isinstance(message, TooLong) else len(message)
            if read is not None:
                self._take(read, size)

    def _take(self, read: Frame | Refusal, size: int) -> None:
        try:
            self._session.take(read, size)
        except (DatabaseError, LedgerError):
            raise
        except Exception as error:  # noqa: BLE001 - a slip over one frame must not end the others' work
            self._tell_bug(error)

    def _tell_bug(self, error: Exception) -> None:
        detail = one_line(f"{type(error).__name__}: {error}")
        self._report(ValidatorBug(self._url, detail))

    def _tell_down(self, reason: str, wait: float) -> None:
        """Once for each reason: a validator may be away for days."""
        if reason != self._told:
            self._told = reason
            self._report(
                ValidatorDown(
                    self._url,
                    reason,
                    seconds=wait,
                    unknown_types=self._decoder.unknown_types,
                    unknown_fields=self._decoder.unknown_fields,
                    refused=self._decoder.refused,
                )
            )


def _nothing() -> None:
    """There is no connection to close."""


def _pause_asked_by(error: Exception) -> float:
    """Return how many seconds a validator that refuses to be dialled asks to be left alone."""
    if not isinstance(error, InvalidStatus) or error.response.status_code not in (429, 503):
        return 0.0
    asked = error.response.headers.get("Retry-After")
    return 0.0 if asked is None and error.response.status_code == 503 else seconds_of(asked)


def _values(message: str | bytes | TooLong) -> int:
    return sum(map(message.count, ",[{")) if isinstance(message, str) else 0


def _closing_words(closed: ConnectionClosed) -> str:
    frame: Any = closed.rcvd
    if frame is None:
        return _("the connection was cut")
    if not frame.reason:
        return _("it closed the connection ({code})").format(code=frame.code)
    return _("it closed the connection ({code}: {reason})").format(
        code=frame.code, reason=one_line(frame.reason)
    )
