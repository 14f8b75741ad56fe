"""What shows a run of `mine` or `work`: lines or the live view, page and control, notices, SIGHUP.

screen = Screen(monitor, notices, log, json)     # raises BadInput
with screen.open(context, live_of, charts) as attending:
    summary = run_node(request, key, screen.report, *attending)
screen.end("summary", summary.to_json(), lines)
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from engine.monitor.options import LogOptions, MonitorOptions, NoticeOptions

if TYPE_CHECKING:
    from engine.cli.config.reload import LiveOf
    from engine.node.node import Attend


class Screen:
    """`report` takes the run's events, and keeps the state that every view shows."""

    def __init__(
        self, monitor: MonitorOptions, notices: NoticeOptions, log: LogOptions, json: bool
    ) -> None:
        """Nothing is opened yet. Raises BadInput for what cannot be used."""
        from engine.monitor.http.server import parse_address
        from engine.monitor.output import Output
        from engine.monitor.state import Monitor
        from engine.monitor.terminal.live_view import can_show

        self.json = log.as_json(json)
        self._live = not (self.json or monitor.plain or log.log_format) and can_show(sys.stdout)
        self._notices = notices
        self._output = Output(sys.stdout)
        self._log = log
        self._printer = log.reporter(self._output, json=self.json)
        self.report = self._output.report = Monitor(None if self._live else self._printer)
        self._address = None if monitor.http is None else parse_address(monitor.http)
        self._token, self._reading = monitor.tokens()
        self._explorer = monitor.explorer_url()

    @contextmanager
    def open(
        self, context: typer.Context, live_of: "LiveOf", charts: Path | None
    ) -> "Iterator[list[Attend]]":
        """Show the run from here on, in which nothing is asked; give what the run attends to.

        `live_of`: see `reread_on_hangup`. `charts`: the file that keeps them. Raises BadInput.
        """
        from engine.cli.config.reload import reread_on_hangup
        from engine.monitor.history_file import kept_history
        from engine.monitor.http.server import engine_servers
        from engine.monitor.terminal.live_view import LiveView

        with ExitStack() as stack:
            if filed := stack.enter_context(self._log.filing(self.report, self.json)):
                self.report.also(filed)
            if charts is not None:
                stack.enter_context(kept_history(self.report, charts))
            servers = stack.enter_context(
                engine_servers(
                    self.report,
                    self._address,
                    self._token,
                    reading=self._reading,
                    explorer=self._explorer,
                )
            )
            stack.enter_context(self._notices.notifying(self.report))
            stack.enter_context(self._notices.asking_for_updates(self.report))
            attending: list[Attend] = [
                servers, self._output.attend, reread_on_hangup(context, self.report, live_of)
            ]  # fmt: skip
            if self._live:
                view = stack.enter_context(LiveView(self.report, self._output))
                attending.append(view.attend)
            yield attending

    def end(self, name: str, fields: dict[str, Any], lines: Iterable[str]) -> None:
        """Print what the run did: an object of that name for machines, or lines for people."""
        if self.json:
            from engine.monitor.reporter import JsonReporter

            JsonReporter(self._output).print(name, fields)
            return
        for line in ("", *lines):
            self._output.line(line)
