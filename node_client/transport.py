"""HTTP with one node: bounded in size and time.

    node = HttpNode("http://localhost:8000", timeout=(3.05, 10.0), total=30.0)
    answer = node.exchange("GET", "/status", limit=SMALL_BODY)
    answers, failure = node.post_all("/tx/send", bodies, limit=SMALL_BODY)

Nothing is retried, but for `post_all` as it says, and no redirect is followed; a body is neither
decompressed nor read past its bound; cookies are not kept. Everything that goes wrong on
the way is NodeUnreachable or BadResponse, and names the node by a URL without its credentials
(`failures.py`).
"""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from gettext import gettext as _
from http.cookiejar import DefaultCookiePolicy
from typing import NoReturn
from urllib.parse import SplitResult, urlsplit, urlunsplit

import h11
import requests
import urllib3.exceptions
from certifi import where

from node_client.condense import Condenser
from node_client.deadline import BoundedAdapter, Deadline
from node_client.errors import InvalidData, NodeError
from node_client.failures import Failures
from node_client.pipeline import Line, Post
from node_client.retry_after import RESTS
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
        self._failures = Failures(
            self.name, timeout=timeout, total=total, variable=self._route.variable
        )
        self._line = Line(parts.hostname or "", parts.port, self._tls, timeout)

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
            raise self._failures.busy(seconds)
        outcome = self._exchange(method, path, limit, body, cut, headers)
        if isinstance(outcome, NodeError):
            raise outcome  # here, where no exception of requests can hang on to it
        return outcome

    def close(self) -> None:
        """Close the connections that are kept alive."""
        self._session.close()
        self._line.close()

    def post_all(
        self, path: str, bodies: Sequence[bytes], *, limit: int
    ) -> tuple[list[HttpResponse], NodeError | None]:
        """POST these in their order; return the answers in that order, and why there are no more.

        Several are on the way at a time (`pipeline.py`). Of what has no answer it is not known whether
        it arrived, unless the failure says `nothing_sent`; and some of it may have been sent twice:
        what is sent this way must bear that.
        """
        answers: list[HttpResponse] = []
        if (seconds := RESTS.left(self.name)) > 0:
            return answers, self._failures.busy(seconds)
        if self._route.proxy is not None:  # which may take requests out of their order
            try:
                for body in bodies:
                    answers.append(self.exchange("POST", path, limit=limit, body=body))
            except NodeError as error:
                return answers, error
            return answers, None
        posts = self._posts(path, bodies)
        with Deadline(self._total) as deadline:
            try:
                for answer in self._line.ask(posts, deadline, most=limit):
                    failure = self._failures.in_head(answer.status, answer.headers)
                    if failure is None and len(answer.body) > limit and answer.status == 200:
                        failure = self._failures.too_long(limit)
                    if failure is not None:
                        self._line.close()
                        return answers, failure
                    answers.append(HttpResponse(answer.status, answer.body[:limit]))
            except (urllib3.exceptions.HTTPError, h11.ProtocolError, OSError) as error:
                failed = self._failures.of(error)
            else:
                return answers, None
        return answers, self._failures.too_late() if deadline.passed else failed

    def _posts(self, path: str, bodies: Sequence[bytes]) -> list[Post]:
        """The requests as `exchange` would send them: but for the length they have one head."""
        headers = {"Content-Type": "application/json"}
        prepared = self._session.prepare_request(
            requests.Request("POST", self._base + path, headers)
        )
        host = urlsplit(self._base).netloc.rpartition("@")[2]
        head = [("Host", host), *((str(n), str(v)) for n, v in prepared.headers.items())]
        head = [(name, value) for name, value in head if name.lower() != "content-length"]
        return [
            Post(prepared.path_url, [*head, ("Content-Length", str(len(body)))], body)
            for body in bodies
        ]

    def _tls(self) -> ssl.SSLContext | None:
        return self._route.tls(where())

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
                outcome = self._failures.of(error)
        if deadline.passed and not (isinstance(outcome, HttpResponse) and outcome.cut):
            return self._failures.too_late()
        return outcome

    def _read(
        self, response: requests.Response, limit: int, deadline: Deadline, cut: bool
    ) -> HttpResponse | NodeError:
        status = response.status_code
        headers = {name.lower(): value for name, value in response.headers.items()}
        if (refused := self._failures.in_head(status, headers)) is not None:
            return refused
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
            return self._failures.too_long(limit)
        body = b"".join(pieces)[:limit]
        if deadline.passed and cut and size > SMALL_BODY:
            why = _("it did not come within {total:g} s").format(total=self._total)
            condenser = Condenser(limit)
            condenser.feed(body)
            return HttpResponse(status, condenser.body(), why)
        return HttpResponse(status, body)


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
