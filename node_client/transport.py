"""One HTTP exchange with one node: bounded in size and time, and never more than one request.

    node = HttpNode("http://localhost:8000", timeout=(3.05, 10.0), total=30.0)
    answer = node.exchange("GET", "/status", limit=SMALL_BODY)

Nothing is retried and no redirect is followed; a body is neither decompressed nor read past its
bound; cookies are not kept. Everything that goes wrong on the way is NodeUnreachable or BadResponse,
and names the node by a URL without its credentials.
"""

import http.client
import re
from collections.abc import Mapping
from dataclasses import dataclass
from gettext import gettext as _
from http.cookiejar import DefaultCookiePolicy
from typing import NoReturn
from urllib.parse import SplitResult, urlsplit, urlunsplit

import requests
import urllib3.exceptions

from node_client.condense import Condenser
from node_client.deadline import BoundedAdapter, Deadline
from node_client.errors import BadResponse, InvalidData, NodeBusy, NodeError, NodeUnreachable
from node_client.retry_after import RESTS, seconds_of
from node_client.route import is_this_machine, route_to

SMALL_BODY = 64 * 2**10
"""Bound, in bytes, of every answer but a block's: the node's have a few hundred bytes."""

MOST_STREAMED = 2**30
"""Bound, in bytes, of a body of which only parts are kept. It is read as long as there is time."""

_PIECE = 64 * 2**10


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A status code and a body of at most the bound's bytes.

    `cut`: why this is not the whole body; "" where it is.
    """

    status: int
    body: bytes
    cut: str = ""


class HttpNode:
    """One node. `name` is its URL as it may be shown: without user and password."""

    def __init__(
        self, url: str, *, timeout: tuple[float, float], total: float, token: str | None = None
    ) -> None:
        """`timeout`: seconds for a connection and for each read; `total`: for a whole exchange.

        `token`: sent with each request, as a bearer token (RFC 6750).

        Raises InvalidData unless it is an http or https URL, and for a proxy or certificates in the
        environment that cannot be used.
        """
        parts = _checked(url)
        self._base = urlunsplit(parts)
        self.name = urlunsplit(parts._replace(netloc=_without_credentials(parts)))
        self.is_exposed = parts.scheme == "http" and not is_this_machine(parts.hostname or "")
        """Whether anyone between here and the node can read and change what is said."""
        self._timeout = timeout
        self._total = total
        self._route = route_to(self._base)
        self._session = self._route.session()
        self._session.headers.update({"User-Agent": "cpc-engine", "Accept-Encoding": "identity"})
        if token is not None:
            self._session.headers["Authorization"] = f"Bearer {token}"
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.mount("http://", BoundedAdapter())
        self._session.mount("https://", BoundedAdapter())

    def exchange(
        self,
        method: str,
        path: str,
        *,
        limit: int,
        body: bytes | None = None,
        cut: bool = False,
        headers: Mapping[str, str] = {},
    ) -> HttpResponse:
        """Send one request and read its answer. Raises NodeUnreachable, NodeBusy or BadResponse.

        A node that asked to be left alone is not asked before that time is over.

        With `cut` a body that is too long, or not there in time, is no error: what came of it is
        given condensed (`condense.py`), if more than a small body's worth has come.
        """
        if (seconds := RESTS.left(self.name)) > 0:
            raise self._busy(seconds)
        outcome = self._exchange(method, path, limit, body, cut, headers)
        if isinstance(outcome, NodeError):
            raise outcome  # here, where no exception of requests can hang on to it
        return outcome

    def close(self) -> None:
        """Close the connections that are kept alive."""
        self._session.close()

    def _exchange(
        self,
        method: str,
        path: str,
        limit: int,
        body: bytes | None,
        cut: bool,
        more: Mapping[str, str],
    ) -> HttpResponse | NodeError:
        headers = ({} if body is None else {"Content-Type": "application/json"}) | dict(more)
        with Deadline(self._total) as deadline:
            try:
                with self._session.request(
                    method,
                    self._base + path,
                    data=body,
                    headers=headers,
                    timeout=self._timeout,
                    allow_redirects=False,
                    stream=True,
                ) as response:
                    outcome = self._read(response, limit, deadline, cut)
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                outcome = self._failure(error)
        if deadline.passed and not (isinstance(outcome, HttpResponse) and outcome.cut):
            return NodeUnreachable(
                _("{name} gave no whole answer within {total:g} s").format(
                    name=self.name, total=self._total
                )
            )
        return outcome

    def _read(
        self, response: requests.Response, limit: int, deadline: Deadline, cut: bool
    ) -> HttpResponse | NodeError:
        status = response.status_code
        if status == 429 or (status == 503 and "Retry-After" in response.headers):
            seconds = seconds_of(response.headers.get("Retry-After"))
            RESTS.begin(self.name, seconds)
            return self._busy(seconds)
        if status == 407:
            return self._no_way(_("it wants a user and a password (407)"))
        if 300 <= status < 400:
            return BadResponse(
                _("{name} answered with a redirect ({status}), and none is followed").format(
                    name=self.name, status=status
                )
            )
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            return BadResponse(
                _("{name} sent a compressed answer, which was not asked for").format(name=self.name)
            )
        pieces: list[bytes] = []
        size = 0
        condenser: Condenser | None = None
        most = MOST_STREAMED if cut and status == 200 else limit
        try:
            while piece := response.raw.read1(_PIECE, decode_content=False):
                size += len(piece)
                if condenser is None:
                    pieces.append(piece)
                else:
                    condenser.feed(piece)
                if deadline.passed or size > most:
                    break
                if size > limit and condenser is None:
                    condenser = Condenser(limit)
                    while pieces:
                        condenser.feed(pieces.pop(0))
                if condenser is not None and condenser.full:
                    break
        except (urllib3.exceptions.HTTPError, OSError):
            if not deadline.passed:
                raise
        if condenser is not None:
            why = _("it has more than {limit} bytes").format(limit=limit)
            return HttpResponse(status, condenser.body(), why)
        # What came with an error is only looked at for a reason: its beginning is enough.
        if size > limit and status == 200:
            return BadResponse(
                _("{name} sent more than {limit} bytes, too long for such an answer").format(
                    name=self.name, limit=limit
                )
            )
        body = b"".join(pieces)[:limit]
        if deadline.passed and cut and size > SMALL_BODY:
            why = _("it did not come within {total:g} s").format(total=self._total)
            condenser = Condenser(limit)
            condenser.feed(body)
            return HttpResponse(status, condenser.body(), why)
        return HttpResponse(status, body)

    def _failure(self, error: Exception) -> NodeError:
        """The same in our own words."""
        causes = _causes(error)
        # Before all others: it wraps what the proxy, and not the node, did.
        if _is_among(causes, urllib3.exceptions.ProxyError, requests.exceptions.ProxyError):
            refused = re.search(r"Tunnel connection failed: ([0-9]{3})", str(error))
            reason = f"HTTP {refused[1]}" if refused else _strerror(causes)
            return self._no_way(reason or _("no connection"))
        if _is_among(causes, urllib3.exceptions.NameResolutionError):
            return self._unreachable(_("its name is not known"), nothing_sent=True)
        # In this order: a refused connection is a kind of ConnectTimeoutError, too.
        if _is_among(causes, urllib3.exceptions.NewConnectionError):
            return self._unreachable(_strerror(causes) or _("no connection"), nothing_sent=True)
        if _is_among(causes, urllib3.exceptions.ConnectTimeoutError):
            reason = _("no connection within {timeout:g} s").format(timeout=self._timeout[0])
            return self._unreachable(reason, nothing_sent=True)
        if _is_among(causes, urllib3.exceptions.SSLError, requests.exceptions.SSLError):
            return NodeUnreachable(
                _("{name} does not answer: {reason}").format(
                    name=self.name, reason=_("TLS failed: certificate or protocol")
                ),
                advice=_(
                    "Where its certificate is by an authority of your own, name that one's file:"
                    " REQUESTS_CA_BUNDLE=/path/ca.pem."
                ),
            )
        if _is_among(causes, urllib3.exceptions.ReadTimeoutError, requests.exceptions.ReadTimeout):
            return self._unreachable(
                _("no answer within {timeout:g} s").format(timeout=self._timeout[1])
            )
        if _is_among(causes, urllib3.exceptions.IncompleteRead, http.client.IncompleteRead):
            return BadResponse(
                _("{name} sent a part of an answer, and no more").format(name=self.name)
            )
        # RemoteDisconnected is a bad status line, too: no answer at all, rather than a wrong one.
        if _is_among(causes, ConnectionError):
            return self._unreachable(_strerror(causes) or _("it broke the connection off"))
        return BadResponse(_("{name} sent a response that is not HTTP").format(name=self.name))

    def _busy(self, seconds: float) -> NodeBusy:
        message = _("{name} gets too many requests, and asks to be left alone for {seconds:.0f} s")
        shown = message.format(name=self.name, seconds=max(seconds, 1.0))
        return NodeBusy(shown, seconds=seconds)

    def _no_way(self, reason: str) -> NodeUnreachable:
        """The proxy's failure: it passed nothing on."""
        variable = self._route.variable or "HTTP_PROXY"
        return NodeUnreachable(
            _("{name} is not reached: the proxy that {variable} names fails: {reason}").format(
                name=self.name, variable=variable, reason=reason
            ),
            advice=_(
                "Correct {variable}, unset it, or leave the node's host out: NO_PROXY=HOST."
            ).format(variable=variable),
            nothing_sent=True,
        )

    def _unreachable(self, reason: str, *, nothing_sent: bool = False) -> NodeUnreachable:
        return NodeUnreachable(
            _("{name} does not answer: {reason}").format(name=self.name, reason=reason),
            advice=_("Check that the node runs: curl {name}/status").format(name=self.name),
            nothing_sent=nothing_sent,
        )


def _causes(error: BaseException) -> list[BaseException]:
    """An exception of requests with all that it wraps, in any of the ways in which it does."""
    found: list[BaseException] = []
    waiting: list[object] = [error]
    while waiting:
        this = waiting.pop(0)
        if not isinstance(this, BaseException) or any(this is known for known in found):
            continue
        found.append(this)
        waiting += [*this.args, getattr(this, "reason", None), this.__cause__, this.__context__]
    return found


def _is_among(causes: list[BaseException], *kinds: type[BaseException]) -> bool:
    return any(isinstance(cause, kinds) for cause in causes)


def _strerror(causes: list[BaseException]) -> str:
    words = (cause.strerror for cause in causes if isinstance(cause, OSError))
    return next((text.lower() for text in words if isinstance(text, str)), "")


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port  # raises for an invalid port
    except ValueError:
        _refuse(url)
    if not fine or parts.query or parts.fragment or not url.isprintable() or " " in url:
        _refuse(url)
    return parts._replace(path=parts.path.rstrip("/"))


def _refuse(url: str) -> NoReturn:
    shown = url.rpartition("@")[2][:100]
    raise InvalidData(
        _("{shown!r} is not a node's URL").format(shown=shown),
        advice=_("Write it as http://HOST:PORT or https://HOST, such as http://localhost:8000."),
    ) from None


def _without_credentials(parts: SplitResult) -> str:
    credentials, at, host = parts.netloc.rpartition("@")
    return f"***@{host}" if at and credentials else host
