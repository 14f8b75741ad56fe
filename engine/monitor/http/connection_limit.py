"""No more connections than so many, and none that keeps its place without asking for anything.

    uvicorn.Config(app, http=at_most(64))

uvicorn by itself takes every connection that the system gives it, and waits for a request, or for the
rest of one, for ever. Connections that have become WebSockets count, and are uvicorn's pings' affair.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

SILENCE_SECONDS = 20.0
"""For the whole head of a request; then for each next piece of its body."""


def at_most(connections: int, silence: float = SILENCE_SECONDS) -> type[H11Protocol]:
    """The protocol of a server with so many connections at the same time: others are cut off."""

    class Few(H11Protocol):
        _look: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > connections:
                transport.abort()
            else:
                self._wait_for_peer()

        def connection_lost(self, exc: Exception | None) -> None:
            self._wait_no_more()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self.conn.their_state is h11.SEND_BODY:
                self._wait_for_peer()
            super().data_received(data)

        def handle_websocket_upgrade(self, event: h11.Request) -> None:
            self._wait_no_more()
            super().handle_websocket_upgrade(event)

        def on_response_complete(self) -> None:
            self._wait_for_peer()
            super().on_response_complete()

        def _wait_for_peer(self) -> None:
            self._wait_no_more()
            self._look = self.loop.call_later(silence, self._end_silence)

        def _wait_no_more(self) -> None:
            if self._look is not None:
                self._look.cancel()
                self._look = None

        def _end_silence(self) -> None:
            # Who has said everything waits for this server, however long the answer takes.
            if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
                self.transport.abort()

    return Few
