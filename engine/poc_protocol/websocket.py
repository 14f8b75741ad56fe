"""One message from a WebSocket, whole or not at all.

The library closes a connection over a message that is too long. The protocol keeps it open, so the
fragments of such a message are read and thrown away; only a single fragment of more than
`MAX_FRAGMENT_BYTES` still ends the connection, because reading it means holding it in memory.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from gettext import gettext as _
from typing import Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.connection import Connection
from websockets.frames import Opcode

from engine.poc_protocol.constants import MAX_FRAME_BYTES
from engine.poc_protocol.held_bytes import HeldBytes
from engine.poc_protocol.rate_limit import TokenBucket

MAX_FRAGMENT_BYTES = 2 * MAX_FRAME_BYTES
MAX_FRAGMENTS = 4096
"""Of a message that is kept: a peer may send any number of empty fragments."""
MAX_WASTE_BYTES = 16 * MAX_FRAME_BYTES
"""A message that goes on after so much ends the connection."""

MESSAGE_SECONDS = 60.0
"""For the pieces of a message, from the first to the last."""
PINGS_A_SECOND, PINGS_AT_ONCE = 10.0, 100.0
"""Each is answered, and the answers wait in memory where the peer does not read them."""

SOCKET_LIMITS: Final[dict[str, Any]] = {
    "compression": None,  # a few bytes of it grow to gigabytes
    "max_size": (None, MAX_FRAGMENT_BYTES),
    "max_queue": (2, 1),
}
"""What `websockets`' `connect` and `serve` need for `read_message` to keep these limits."""


class BoundedConnection(ClientConnection):
    """A connection whose unfinished bytes count in the sum of all: see `held_bytes.py`."""

    held: HeldBytes

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._pings = TokenBucket(PINGS_A_SECOND, PINGS_AT_ONCE)

    async def send_texts(self, texts: Sequence[str]) -> None:
        """Send messages in one write. Raises `websockets.ConnectionClosed`."""
        async with self.send_context():
            for text in texts:
                self.protocol.send_text(text.encode())

    def data_received(self, data: bytes) -> None:
        """Take what came, unless there is too much of it over all connections."""
        super().data_received(data)
        size = len(self.protocol.reader.buffer)
        self.held.set(self, str(id(self)), size, self.transport.abort)

    def process_event(self, event: Any) -> None:
        """Take a frame; cut off a peer that sends pings without end."""
        if getattr(event, "opcode", None) is Opcode.PING and self._pings.take():
            self.transport.abort()
        super().process_event(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """Hold nothing any more."""
        self.held.set(self, str(id(self)), 0, self.transport.abort)
        super().connection_lost(exc)


class TooLong:
    """A message of more than 16 MiB, or in thousands of pieces, thrown away."""


async def read_message(connection: Connection) -> str | bytes | TooLong:
    """The next message. Raises `websockets.ConnectionClosed`. Must not be cancelled half-way."""
    parts: list[Any] = []
    size, kept = 0, True
    async for part in _in_time(connection):
        size += len(part) + 1
        parts.append(part)
        if size > MAX_FRAME_BYTES + MAX_FRAGMENTS or len(parts) > MAX_FRAGMENTS:
            kept = False
        if not kept:
            parts.clear()
        if size > MAX_WASTE_BYTES:
            await connection.close(1009, _("the message does not end"))
    if not kept:
        return TooLong()
    if len(parts) == 1:
        return parts[0]  # type: ignore[no-any-return]
    return "".join(parts) if isinstance(parts[0], str) else b"".join(parts)


async def _in_time(connection: Connection) -> AsyncIterator[Any]:
    """The pieces of one message; cut the connection where the last comes too late after the first."""
    due: asyncio.TimerHandle | None = None
    try:
        async for part in connection.recv_streaming():
            if due is None:
                loop = asyncio.get_running_loop()
                due = loop.call_later(MESSAGE_SECONDS, connection.transport.abort)
            yield part
    finally:
        if due is not None:
            due.cancel()
