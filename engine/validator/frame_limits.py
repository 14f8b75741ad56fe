"""uvicorn's WebSocket, with bounds on what it collects before the application sees a message.

    uvicorn.Config(app, ws=bounded(HeldBytes(64 * 2**20)))
    limits = frame_limits(scope)      # in the application
    limits.widen()                    # the worker has signed a hello: frames of 16 MiB

uvicorn by itself collects a message of any age, in any number of pieces, and any number of messages
that came at once. Here a stranger's frames are short, a message has a time to be complete, and what all
connections hold (unfinished, or not done with by the application) is bounded in sum: see
`held_bytes.py` for who has to go.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, Protocol

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState

from engine.poc_protocol.constants import FIRST_FRAME_BYTES, MAX_FRAME_BYTES
from engine.poc_protocol.held_bytes import HeldBytes
from engine.poc_protocol.rate_limit import TokenBucket
from engine.poc_protocol.websocket import MAX_FRAGMENTS, PINGS_A_SECOND, PINGS_AT_ONCE

FRAME_SECONDS = 20.0
"""For a message to be complete, and one more for each `SLOWEST_BYTES` of it that came."""
SLOWEST_BYTES = 128 * 2**10
READ_BYTES, FIRST_READ_BYTES = 64 * 2**10, 4 * 2**10
"""Read from a socket at once: what comes is parsed before the next connection's turn."""
FIRST_PIECES = 64
"""Of a stranger's frame."""
MOST_QUEUED = 512
"""Messages that came at once; while there is one, no more is read from the socket."""
OVERHEAD_BYTES = 256
"""Of a message or a piece of one, in memory."""
CLOSING_SECONDS = 5.0
POLICY_VIOLATION, TOO_BIG, TRY_AGAIN = 1008, 1009, 1013
_KEY = "cpc.frame_limits"


class FrameLimits(Protocol):
    """What the application may ask of a connection."""

    def widen(self) -> None:
        """Take frames of up to 16 MiB; of longer ones up to the double, the decoder refuses them."""

    def cut(self) -> None:
        """End the connection at once: the peer does not read what it is sent."""

    async def send_texts(self, texts: Sequence[str]) -> None:
        """Send messages in one write. Raises OSError where the peer is gone."""


def frame_limits(scope: Any) -> FrameLimits | None:
    """Return the connection's, where `bounded` serves it."""
    limits: FrameLimits | None = scope.get("extensions", {}).get(_KEY)
    return limits


class BoundedSocket(WebSocketsSansIOProtocol):
    """One connection."""

    held: HeldBytes
    seconds: float

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._most, self._pieces = FIRST_FRAME_BYTES, FIRST_PIECES
        self._collected = 0
        self._queued: deque[int] = deque()
        self._at_work = 0
        self._messages = 0
        self._began = 0.0
        self._due: asyncio.TimerHandle | None = None
        self._over = False
        self._pings = TokenBucket(PINGS_A_SECOND, PINGS_AT_ONCE)

    def widen(self) -> None:
        """See FrameLimits."""
        self._most, self._pieces = 2 * MAX_FRAME_BYTES, MAX_FRAGMENTS
        self._read_at_once(READ_BYTES)

    def cut(self) -> None:
        """See FrameLimits."""
        self.transport.abort()

    async def send_texts(self, texts: Sequence[str]) -> None:
        """See FrameLimits."""
        await self.writable.wait()
        if self.disconnected or self.close_sent:
            raise ConnectionError
        try:
            for text in texts:
                self.conn.send_text(text.encode())
        except InvalidState:  # the peer is closing
            raise ConnectionError from None
        self.transport.write(b"".join(self.conn.data_to_send()))

    def connection_made(self, transport: Any) -> None:
        """Begin with a stranger."""
        super().connection_made(transport)
        self._read_at_once(FIRST_READ_BYTES)

    def handle_connect(self, event: Any) -> None:
        """Hand this to the application, beside the rest."""
        super().handle_connect(event)
        if not self.close_sent:
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[_KEY] = self

    def data_received(self, data: bytes) -> None:
        """Take what came, and see what is held now."""
        if self._over:
            return
        messages = self._messages
        super().data_received(data)
        if self._messages != messages or not self._unfinished():
            self._stop_timer()
        if self._unfinished() and self._due is None:
            self._began = self.loop.time()
            self._start_timer()
        if self._unfinished() > self._most + OVERHEAD_BYTES:
            self._too_long()
        self._take_stock()

    def handle_text(self, event: Any) -> None:
        """Begin a message."""
        self._collected = len(event.data)
        super().handle_text(event)

    def handle_bytes(self, event: Any) -> None:
        """Begin a message that the application will refuse."""
        self._collected = len(event.data)
        super().handle_bytes(event)

    def handle_cont(self, event: Any) -> None:
        """Go on with a message."""
        self._collected += len(event.data)
        if len(self.frames) >= self._pieces:
            self._end(POLICY_VIOLATION, "a message has too many pieces")
        else:
            super().handle_cont(event)

    def handle_ping(self) -> None:
        """Answer it; cut off a peer that sends them without end."""
        super().handle_ping()
        if self._pings.take():
            self.cut()

    def send_receive_event_to_app(self) -> None:
        """Queue a whole message."""
        if self._collected > self._most:
            self._too_long()
        if self._over or self.close_sent:
            self.frames = []
            return
        self._queued.append(self._collected + OVERHEAD_BYTES)
        self._collected = 0
        self._messages += 1
        super().send_receive_event_to_app()
        if len(self._queued) > MOST_QUEUED:
            self._end(POLICY_VIOLATION, "it sends too many frames at once")

    async def receive(self) -> Any:
        """Return the next message: the one before is done with."""
        self._at_work = 0
        self._take_stock()
        message = await super().receive()
        if message["type"] == "websocket.receive" and self._queued:
            self._at_work = self._queued.popleft()
        return message

    async def run_asgi(self) -> None:
        """Run the application; the connection ends soon after it, read or not."""
        await super().run_asgi()
        self._cut_soon()

    def keepalive_timeout(self) -> None:
        """End a connection that answers no ping."""
        super().keepalive_timeout()
        self._cut_soon()

    def connection_lost(self, exc: Exception | None) -> None:
        """Hold nothing any more; what was queued before is taken still."""
        self._over = True
        self._stop_timer()
        self.held.set(self, self._address(), 0, self._give_way)
        super().connection_lost(exc)

    def _read_at_once(self, size: int) -> None:
        if hasattr(self.transport, "max_size"):  # asyncio's, without TLS
            self.transport.max_size = size

    def _unfinished(self) -> int:
        pieces = len(self.frames) * OVERHEAD_BYTES
        return len(self.conn.reader.buffer) + self._collected + pieces

    def _take_stock(self) -> None:
        if not self._over:
            size = self._unfinished() + sum(self._queued) + self._at_work
            self.held.set(self, self._address(), size, self._give_way)

    def _address(self) -> str:
        return self.client[0] if self.client else ""

    def _start_timer(self) -> None:
        due = self._began + self.seconds + self._unfinished() / SLOWEST_BYTES
        self._due = self.loop.call_at(due, self._check_time)

    def _check_time(self) -> None:
        self._due = None
        late = self._began + self.seconds + self._unfinished() / SLOWEST_BYTES
        if not self._unfinished() or self._over:
            return
        if self.read_paused:  # it is not its sender that waits
            self._began = self.loop.time()
        elif self.loop.time() >= late:
            self._end(POLICY_VIOLATION, "a frame took too long to be complete")
            return
        self._start_timer()

    def _stop_timer(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _too_long(self) -> None:
        self._end(
            TOO_BIG, f"a frame may have at most {min(self._most, MAX_FRAME_BYTES)} bytes here"
        )

    def _give_way(self) -> None:
        self._end(TRY_AGAIN, "too many bytes are unfinished here: try again later")

    def _end(self, code: int, reason: str) -> None:
        """Close with this reason, and forget all that was collected."""
        if self._over:
            return
        self._let_go()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        if not self.close_sent:
            self.conn.fail(code, reason)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
        self.transport.close()
        self._cut_soon()

    def _let_go(self) -> None:
        self._over = True
        self._stop_timer()
        self.held.set(self, self._address(), 0, self._give_way)
        self.frames = []
        self._queued.clear()
        self._collected = 0
        while not self.queue.empty():
            self.queue.get_nowait()

    def _cut_soon(self) -> None:
        self.loop.call_later(CLOSING_SECONDS, self.transport.abort)


def bounded(held: HeldBytes, seconds: float = FRAME_SECONDS) -> type[BoundedSocket]:
    """Return the protocol for uvicorn, whose connections share `held`."""
    return type("Bounded", (BoundedSocket,), {"held": held, "seconds": seconds})
