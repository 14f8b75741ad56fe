"""Who may send which request to a running engine: a pure decision, and the middleware that enforces it.

Three threats, two of them from web pages that the operator happens to look at:

* a page posts to http://127.0.0.1:9180 (CSRF): a POST needs the token; where there is none, a header
  that no page may add to a request to another site, and its Origin, if any, must be ours
* a name of the attacker's resolves to 127.0.0.1 (DNS rebinding): without a token only the names
  of this machine are accepted in Host
* anyone in the network: a port that other machines reach is not opened without a token, which every
  request must carry but those for the page itself and for /healthz

Source: OWASP Cross-Site Request Forgery Prevention Cheat Sheet; RFC 6750 (bearer tokens).
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from gettext import gettext as _
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OUR_HEADER = "x-cpc-engine"
_SCRIPTS = ("/common.js", "/page.js", "/charts.js", "/fleet.js")
OPEN_PATHS = frozenset({"/", "/page.css", "/icon.svg", "/healthz", *_SCRIPTS})
"""They tell nothing of the engine's state but whether it is healthy."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""Of every response: the page loads nothing from other hosts and is shown in no frame."""
_NAMES_OF_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class HttpRefusal:
    """An HTTP status and a sentence."""

    status: int
    detail: str


def refusal_of(
    method: str,
    path: str,
    headers: Mapping[str, str],
    token: str | None,
    reading: str | None = None,
) -> HttpRefusal | None:
    """Return why this request is refused, None if it is not. Names of headers are in lower case.

    `reading`: a second token, which may look and change nothing.
    """
    host = headers.get("host", "")
    if token is None and _name_in(host) not in _NAMES_OF_THIS_MACHINE:
        return HttpRefusal(421, _("Ask for 127.0.0.1 or localhost: other names need a token."))
    if token is not None and path not in OPEN_PATHS and not _is_given(token, headers):
        if reading is not None and _is_given(reading, headers):
            if method in ("GET", "HEAD"):
                return None
            return HttpRefusal(403, _("This token may look only; pausing needs the other one."))
        return HttpRefusal(401, _("Send the token: Authorization: Bearer TOKEN."))
    # With the token no page of another site has sent it. A reverse proxy changes Host or Origin.
    if token is None and method not in ("GET", "HEAD"):
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return HttpRefusal(
                403,
                _(
                    "Another site's page may not ask for this. A reverse proxy needs --http-token-file."
                ),
            )
        if OUR_HEADER not in headers:
            return HttpRefusal(403, _("Send the header X-CPC-Engine: 1 with this."))
    return None


def _is_given(token: str, headers: Mapping[str, str]) -> bool:
    scheme, _space, given = headers.get("authorization", "").strip().partition(" ")
    fits = hmac.compare_digest(given.strip().encode(), token.encode())
    return scheme.lower() == "bearer" and fits  # RFC 9110, 11.1: the scheme in either case


def _name_in(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


class AuthMiddleware:
    """Middleware that passes no request on that `refusal_of` refuses."""

    def __init__(self, app: ASGIApp, token: str | None, reading: str | None = None) -> None:
        self._app = app
        self._tokens = token, reading

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request, or pass it on."""

        async def harden(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        app = self._app
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            refusal = refusal_of(scope["method"], scope["path"], headers, *self._tokens)
            if refusal is not None:
                challenge = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else None
                app = JSONResponse({"detail": refusal.detail}, refusal.status, challenge)
        await app(scope, receive, harden)
