"""Limits the number of connections, and closes those that stay silent.

    uvicorn.Config(app, http=at_most(64))

uvicorn by itself accepts every connection, and waits for a request, or the rest of one, for ever.
WebSockets count as connections; uvicorn's pings close the silent ones.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

SILENCE_SECONDS = 20.0
"""For the whole head of a request; then for each further piece of its body."""


def at_most(connections: int, silence: float = SILENCE_SECONDS) -> type[H11Protocol]:
    """Return a protocol for uvicorn that closes connections beyond this many at once."""

    class Limited(H11Protocol):
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            if len(self.connections) > connections:
                transport.abort()
            else:
                self._start_timer()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_timer()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self.conn.their_state is h11.SEND_BODY:
                self._start_timer()
            super().data_received(data)

        def handle_websocket_upgrade(self, event: h11.Request) -> None:
            self._stop_timer()
            super().handle_websocket_upgrade(event)

        def on_response_complete(self) -> None:
            self._start_timer()
            super().on_response_complete()

        def _start_timer(self) -> None:
            self._stop_timer()
            self._timer = self.loop.call_later(silence, self._end_silence)

        def _stop_timer(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _end_silence(self) -> None:
            # A peer whose request is complete waits for the response, however long it takes.
            if self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
                self.transport.abort()

    return Limited
