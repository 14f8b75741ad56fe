"""What the projection keeps of one device."""

from collections import deque
from typing import Any

from engine.monitor import snapshot as views
from engine.monitor.events import mining, poc

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
        self.compiled: float | None = None
        self.paused = ""
        self.restarts = self.tasks = 0
        self.operations = self.seconds = 0.0
        self.latest: deque[tuple[float, float]] = deque(maxlen=TASKS_FOR_RATE)
        self.of_jobs = (0, 0.0, 0.0)
        self.last: dict[str, Any] = {}
        self.reading: dict[str, Any] = {}

    def computed(self, event: mining.TaskComputed, now: float) -> None:
        """Take a block's task."""
        self._add(1, 2.0 * event.multiply_adds, event.seconds)
        self.last = {
            "last_result": event.result_hash,
            "last_height": event.height,
            "last_seconds": event.seconds,
            "last_at": now,
        }

    def jobs(self, event: poc.DeviceJobs) -> tuple[int, float, float]:
        """Take what is new of validators' jobs; return their number, operations and seconds."""
        before = self.of_jobs
        self.of_jobs = (event.jobs, 2.0 * event.multiply_adds, event.seconds)
        new = (
            self.of_jobs[0] - before[0],
            self.of_jobs[1] - before[1],
            self.of_jobs[2] - before[2],
        )
        self._add(*new)
        return new

    def _add(self, tasks: int, operations: float, seconds: float) -> None:
        self.tasks += tasks
        self.operations += operations
        self.seconds += seconds
        self.latest.append((operations, seconds))

    def view(self) -> views.DeviceView:
        compiles = self.compiled is not None and (
            self.state == "starting" or (self.state == "busy" and self.compiled < 1.0)
        )
        rests = self.paused and self.state in ("idle", "starting")
        fell = self.state in ("out", "backoff") or (self.state == "starting" and self.restarts)
        seconds = sum(seconds for _, seconds in self.latest)
        rate = sum(operations for operations, _ in self.latest) / seconds if seconds > 0 else None
        return views.DeviceView(
            name=self.name,
            state="paused" if rests else "compiling" if compiles else self.state,
            compiled=self.compiled if compiles else None,
            reason=self.paused if rests else self.fallen if fell else "",
            tops=None if rate is None or rests or self.state in ("out", "backoff") else rate / 1e12,
            tasks=self.tasks,
            operations=self.operations,
            compute_seconds=self.seconds,
            restarts=self.restarts,
            **self.last,
            **self.reading,
        )
