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
from typing import Any, TextIO

from engine.monitor.events import AnyEvent
from engine.monitor.events.trouble import TroubleBegan, TroubleEnded
from engine.monitor.output import Output

Reporter = Callable[[AnyEvent], None]
"""Takes events from any thread; must not raise."""


class PlainReporter:
    """Prints one line per event, with the time of day."""

    def __init__(self, out: TextIO | Output | None = None) -> None:
        self._out = out if isinstance(out, Output) else Output(out or sys.stdout)

    def __call__(self, event: AnyEvent) -> None:
        """Print the event's line, unless it is a quiet one."""
        if line := event.line():
            self._out.line(f"{time.strftime('%H:%M:%S')} {line}")
        else:
            self._out.look()


class JsonReporter:
    """Prints one JSON object per line: `event`, `time` (Unix seconds) and the event's fields."""

    def __init__(self, out: TextIO | Output | None = None) -> None:
        self._out = out if isinstance(out, Output) else Output(out or sys.stdout)

    def __call__(self, event: AnyEvent) -> None:
        """Print the object, unless the event is a quiet one."""
        if event.line():
            if former := _former(event):
                self.print(*former)
            self.print(event.event, event.fields())
        else:
            self._out.look()

    def print(self, name: str, fields: Mapping[str, Any]) -> None:
        """Print an object of this name: an event, or a summary at the end."""
        self._out.line(json.dumps({"event": name, "time": round(time.time(), 3), **fields}))


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
