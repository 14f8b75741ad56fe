"""Where notices go: `Command` runs a program, `Webhook` posts to a URL."""

import hashlib
import hmac
import json
import shlex
import subprocess
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from engine.monitor.notify import NotSent
from engine.runtime.bounded_file import SMALL_BYTES, read_bounded
from engine.runtime.errors import BadInput
from node_client.errors import NodeClientError
from node_client.transport import SMALL_BODY, HttpNode

COMMAND_SECONDS = 30.0
SIGNATURE = "X-CPC-Signature"
"""Header: `sha256=` and the body's HMAC (RFC 2104) under the file's second line, in hex."""


@dataclass(frozen=True, slots=True)
class Command:
    """Runs a command line, without a shell, with the notice as JSON on its standard input."""

    line: str

    def __post_init__(self) -> None:
        try:
            words = shlex.split(self.line)
        except ValueError as error:
            raise BadInput(
                _("--on-event {line!r} cannot be read: {error}").format(line=self.line, error=error)
            ) from None
        if not words:
            raise BadInput(_("--on-event takes a command"))

    def send(self, notice: dict[str, Any]) -> None:
        """Run it. Raises NotSent where it fails or takes longer than `COMMAND_SECONDS`."""
        try:
            done = subprocess.run(  # noqa: S603 - the operator's own command
                shlex.split(self.line),
                input=json.dumps(notice).encode(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=COMMAND_SECONDS,
                check=False,
                start_new_session=True,  # Ctrl-C is for the engine
            )
        except subprocess.TimeoutExpired:
            said = _("the command took longer than {seconds:.0f} s")
            raise NotSent(said.format(seconds=COMMAND_SECONDS)) from None
        except OSError as error:
            raise NotSent(
                _("the command does not start: {reason}").format(reason=error.strerror)
            ) from None
        if done.returncode != 0:
            raise NotSent(_("the command ended with {code}").format(code=done.returncode))


class Webhook:
    """Posts to the URL in a file's first line, whose path may be a secret: it is never shown.

    The form follows from the URL: Slack's `{"text": ...}` for hooks.slack.com, Telegram's sendMessage
    for api.telegram.org with `?chat_id=` in the URL, else the whole notice, signed where the file's
    second line has a secret.
    """

    def __init__(self, url: str, secret: str = "") -> None:
        """Raises InvalidData for what is no http or https URL."""
        parts = urlsplit(url)
        self._form, self._secret = _FORMS.get(parts.hostname or "", "json"), secret
        self._query = parts.query
        self._node = HttpNode(url.partition("?")[0], timeout=(3.05, 10.0), total=20.0)
        self._host = parts.hostname or ""

    @classmethod
    def read(cls, file: Path) -> Self:
        """Return the webhook of a file. Raises BadInput."""
        try:
            lines = read_bounded(file, SMALL_BYTES).decode("utf-8-sig").split()
            return cls(*lines[:2])
        except (OSError, UnicodeDecodeError, TypeError, NodeClientError):
            raise BadInput(
                _("the webhook's file {file} cannot be used").format(file=file),
                advice=_("Its first line is an http or https URL, its second a secret, if any."),
            ) from None

    def send(self, notice: dict[str, Any]) -> None:
        """Post it. Raises NotSent."""
        text = f"cpc-engine: {notice['line']}"
        path, body = "", dict(notice)
        if self._form == "slack":
            body = {"text": text}
        elif self._form == "telegram":
            body = {"chat_id": parse_qs(self._query).get("chat_id", [""])[0], "text": text}
        elif self._query:
            path = f"?{self._query}"
        document = json.dumps(body).encode()
        headers = {}
        if self._secret and self._form == "json":
            code = hmac.new(self._secret.encode(), document, hashlib.sha256).hexdigest()
            headers[SIGNATURE] = f"sha256={code}"
        try:
            answer = self._node.exchange(
                "POST", path, limit=SMALL_BODY, body=document, headers=headers
            )
        except NodeClientError:
            said = _("the webhook at {host} does not answer as it should")
            raise NotSent(said.format(host=self._host)) from None
        if not 200 <= answer.status < 300:
            said = _("the webhook at {host} answered {status}")
            raise NotSent(said.format(host=self._host, status=answer.status))


_FORMS = {"hooks.slack.com": "slack", "api.telegram.org": "telegram"}
