"""Refuses a body that is too long before it is in memory: with 413, or 401 without a token."""

import contextlib
import json
from collections.abc import Callable

from fastapi.security.utils import get_authorization_scheme_param
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ANONYMOUS_BYTES = 64 * 2**10
"""The longest body that is read and parsed without a customer's token."""


class _TooLong(Exception):
    """The body is longer than allowed."""


class BodyLimit:
    """ASGI middleware: JSON bodies up to `most` bytes, blobs (PUT /blobs/...) up to `most_blob`.

    What is longer than ANONYMOUS_BYTES needs a token for which `knows` is true.
    """

    def __init__(
        self, app: ASGIApp, *, most: int, most_blob: int, knows: Callable[[str], bool]
    ) -> None:
        self._app = app
        self._most = most
        self._most_blob = most_blob
        self._knows = knows

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting its bytes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        most = self._most_blob if scope["path"].startswith("/blobs/") else self._most
        allowed = min(most, ANONYMOUS_BYTES)
        came, begun = _declared(headers), False
        may_be_long = came > allowed or "transfer-encoding" in headers
        if may_be_long and self._is_known(headers):
            allowed = most
        if came > allowed:
            await _refuse(send, allowed, most)
            return
        came = 0

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > allowed:
                raise _TooLong
            return message

        async def watched(message: Message) -> None:
            nonlocal begun
            if came <= allowed:  # else this is how the application takes the end of its input
                begun = True
                await send(message)

        with contextlib.suppress(_TooLong):
            await self._app(scope, counted, watched)
        if came > allowed and not begun:
            await _refuse(send, allowed, most)

    def _is_known(self, headers: Headers) -> bool:
        scheme, token = get_authorization_scheme_param(headers.get("authorization"))
        return scheme.lower() == "bearer" and self._knows(token)


def _declared(headers: Headers) -> int:
    value = headers.get("content-length", "")
    return int(value) if value.isascii() and value.isdigit() else 0


async def _refuse(send: Send, allowed: int, most: int) -> None:
    detail = f"the body may have at most {most} bytes"
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    if allowed < most:
        detail = f"a body of more than {allowed} bytes needs a customer's token"
        headers.append((b"www-authenticate", b"Bearer"))
    body = json.dumps({"detail": detail}).encode()
    status = 401 if allowed < most else 413
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
