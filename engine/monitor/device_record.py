"""What the projection keeps of one device."""

from collections import deque
from typing import Any

from engine.monitor import snapshot as views
from engine.monitor.events import mining

TASKS_FOR_RATE = 16
"""A device's rate is that of its latest tasks: one alone varies, the whole run hides a change."""

STATES: dict[str, views.DeviceState] = {
    "starting": "starting",
    "idle": "idle",
    "busy": "busy",
    "opening": "busy",
    "checking": "busy",
    "backoff": "backoff",
    "out": "out",
}


class DeviceRecord:
    """The state of one device."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: views.DeviceState = "starting"
        self.fallen = ""
        self.paused = ""
        self.restarts = self.tasks = 0
        self.operations = self.seconds = 0.0
        self.latest: deque[tuple[float, float]] = deque(maxlen=TASKS_FOR_RATE)
        self.last: dict[str, Any] = {}
        self.reading: dict[str, Any] = {}

    def computed(self, event: mining.TaskComputed, now: float) -> None:
        operations = 2.0 * event.multiply_adds
        self.tasks += 1
        self.operations += operations
        self.seconds += event.seconds
        self.latest.append((operations, event.seconds))
        self.last = {
            "last_result": event.result_hash,
            "last_height": event.height,
            "last_seconds": event.seconds,
            "last_at": now,
        }

    def view(self) -> views.DeviceView:
        rests = self.paused and self.state in ("idle", "starting")
        fell = self.state in ("out", "backoff") or (self.state == "starting" and self.restarts)
        seconds = sum(seconds for _, seconds in self.latest)
        rate = sum(operations for operations, _ in self.latest) / seconds if seconds > 0 else None
        return views.DeviceView(
            name=self.name,
            state="paused" if rests else self.state,
            reason=self.paused if rests else self.fallen if fell else "",
            tops=None if rate is None else rate / 1e12,
            tasks=self.tasks,
            operations=self.operations,
            compute_seconds=self.seconds,
            restarts=self.restarts,
            **self.last,
            **self.reading,
        )
