"""One message from a WebSocket, whole or not at all.

The library closes a connection over a message that is too long. The protocol keeps it open, so the
fragments of such a message are read and thrown away; only a single fragment of more than
`MAX_FRAGMENT_BYTES` still ends the connection, because reading it means holding it in memory.
"""

from gettext import gettext as _
from typing import Any, Final

from websockets.asyncio.connection import Connection

from engine.poc_protocol.constants import MAX_FRAME_BYTES

MAX_FRAGMENT_BYTES = 2 * MAX_FRAME_BYTES
MAX_FRAGMENTS = 4096
"""Of a message that is kept: a peer may send any number of empty fragments."""
MAX_WASTE_BYTES = 16 * MAX_FRAME_BYTES
"""A message that goes on after so much ends the connection."""

SOCKET_LIMITS: Final[dict[str, Any]] = {
    "compression": None,  # a few bytes of it grow to gigabytes
    "max_size": (None, MAX_FRAGMENT_BYTES),
    "max_queue": (2, 1),
}
"""What `websockets`' `connect` and `serve` need for `read_message` to keep these limits."""


class TooLong:
    """A message of more than 16 MiB, or in thousands of pieces, thrown away."""


async def read_message(connection: Connection) -> str | bytes | TooLong:
    """The next message. Raises `websockets.ConnectionClosed`. Must not be cancelled half-way."""
    parts: list[Any] = []
    size, kept = 0, True
    async for part in connection.recv_streaming():
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
