"""Bodies of customers' requests: read only as far as they are wanted, and no longer than that takes.

    async with bodies.read("alice", request, most=2**24) as body:    # bytes
        ...
    async for piece in bodies.pieces(request, size):                 # for what goes to the disk

What is held is bounded for each body, each customer and in sum; what comes, in time. Call it once it
is known that the customer may post: until then a body stays where it is, in the sender's socket.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Bytes and seconds. A body may take `seconds`, and one more for each `slowest` bytes that came."""

    held: int = 96 * 2**20
    held_each: int = 32 * 2**20
    seconds: float = 10.0
    slowest: int = 128 * 2**10


class Bodies:
    """See the module. For one event loop."""

    def __init__(self, limits: BodyLimits | None = None) -> None:
        self._limits = limits or BodyLimits()
        self._held: Counter[str] = Counter()

    @asynccontextmanager
    async def read(self, customer: str, request: Request, most: int) -> AsyncIterator[bytes]:
        """Give the whole body. Raises HTTPException: 408, 413 or 429."""
        parts, size = [], 0
        try:
            async for piece in self.pieces(request, most):
                if (
                    self._held[customer] + len(piece) > self._limits.held_each
                    or self._held.total() + len(piece) > self._limits.held
                ):
                    raise HTTPException(
                        429, "too many bytes are being read already", headers={"Retry-After": "1"}
                    )
                self._held[customer] += len(piece)
                size += len(piece)
                parts.append(piece)
            body = b"".join(parts)
            parts.clear()
            yield body
        finally:
            self._held[customer] -= size
            self._held = +self._held

    async def pieces(self, request: Request, most: int) -> AsyncIterator[bytes]:
        """Give the body in pieces, at most `most` bytes. Raises HTTPException: 400, 408, 413."""
        if declared_size(request) > most:
            raise too_long(most)
        loop, came = asyncio.get_running_loop(), 0
        began = loop.time()
        stream = request.stream().__aiter__()
        while True:
            due = began + self._limits.seconds + came / self._limits.slowest
            try:
                async with asyncio.timeout_at(due):
                    piece = await anext(stream, None)
            except TimeoutError:
                raise HTTPException(
                    408, "the body took too long", headers={"Connection": "close"}
                ) from None
            except ClientDisconnect:
                raise HTTPException(400, "the body has an end before its time") from None
            if piece is None:
                return
            came += len(piece)
            if came > most:
                raise too_long(most)
            if piece:
                yield piece


def declared_size(request: Request) -> int:
    """Return the body's size as its header says, 0 where none does."""
    value = request.headers.get("content-length", "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 16 else 0


def too_long(most: int) -> HTTPException:
    """Return the refusal of a longer body, which is not read: the connection ends with it."""
    return HTTPException(
        413, f"the body may have at most {most} bytes", headers={"Connection": "close"}
    )
