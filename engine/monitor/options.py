"""What is shown of a running engine, and where."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from engine.runtime.errors import BadInput
from engine.runtime.settings import setting

if TYPE_CHECKING:
    from engine.monitor.state import Monitor


@dataclass(frozen=True, kw_only=True)
class LogOptions:
    """How events are printed."""

    heading: ClassVar[str] = _("Output")

    log_format: str | None = setting(
        None,
        _("Print events as lines: plain, or json for one object a line."),
        metavar="plain|json",
    )

    def as_json(self, json: bool) -> bool:
        """Return whether events are printed as JSON: by this, or by --json. Raises BadInput."""
        if self.log_format not in (None, "plain", "json"):
            raise BadInput(
                _("--log-format takes plain or json, not {given!r}").format(given=self.log_format)
            )
        return json or self.log_format == "json"


@dataclass(frozen=True, kw_only=True)
class MonitorOptions:
    """Monitoring: the terminal, the page and the metrics."""

    heading: ClassVar[str] = _("Output")

    http: str | None = setting(
        None,
        _("Serve a page, /status and /metrics there: 127.0.0.1:9180. [off]"),
        metavar="ADDRESS:PORT",
    )
    http_token_file: Path | None = setting(
        None, _("File with the token that --http asks for; needed beyond this machine.")
    )
    plain: bool = setting(False, _("Print lines instead of the live view."))


@dataclass(frozen=True, kw_only=True)
class NoticeOptions:
    """Who is told of what goes wrong."""

    heading: ClassVar[str] = _("Output")

    on_event: tuple[str, ...] = setting(
        (),
        _("Run this at each warning or error, with the event as JSON on its standard input."),
        metavar="COMMAND",
    )
    webhook_file: tuple[Path, ...] = setting(
        (),
        _("Post them to the URL in this file: as JSON, or in Slack's or Telegram's form."),
        metavar="PATH",
    )

    @contextmanager
    def notifying(self, monitor: "Monitor") -> "Iterator[None]":
        """Pass on what `monitor` is told. Raises BadInput."""
        if not self.on_event and not self.webhook_file:
            yield
            return
        from engine.monitor.notify import Notifier
        from engine.monitor.receivers import Command, Webhook

        commands = [Command(line) for line in self.on_event]
        webhooks = [Webhook.read(file) for file in self.webhook_file]
        with Notifier([*commands, *webhooks], monitor) as notifier:
            monitor.also(notifier)
            yield
