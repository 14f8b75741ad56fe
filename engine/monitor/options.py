"""What is shown of a running engine, and where."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TextIO, cast

from engine.runtime.errors import BadInput
from engine.runtime.settings import setting

if TYPE_CHECKING:
    from engine.monitor.output import Output
    from engine.monitor.reporter import Detail, Reporter
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

    quiet: bool = setting(False, _("Print warnings and errors only."), letter="q")
    verbose: bool = setting(False, _("Print also what happens too often to be told."), letter="v")
    log_file: Path | None = setting(
        None,
        _("Also write every line to this file; at 10 MB it is put aside, and five are kept."),
    )

    def reporter(self, output: "Output", *, json: bool) -> "Reporter":
        """Return what prints events. Raises BadInput."""
        from engine.monitor.reporter import JsonReporter, PlainReporter

        if self.quiet and self.verbose:
            raise BadInput(_("--quiet and --verbose exclude each other: leave one of them out"))
        kind = JsonReporter if self.as_json(json) else PlainReporter
        detail: Detail = "quiet" if self.quiet else "verbose" if self.verbose else "usual"
        return kind(output, detail)

    @contextmanager
    def filing(self, monitor: "Reporter", json: bool) -> "Iterator[Reporter | None]":
        """Give what writes to --log-file, which --quiet spares nothing; or None.

        `monitor` hears of a disk that is full.
        """
        if self.log_file is None:
            yield None
            return
        from engine.monitor.log_file import LogFile
        from engine.monitor.output import Output

        with LogFile(self.log_file) as file:
            output = Output(cast("TextIO", file), service=True)
            output.report = monitor
            yield replace(self, quiet=False).reporter(output, json=json)

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
    http_read_token_file: Path | None = setting(
        None, _("File with a second token, which may look but not pause.")
    )
    explorer: str | None = setting(
        None,
        _("URL of a transaction in an explorer, {tx} for its hash: the page links to it."),
        metavar="URL",
    )
    plain: bool = setting(False, _("Print lines instead of the live view."))

    def tokens(self) -> tuple[str | None, str | None]:
        """Return the token, and the one that may look only. Raises BadInput."""
        from engine.monitor.http.server import check_token, read_token

        files = self.http_token_file, self.http_read_token_file
        token, reading = (None if file is None else read_token(file) for file in files)
        if reading is not None:
            if token is None:
                raise BadInput(
                    _("--http-read-token-file is of use beside --http-token-file only"),
                    advice=_("Name that one, too: without it everybody may look."),
                )
            check_token("0.0.0.0", reading)  # noqa: S104 - as long as one for everybody
        return token, reading

    def explorer_url(self) -> str:
        """Return what was given, or "". Raises BadInput for what is no such URL."""
        given = self.explorer or ""
        if given and not (given.startswith(("https://", "http://")) and "{tx}" in given):
            raise BadInput(
                _("--explorer {given!r} is not the URL of a transaction").format(given=given[:80]),
                advice=_("Write it with {tx} for the hash: https://HOST/tx/{tx}"),
            )
        return given


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

    update_url: str | None = setting(
        None,
        _(
            "Ask this URL once a day for a newer version, and tell of it: PyPI's JSON, a simple"
            ' index, or {"version": "1.2.3"}. [off]'
        ),
        metavar="URL",
    )

    @contextmanager
    def asking_for_updates(self, monitor: "Monitor") -> "Iterator[None]":
        """Tell `monitor` of a newer version, where that is wanted. Raises BadInput."""
        if self.update_url is None:
            yield
            return
        from engine.monitor.update_check import UpdateCheck

        with UpdateCheck(self.update_url, monitor):
            yield

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
