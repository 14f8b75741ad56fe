"""Frames on their way to one peer; sending one never waits for the network.

outbox = Outbox(frames=64, size=2**20)
outbox.put(frame)                              # from the event loop's own thread
reason = await outbox.run(connection.send)     # until it is closed; why it was
"""

import asyncio
from collections.abc import Awaitable, Callable
from gettext import gettext as _

from engine.poc_protocol.frames import Frame, encode


class Outbox:
    """A bounded queue; a peer that does not read closes it."""

    def __init__(
        self,
        *,
        frames: int,
        size: int,
        on_overflow: Callable[[], object] = lambda: None,
        on_size: Callable[[int], object] = lambda _size: None,
    ) -> None:
        """At most `frames` frames, of `size` bytes of text together, wait to be sent.

        `on_size` is told how many bytes wait whenever that changes.
        """
        self.reason = ""
        """Why it was closed."""
        self._most_frames = frames
        self._most_bytes = size
        self._on_overflow = on_overflow
        self._on_size = on_size
        self._waiting: asyncio.Queue[str | None] = asyncio.Queue()
        self._bytes = 0

    def put(self, frame: Frame) -> None:
        """Send the frame when its turn comes, unless the outbox is closed."""
        if self.reason:
            return
        text = encode(frame)
        if self._waiting.qsize() >= self._most_frames or self._bytes + len(text) > self._most_bytes:
            self.overflow()
        else:
            self._waiting.put_nowait(text)
            self._add(len(text))

    def close(self, reason: str) -> None:
        """Take no more frames; those that wait are sent still."""
        if not self.reason:
            self.reason = reason
            self._waiting.put_nowait(None)

    async def run(
        self, send: Callable[[str], Awaitable[None]], patience: float | None = None
    ) -> str:
        """Send what waits until the outbox is closed, and return why it was.

        A frame that takes longer than `patience` seconds closes it. Raises what `send` raises.
        """
        while (text := await self._waiting.get()) is not None:
            try:
                async with asyncio.timeout(patience):
                    await send(text)
            except TimeoutError:
                self.overflow()
                break
            self._add(-len(text))
        return self.reason

    def overflow(self) -> None:
        """Close it: what waits is more than there is room for."""
        self.close(_("it does not read what it is sent"))
        self._on_overflow()

    def _add(self, size: int) -> None:
        self._bytes += size
        self._on_size(self._bytes)
