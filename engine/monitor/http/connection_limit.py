"""Limits the number of connections, and closes those that stay silent, or do not read.

    uvicorn.Config(app, http=at_most(64))

uvicorn by itself accepts every connection, and waits for a request, or the rest of one, for ever.
WebSockets count as connections; uvicorn's pings close the silent ones.
"""

import asyncio
from collections import Counter
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

SILENCE_SECONDS = 20.0
"""For the whole head of a request, and each further piece of its body; to read each of the answer's."""


def at_most(connections: int, silence: float = SILENCE_SECONDS) -> type[H11Protocol]:
    """Return a protocol for uvicorn that closes connections beyond this many at once.

    Where there are as many, a new one gets the place of one that asks for nothing.
    """
    http: dict[Any, str] = {}  # open ones, the oldest first, with their addresses

    class Limited(H11Protocol):
        _timer: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            http[self] = self.client[0] if self.client else ""
            if len(self.connections) > connections and not self._take_place():
                transport.abort()
            else:
                self._start_timer()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_timer()
            http.pop(self, None)
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self.conn.their_state is h11.SEND_BODY:
                self._start_timer()
            super().data_received(data)

        def handle_websocket_upgrade(self, event: h11.Request) -> None:
            self._stop_timer()
            http.pop(self, None)
            super().handle_websocket_upgrade(event)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._start_timer()

        def on_response_complete(self) -> None:
            self._start_timer()
            super().on_response_complete()

        def _take_place(self) -> bool:
            """Cut a connection that asks for nothing: of the address with most of them, the oldest."""
            idle = [one for one in http if one is not self and one.is_idle()]
            if not idle:
                return False
            count = Counter(http[one] for one in idle)
            busiest = max(count, key=count.__getitem__)
            victim = next(one for one in idle if http[one] == busiest)
            del http[victim]
            victim.transport.abort()
            return True

        def is_idle(self) -> bool:
            """Return whether no request of it is being answered."""
            return self.cycle is None or self.cycle.response_complete

        def _start_timer(self) -> None:
            self._stop_timer()
            self._timer = self.loop.call_later(silence, self._end_silence)

        def _stop_timer(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _end_silence(self) -> None:
            # A peer whose request is complete waits for the response, however long it takes, and reads.
            if self.conn.their_state in (h11.IDLE, h11.SEND_BODY) or self.flow.write_paused:
                self.transport.abort()

    return Limited
