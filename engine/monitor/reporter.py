"""Reports events to the operator: plain lines for people, JSON lines for machines.

    report = PlainReporter()
    report(Stopping())

Both print the same events (`engine/monitor/events`), and nothing else prints. Any thread may call
them. An event with an empty line is for what keeps a state (`projection.py`): nobody reads it.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal, TextIO

from engine.monitor.events import AnyEvent
from engine.monitor.events.base import Level
from engine.monitor.events.trouble import TroubleBegan, TroubleEnded
from engine.monitor.output import Output

Reporter = Callable[[AnyEvent], None]
"""Takes events from any thread; must not raise."""


Detail = Literal["quiet", "usual", "verbose"]
"""Which events are printed: warnings and errors, those with a line, or all of them."""

_PRIORITIES: dict[Level, int] = {"info": 6, "warning": 4, "error": 3}
"""Of systemd's journal; see sd-daemon(3)."""


class _Log:
    def __init__(self, out: TextIO | Output | None = None, detail: Detail = "usual") -> None:
        self._detail = detail
        self._out = out if isinstance(out, Output) else Output(out or sys.stdout)

    def _write(self, level: Level, text: str) -> None:
        self._out.line(f"<{_PRIORITIES[level]}>{text}" if self._out.is_journal else text)

    def _wants(self, event: AnyEvent) -> bool:
        """Whether to print the event."""
        if self._detail == "quiet":
            return event.severity() != "info"
        return self._detail == "verbose" or not event.is_quiet


class PlainReporter(_Log):
    """Prints one line per event: date, time and zone, level, text. The journal has its own clock."""

    def __call__(self, event: AnyEvent) -> None:
        """Print the event's line, unless it is a quiet one; such a one has its fields for a line."""
        if not self._wants(event):
            self._out.look()
            return
        line, level = event.line(), event.severity()
        line = line or f"{event.event} {json.dumps(event.fields(), default=str)}"
        if self._out.is_journal:
            self._write(level, line)
        else:
            at = datetime.now().astimezone().isoformat(timespec="seconds")
            self._write(level, f"{at} {level:<7} {line}")


class JsonReporter(_Log):
    """Prints one JSON object per line: `event`, `time` (Unix seconds), `level`, the event's fields."""

    def __call__(self, event: AnyEvent) -> None:
        """Print the object, unless the event is a quiet one."""
        if self._wants(event):
            if former := _former(event):
                self.print(*former, level=event.severity())
            self.print(event.event, event.fields(), level=event.severity())
        else:
            self._out.look()

    def print(self, name: str, fields: Mapping[str, Any], *, level: Level = "info") -> None:
        """Print an object of this name: an event, or a summary at the end."""
        head = {"event": name, "time": round(time.time(), 3), "level": level}
        self._write(level, json.dumps(head | dict(fields)))


def both(first: Reporter, second: Reporter) -> Reporter:
    """Return what tells each event to one and then to the other."""

    def report(event: AnyEvent) -> None:
        first(event)
        second(event)

    return report


def _former(event: AnyEvent) -> tuple[str, dict[str, Any]] | None:
    """Return what 0.1 called this event, if anything; kept for one release."""
    match event:
        case TroubleBegan(kind="node_away" | "tip_refused", message=message, advice=advice):
            return "node_trouble", {"message": message, "advice": advice}
        case TroubleEnded(kind="node_away" | "tip_refused"):
            return "node_well", {}
        case TroubleBegan(kind="not_sent" | "balance_low", message=message, advice=advice):
            return "sender_trouble", {"message": message, "advice": advice}
    return None
