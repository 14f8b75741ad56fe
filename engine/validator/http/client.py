"""A customer's end of the market over HTTP.

    market = MarketClient("http://localhost:8080", token="cpc_...")
    posted = market.post("synthetic", payload, reward="10", deadline=time.time() + 3600)
    task = market.task(posted["task_id"])

Answers are bounded in size and time. What is raised is a MarketError, MarketRefused, or BadInput.
"""

import json
import time
from collections.abc import Callable, Iterator
from gettext import gettext as _
from typing import Any, BinaryIO
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

import requests

from engine.runtime.errors import BadInput, EngineError
from node_client.retry_after import seconds_of
from node_client.route import route_to

ANSWER_BYTES = 32 * 2**20
TIMEOUT = (3.05, 30.0)
LONGEST_WAIT = 30.0
"""Seconds for which a market that gets too many requests is waited for, in all; then it is told."""
_PIECE = 2**16


class MarketError(EngineError):
    """The market cannot be reached, or its answer is not a market's."""

    exit_code = 3
    advice = _("Check the market's address (--market) and that the validator runs.")


class MarketRefused(EngineError):
    """The market refused a request. `status` is HTTP's."""

    exit_code = 3

    def __init__(self, status: int, detail: str, *, advice: str | None = None) -> None:
        super().__init__(_("the market refused: {detail}").format(detail=detail), advice=advice)
        self.status = status


class MarketClient:
    """See the module."""

    def __init__(
        self, url: str, token: str | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Raises BadInput for an invalid address or token, InvalidData for the way to it."""
        self._base = url.rstrip("/")
        self.url = _shown(self._base)
        """Without user and password."""
        self._sleep = sleep
        self._session = route_to(url).session()
        self._session.headers["user-agent"] = "cpc-engine"
        if token is not None:
            if not (token.isascii() and token.isprintable()) or " " in token:
                raise BadInput(_("the token is not valid: it is one word, cpc_..."))
            self._session.headers["authorization"] = f"Bearer {token}"

    def post(
        self, challenge_type: str, payload: dict[str, Any], *, reward: str, deadline: float
    ) -> dict[str, Any]:
        """Post a task; return its `task_id`, `status` and `created_at`."""
        task = {
            "challenge_type": challenge_type,
            "payload": payload,
            "reward": reward,
            "deadline": deadline,
        }
        return self._json("POST", "/tasks", body=json.dumps(task).encode())

    def task(self, task_id: str) -> dict[str, Any]:
        """Return one task."""
        return self._json("GET", f"/tasks/{quote(task_id, safe='')}")

    def tasks(self, **filters: Any) -> dict[str, Any]:
        """Return tasks; filters: `status`, `challenge_type`, `limit`, `offset`."""
        given = {name: value for name, value in filters.items() if value is not None}
        return self._json("GET", f"/tasks?{urlencode(given)}")

    def data(self, task_id: str) -> bytes:
        """Return the bytes of a closed task's result."""
        return self._exchange(
            "GET", f"/tasks/{quote(task_id, safe='')}/data", most=2**30, retried=True
        )

    def receipt(self, task_id: str) -> bytes:
        """Return the receipt of a completed task, as its file is."""
        path = f"/tasks/{quote(task_id, safe='')}/receipt"
        return self._exchange("GET", path, most=ANSWER_BYTES, retried=True)

    def put_blob(self, sha256: str, content: bytes | BinaryIO) -> None:
        """Upload bytes that a payload names; a file's are read as they are sent."""
        self._json("PUT", f"/blobs/{sha256}", body=content, kind="application/octet-stream")

    def account(self) -> dict[str, Any]:
        """Return the customer's own account."""
        return self._json("GET", "/account")

    def _json(
        self,
        method: str,
        path: str,
        body: bytes | BinaryIO | None = None,
        kind: str = "application/json",
    ) -> dict[str, Any]:
        content = self._exchange(
            method, path, body=body, kind=kind, most=ANSWER_BYTES, retried=method == "GET"
        )
        try:
            value = json.loads(content)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise MarketError(_("{url} does not answer as a market does").format(url=self.url))
        return value

    def _exchange(
        self,
        method: str,
        path: str,
        *,
        most: int,
        retried: bool,
        body: bytes | BinaryIO | None = None,
        kind: str = "",
    ) -> bytes:
        headers = {} if body is None else {"content-type": kind}
        waited, failed = 0.0, False
        while True:
            if body is not None and not isinstance(body, bytes):
                body.seek(0)  # it may be sent again
            try:
                with self._session.request(
                    method,
                    self._base + path,
                    data=body,
                    headers=headers,
                    timeout=TIMEOUT,
                    stream=True,
                    allow_redirects=False,
                ) as answer:
                    content = b"".join(_bounded(answer, most))
                    status = answer.status_code
            except requests.RequestException as error:
                if retried and not failed:
                    failed = True
                    continue  # a kept-alive connection may be gone
                raise MarketError(
                    _("no answer from {url}: {error}").format(url=self.url, error=_reason(error))
                ) from None
            wait = seconds_of(answer.headers.get("Retry-After"))
            if status != 429 or waited + wait > LONGEST_WAIT:
                break
            self._sleep(wait)  # it did nothing with the request: sending it again is safe
            waited += wait
        if 200 <= status < 300:
            return content
        raise MarketRefused(
            status, _detail(content) or f"HTTP {status}", advice=_ADVICE.get(status)
        )


_ADVICE = {
    401: _("Give your token: --token-file FILE, or CPC_TOKEN. The validator's operator issues it."),
    402: _("Post with a smaller --reward, or ask the validator's operator for credit."),
    404: _("Look at what there is: cpc-engine tasks list"),
    429: _("Wait a little and try again."),
}


def _shown(url: str) -> str:
    """Return the URL as it may be printed. Raises BadInput where it is none."""
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine or not url.isprintable():
        shown = url.rpartition("@")[2][:80]
        advice = _("It looks like http://localhost:8080")
        raise BadInput(_("{url!r} is not an HTTP address").format(url=shown), advice=advice)
    credentials, at, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"***@{host}" if at and credentials else host))


def _bounded(answer: requests.Response, most: int) -> Iterator[bytes]:
    size = 0
    for piece in answer.iter_content(_PIECE):
        size += len(piece)
        if size > most:
            raise MarketError(_("an answer of more than {most} bytes").format(most=most))
        yield piece


def _reason(error: requests.RequestException) -> str:
    match error:
        case requests.Timeout():
            return _("it took too long")
        case requests.ConnectionError():
            return _("no connection")
        case _:
            return type(error).__name__


def _detail(content: bytes) -> str:
    """Return the sentence of an error, or nothing."""
    try:
        detail = json.loads(content)["detail"]
    except (ValueError, KeyError, TypeError):
        return ""
    text = detail if isinstance(detail, str) else ""
    return "".join(c if c.isprintable() else "\ufffd" for c in text[:500])
