"""Frames on their way to one peer; sending one never waits for the network.

outbox = Outbox(frames=64, size=2**20)
outbox.put(frame)                              # from the event loop's own thread
reason = await outbox.run(connection.send_texts)   # until it is closed; why it was

What waits together is sent together: one system call, and one wake-up of the peer.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from gettext import gettext as _

from engine.poc_protocol.frames import Frame, encode

TOGETHER_BYTES = 64 * 2**10
"""Of frames that are sent together, at most; a longer one goes alone."""

TOLD_BYTES = 4 * 2**10


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

        `on_size` is told how many bytes wait, to within `TOLD_BYTES`.
        """
        self.reason = ""
        """Why it was closed."""
        self._most_frames = frames
        self._most_bytes = size
        self._on_overflow = on_overflow
        self._on_size = on_size
        self._waiting: asyncio.Queue[str | None] = asyncio.Queue()
        self._bytes = 0
        self._told = 0

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
        self, send: Callable[[Sequence[str]], Awaitable[None]], patience: float | None = None
    ) -> str:
        """Send what waits until the outbox is closed, and return why it was.

        Frames that take longer than `patience` seconds close it. Raises what `send` raises.
        """
        ends = False
        while not ends and (first := await self._waiting.get()) is not None:
            texts, size = [first], len(first)
            while size < TOGETHER_BYTES and not self._waiting.empty():
                text = self._waiting.get_nowait()
                if ends := text is None:
                    break
                texts.append(text)
                size += len(text)
            try:
                async with asyncio.timeout(patience):
                    await send(texts)
            except TimeoutError:
                self.overflow()
                break
            self._add(-size)
        return self.reason

    def overflow(self) -> None:
        """Close it: what waits is more than there is room for."""
        self.close(_("it does not read what it is sent"))
        self._on_overflow()

    def _add(self, size: int) -> None:
        self._bytes += size
        if abs(self._bytes - self._told) >= TOLD_BYTES:
            self._told = self._bytes
            self._on_size(self._bytes)
