"""Everything that goes wrong between a node and us, as NodeUnreachable or BadResponse in our own words.

failures = Failures(name, timeout=(3.05, 10.0), total=30.0, variable="HTTP_PROXY")
failures.of(error)                    # an exception of requests, urllib3, h11 or the system
failures.in_head(status, headers)     # an answer that is refused as it begins; None for others
"""

import http.client
import re
import ssl
from collections.abc import Mapping
from gettext import gettext as _

import requests
import urllib3.exceptions

from node_client.errors import BadResponse, NodeBusy, NodeError, NodeUnreachable
from node_client.pipeline import PartOfAnswer
from node_client.retry_after import RESTS, seconds_of


class Failures:
    """One node's, by a name without its credentials."""

    def __init__(
        self, name: str, *, timeout: tuple[float, float], total: float, variable: str
    ) -> None:
        """`timeout` and `total` in seconds; `variable`: that which names the proxy on the way."""
        self.name = name
        self._timeout = timeout
        self._total = total
        self._variable = variable

    def in_head(self, status: int, headers: Mapping[str, str]) -> NodeError | None:
        """Return what an answer's status and headers, in lower case, say already; None for nothing.

        A node that wants to be left alone is, from now on.
        """
        if status == 429 or (status == 503 and "retry-after" in headers):
            seconds = seconds_of(headers.get("retry-after"))
            RESTS.begin(self.name, seconds)
            return self.busy(seconds)
        if status == 407:
            return self._no_way(_("it wants a user and a password (407)"))
        if 300 <= status < 400:
            return BadResponse(
                _("{name} answered with a redirect ({status}), and none is followed").format(
                    name=self.name, status=status
                )
            )
        if headers.get("content-encoding", "identity").lower() != "identity":
            return BadResponse(
                _("{name} sent a compressed answer, which was not asked for").format(name=self.name)
            )
        return None

    def too_long(self, limit: int) -> BadResponse:
        """Return that there was more than so many bytes."""
        return BadResponse(
            _("{name} sent more than {limit} bytes, too long for such an answer").format(
                name=self.name, limit=limit
            )
        )

    def too_late(self) -> NodeUnreachable:
        """Return that the whole time was over."""
        return NodeUnreachable(
            _("{name} gave no whole answer within {total:g} s").format(
                name=self.name, total=self._total
            )
        )

    def of(self, error: Exception) -> NodeError:
        """Return what this exception of requests, urllib3, h11 or the system says."""
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
        if _is_among(
            causes, urllib3.exceptions.SSLError, requests.exceptions.SSLError, ssl.SSLError
        ):
            return NodeUnreachable(
                _("{name} does not answer: {reason}").format(
                    name=self.name, reason=_("TLS failed: certificate or protocol")
                ),
                advice=_(
                    "Where its certificate is by an authority of your own, name that one's file:"
                    " REQUESTS_CA_BUNDLE=/path/ca.pem."
                ),
            )
        # A timeout of the connection itself was told apart above.
        if _is_among(
            causes,
            urllib3.exceptions.ReadTimeoutError,
            requests.exceptions.ReadTimeout,
            TimeoutError,
        ):
            return self._unreachable(
                _("no answer within {timeout:g} s").format(timeout=self._timeout[1])
            )
        if _is_among(
            causes, urllib3.exceptions.IncompleteRead, http.client.IncompleteRead, PartOfAnswer
        ):
            return BadResponse(
                _("{name} sent a part of an answer, and no more").format(name=self.name)
            )
        # RemoteDisconnected is a bad status line, too: no answer at all, rather than a wrong one.
        if _is_among(causes, ConnectionError):
            return self._unreachable(_strerror(causes) or _("it broke the connection off"))
        return BadResponse(_("{name} sent a response that is not HTTP").format(name=self.name))

    def busy(self, seconds: float) -> NodeBusy:
        """Return that it is to be left alone for so long."""
        message = _("{name} gets too many requests, and asks to be left alone for {seconds:.0f} s")
        shown = message.format(name=self.name, seconds=max(seconds, 1.0))
        return NodeBusy(shown, seconds=seconds)

    def _no_way(self, reason: str) -> NodeUnreachable:
        """The proxy's failure: it passed nothing on."""
        variable = self._variable or "HTTP_PROXY"
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
