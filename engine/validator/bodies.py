"""Refuses a request whose body is too long, before it is in memory, with 413."""

import contextlib
import json

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class _TooLong(Exception):
    """More came than may."""


class BodyLimit:
    """ASGI middleware: JSON bodies up to `most` bytes, blobs (PUT /blobs/...) up to `most_blob`."""

    def __init__(self, app: ASGIApp, *, most: int, most_blob: int) -> None:
        self._app = app
        self._most = most
        self._most_blob = most_blob

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._most_blob if scope["path"].startswith("/blobs/") else self._most
        came, begun = _declared(scope), False
        if came > most:
            await _refuse(send, most)
            return
        came = 0

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > most:
                raise _TooLong
            return message

        async def watched(message: Message) -> None:
            nonlocal begun
            if came <= most:  # else this is how the application takes the end of its input
                begun = True
                await send(message)

        with contextlib.suppress(_TooLong):
            await self._app(scope, counted, watched)
        if came > most and not begun:
            await _refuse(send, most)


def _declared(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


async def _refuse(send: Send, most: int) -> None:
    body = json.dumps({"detail": f"the body may have at most {most} bytes"}).encode()
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
