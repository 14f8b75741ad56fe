"""What is shown of a running engine, and where."""

from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import ClassVar

from engine.runtime.errors import BadInput
from engine.runtime.settings import setting


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
