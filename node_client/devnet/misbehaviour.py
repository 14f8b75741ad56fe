"""ASGI middleware between the routes and the wire: carries the Faults of answers out.

app = Misbehaving(create_app(node), faults, stopping)
"""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from node_client.devnet.faults import Faults
from node_client.devnet.lies import REDIRECTED, Lie, falsify, other_height

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_STALL_STEP = 0.02
_JSON: Headers = [(b"content-type", b"application/json")]


class Misbehaving:
    """An ASGI application that answers as `app` does, as far as `faults` lets it."""

    def __init__(self, app: AsgiApp, faults: Faults, stopping: threading.Event) -> None:
        """`stopping`: set when the server stops; stalled answers wait no longer then."""
        self._app = app
        self._faults = faults
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope.get("path", "")
        if scope["type"] != "http" or path.startswith("/devnet/faults"):
            await self._app(scope, receive, send)
            return
        if path.startswith(REDIRECTED):
            self._faults.followed_redirect()
            await self._app({**scope, **_at(path.removeprefix(REDIRECTED))}, receive, send)
            return
        if self._faults.is_unavailable():
            body = json.dumps({"detail": "Node not initialized"}).encode()
            await _answer(send, 503, _JSON, body)
            return
        lies = {telling.kind: telling for telling in self._faults.lies_for(path)}
        if (redirect := lies.pop(Lie.REDIRECT, None)) is not None:
            self._faults.lied(redirect)
            query = scope.get("query_string", b"")
            location = f"{REDIRECTED}{path}".encode() + (b"?" + query if query else b"")
            await _answer(send, 307, [(b"location", location)], b"")
            return
        neighbour = other_height(path)
        if (height := lies.pop(Lie.HEIGHT, None)) is not None and neighbour != path:
            self._faults.lied(height)
            scope = {**scope, **_at(neighbour)}

        status, headers, body = await _ask(self._app, scope, receive)
        while self._faults.is_stalled() and not self._stopping.is_set():
            await asyncio.sleep(_STALL_STEP)
        half = lies.pop(Lie.HALF_BODY, None)
        for telling in lies.values():
            if (false_body := falsify(telling, path, body)) is not None:
                self._faults.lied(telling)
                body = false_body
                status = 200 if telling.kind is Lie.GARBAGE else status
        if half is not None and body:
            self._faults.lied(half)
            # Returning with more_body unanswered makes the server cut the connection.
            await _answer(send, status, headers, body, sent=body[: len(body) // 2])
            return
        await _answer(send, status, headers, body)


def _at(path: str) -> dict[str, Any]:
    return {"path": path, "raw_path": path.encode()}


async def _ask(app: AsgiApp, scope: Scope, receive: Receive) -> tuple[int, Headers, bytes]:
    """The application's whole answer: status, headers without content-length, body."""
    status = 500
    headers: Headers = []
    body = b""

    async def keep(message: Message) -> None:
        nonlocal status, headers, body
        if message["type"] == "http.response.start":
            status = message["status"]
            headers = [pair for pair in message["headers"] if pair[0] != b"content-length"]
        elif message["type"] == "http.response.body":
            body += message.get("body", b"")

    await app(scope, receive, keep)
    return status, headers, body


async def _answer(
    send: Send, status: int, headers: Headers, body: bytes, *, sent: bytes | None = None
) -> None:
    """Send an answer; where `sent` is given, only that much of `body`, and no end."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    whole = sent is None
    await send(
        {"type": "http.response.body", "body": body if sent is None else sent}
        | {"more_body": not whole}
    )
