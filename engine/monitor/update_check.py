"""Asks once a day whether there is a newer version, where the operator named whom to ask.

    with UpdateCheck("https://HOST/simple/cpc-engine/", report):
        ...                          # UpdateAvailable, once a version; never blocks anything

The answer may be PyPI's JSON, a "simple" index (PEP 503, PEP 691), or {"version": "1.2.3"}. It decides
nothing but a line: nothing is fetched, and nothing is installed. One that cannot be read, does not come
or has no end is told with --verbose alone.
"""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from gettext import gettext as _
from typing import Any

from engine import __version__
from engine.monitor.events.run import UpdateAvailable, UpdateUnknown
from engine.monitor.reporter import Reporter
from engine.runtime.closing import Closing
from engine.runtime.errors import BadInput
from node_client.errors import InvalidData, NodeClientError
from node_client.transport import HttpNode

PERIOD_SECONDS = 86400.0
TOTAL_SECONDS = 20.0
MOST_BYTES = 4 * 2**20
_PROJECT = "cpc[-_.]engine"
_RELEASE = re.compile(r"(?:0|[1-9][0-9]{0,5})(?:\.(?:0|[1-9][0-9]{0,5})){1,3}")
_FILE = re.compile(
    rf"{_PROJECT}-({_RELEASE.pattern})(?:-[^\s\"'<>]*\.whl|\.tar\.gz)", re.IGNORECASE
)
_HEADERS = {"Accept": "application/vnd.pypi.simple.v1+json, application/json, text/html;q=0.5"}


class UpdateCheck(Closing):
    """See the module. Raises BadInput for what is no http or https URL."""

    def __init__(
        self,
        url: str,
        report: Reporter,
        *,
        period: float = PERIOD_SECONDS,
        running: str = __version__,
    ) -> None:
        base, mark, query = url.partition("?")
        self._path = ("/" if base.endswith("/") else "") + mark + query
        try:
            self._site = HttpNode(base, timeout=(3.05, 10.0), total=TOTAL_SECONDS)
        except InvalidData:
            raise BadInput(
                _("--update-url {url!r} is not an http or https URL").format(url=base[:100])
            ) from None
        self._report, self._period, self._running = report, period, running
        self._told = running
        self._ending = threading.Event()
        threading.Thread(target=self._run, name="updates", daemon=True).start()

    def close(self) -> None:
        """Ask no more. A question that is on its way is not waited for."""
        self._ending.set()

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                newest = self._ask()
            except (NodeClientError, ValueError, RecursionError) as error:
                self._tell(UpdateUnknown(" ".join(str(error).split())[:200]))
            else:
                if order(newest) > order(self._told):
                    self._told = newest
                    self._tell(UpdateAvailable(newest, self._running))
            self._ending.wait(self._period)

    def _ask(self) -> str:
        answer = self._site.exchange("GET", self._path, limit=MOST_BYTES, headers=_HEADERS)
        if answer.status != 200:
            raise ValueError(_("the answer's status is {status}").format(status=answer.status))
        return newest_version(answer.body)

    def _tell(self, event: UpdateAvailable | UpdateUnknown) -> None:
        if not self._ending.is_set():
            self._report(event)


def newest_version(body: bytes) -> str:
    """Return the newest final release that an answer names. Raises ValueError where it names none."""
    text = body.decode("utf-8", "replace")
    with suppress(ValueError, RecursionError):
        found = list(_named(json.loads(text)))
        if found:
            return max(found, key=order)
    if not (files := _FILE.findall(text)):
        raise ValueError(_("the answer names no release of cpc-engine"))
    return str(max(files, key=order))


def order(version: str) -> tuple[int, ...]:
    """Return what releases are compared by: 1.2 is 1.2.0."""
    parts = [int(part) for part in version.split(".")[:4] if part.isdecimal()]
    return tuple(parts + [0] * (4 - len(parts)))


def _named(document: Any) -> Iterator[str]:
    """Give the final releases in PyPI's JSON, PEP 691's, or {"version": ...}."""
    if not isinstance(document, dict):
        return
    info, versions = document.get("info"), document.get("versions")
    named = [document.get("version"), info.get("version") if isinstance(info, dict) else None]
    for version in [*named, *(versions if isinstance(versions, list) else ())]:
        if isinstance(version, str) and _RELEASE.fullmatch(version):
            yield version
