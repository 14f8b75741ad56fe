"""Folds the engine's events into its state: no terminal, no network, and no clock but the caller's.

    fold = Fold(now=0.0)
    fold.take("block", {"height": 38, ...}, now=1.0)
    fold.snapshot(now=2.5).chain.next_block_in

What is counted since the ledger began is told once (`totals`) and counted on from there, since the
ledger of months is not counted in a moment; a roll-back tells it anew.
"""

import os
from collections import deque
from collections.abc import Mapping
from typing import Any

from engine import __version__
from engine.monitor.histogram import Histogram
from engine.monitor.history import History, HistoryView
from engine.monitor.reporter import QUIET, sentence
from engine.monitor.snapshot import (
    BlocksView,
    ChainView,
    DeviceState,
    DeviceView,
    EngineState,
    EventView,
    ResultsView,
    RunView,
    Snapshot,
)
from node_client.networks import format_cpc

EVENTS_KEPT = 60
TASKS_FOR_RATE = 16
"""A device's rate is that of its latest tasks: one alone wavers, the whole run hides a change."""

_STATES: dict[str, DeviceState] = {
    "starting": "starting",
    "idle": "idle",
    "busy": "busy",
    "opening": "busy",
    "checking": "busy",
    "backoff": "backoff",
    "out": "out",
}
_HEXADECIMAL = frozenset("0123456789abcdef-")
_OPEN = ("computed", "signed", "sent", "included")


class _Device:
    """What is known of one device."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: DeviceState = "starting"
        self.fallen = ""
        self.paused = ""
        self.restarts = self.tasks = 0
        self.operations = self.seconds = 0.0
        self.latest: deque[tuple[float, float]] = deque(maxlen=TASKS_FOR_RATE)
        self.last: dict[str, Any] = {}
        self.reading: dict[str, Any] = {}

    def computed(self, fields: Mapping[str, Any], now: float) -> None:
        operations, seconds = 2.0 * fields["multiply_adds"], fields["seconds"]
        self.tasks += 1
        self.operations += operations
        self.seconds += seconds
        self.latest.append((operations, seconds))
        self.last = {
            "last_result": fields["result_hash"],
            "last_height": fields["height"],
            "last_seconds": seconds,
            "last_at": now,
        }

    def view(self) -> DeviceView:
        rests = self.paused and self.state in ("idle", "starting")
        fell = self.state in ("out", "backoff") or (self.state == "starting" and self.restarts)
        seconds = sum(seconds for _, seconds in self.latest)
        rate = sum(operations for operations, _ in self.latest) / seconds if seconds > 0 else None
        return DeviceView(
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


class Fold:
    """The state so far. Not thread-safe: `engine.monitor.state.Board` is."""

    def __init__(self, now: float) -> None:
        self.latency = Histogram()
        """Seconds from seeing a block to its checked result."""
        self._started_at = now
        self._about: dict[str, Any] = {}
        self._chain: dict[str, Any] = {}
        self._devices: dict[str, _Device] = {}
        self._stopping = False
        self._balance: int | None = None
        self._fees = 0
        self._blocks = {"seen": 0, "skipped": 0, "missed": 0}
        self._results = {"confirmed": 0, "pending": 0, "given_up": 0}
        self._run = dict.fromkeys(("computed", "confirmed", "given_up", *self._blocks), 0)
        self._run_fees = 0
        self._pulse_at: float | None = None
        self._pause_asked = False
        self._sending = ""
        self._last_skipped: int | None = None
        self._events: deque[EventView] = deque(maxlen=EVENTS_KEPT)
        self._history = History(now)

    def take(self, event: str, fields: Mapping[str, Any], now: float) -> None:
        """Take an event, with the fields that `engine/monitor/reporter.py` knows."""
        self._history.turn(now)
        if event not in QUIET:
            line = sentence(event, {name: _short(value) for name, value in fields.items()})
            self._events.append(EventView(at=now, event=event, line=line))
        match event:
            case "start":
                self._on_start(fields)
            case "totals":
                self._on_totals(fields)
            case "funds":
                self._balance = fields["balance"]
            case "block" | "gap" | "skipped":
                self._on_block(event, fields, now)
            case "computed" | "signed" | "confirmed" | "given_up":
                self._on_result(event, fields, now)
            case "node_trouble":
                self._chain |= {"node_answers": False, "trouble": fields["message"]}
            case "node_well":
                self._chain |= {"node_answers": True, "trouble": ""}
            case "sender_trouble":
                self._sending = fields["message"]
            case "stopping":
                self._stopping = True
            case "pause_asked":
                self._pause_asked = fields["paused"]
            case "pulse":
                self._pulse_at = now
            case _:
                self._on_device(event, fields, now)

    def snapshot(self, now: float) -> Snapshot:
        """What is to be seen at this moment."""
        devices = [device.view() for device in self._devices.values()]
        state, paused = self._state(devices)
        return Snapshot(
            version=__version__,
            pid=os.getpid(),
            state=state,
            paused=paused,
            pause_asked=self._pause_asked,
            now=now,
            started_at=self._started_at,
            **self._about,
            balance=None if self._balance is None else format_cpc(self._balance),
            fees=format_cpc(self._fees),
            devices=devices,
            chain=ChainView(**self._chain, next_block_in=self._next_block_in(now)),
            blocks=BlocksView(**self._blocks),
            results=ResultsView(**self._results, trouble=self._sending),
            run=RunView(**self._run, fees=format_cpc(self._run_fees)),
            pulse_at=self._pulse_at,
            events=list(self._events),
        )

    def history(self, now: float) -> HistoryView:
        """The last hour."""
        return self._history.view(now)

    def _on_start(self, fields: Mapping[str, Any]) -> None:
        self._about = {name: fields[name] for name in ("address", "ledger", "size", "iterations")}
        names = ("chain_id", "network", "node", "height", "block_time")
        self._chain |= {name: fields[name] for name in names}

    def _on_totals(self, fields: Mapping[str, Any]) -> None:
        self._fees = fields["fees"]
        self._blocks = {name: fields[name] for name in self._blocks}
        self._results = {
            "confirmed": fields.get("final", 0),
            "pending": sum(fields.get(state, 0) for state in _OPEN),
            "given_up": fields.get("given_up", 0),
        }

    def _on_block(self, event: str, fields: Mapping[str, Any], now: float) -> None:
        if event == "gap":
            self._count(self._blocks, "missed", fields["last"] - fields["first"] + 1)
        elif event == "skipped":
            if fields["height"] != self._last_skipped:  # told once for each task of the block
                self._count(self._blocks, "skipped")
            self._last_skipped = fields["height"]
        else:
            self._count(self._blocks, "seen")
            self._chain |= {
                "height": fields["height"],
                "block_time": fields["block_time"],
                "last_block_at": now,
            }

    def _on_result(self, event: str, fields: Mapping[str, Any], now: float) -> None:
        results = self._results
        if event == "computed":
            results["pending"] += 1
            self._run["computed"] += 1
            self.latency.add(fields["latency"])
            self._device(fields["device"]).computed(fields, now)
            tally = self._history.device(fields["device"], now)
            tally.tasks += 1
            tally.operations += 2.0 * fields["multiply_adds"]
            tally.seconds += fields["seconds"]
        elif event == "signed":
            self._sending = ""
        else:
            results["pending"] = max(0, results["pending"] - 1)
            self._count(results, event)
            if event == "confirmed":
                self._sending = ""
                self._fees += fields["fee"]
                self._run_fees += fields["fee"]
                self._history.confirm(now)

    def _count(self, totals: dict[str, int], name: str, more: int = 1) -> None:
        totals[name] += more
        self._run[name] += more

    def _on_device(self, event: str, fields: Mapping[str, Any], now: float) -> None:
        match event:
            case "device":
                device = self._device(fields["device"])
                device.state, device.fallen = _STATES[fields["state"]], fields["reason"]
            case "child_killed" | "child_ended":
                self._device(fields["device"]).restarts += 1
            case "device_left":
                self._devices.pop(fields["device"], None)
            case "paused" | "resumed":
                for name in fields["devices"].split(", "):
                    self._device(name).paused = fields.get("reason", "")
            case "reading":
                reading = {name: value for name, value in fields.items() if name != "device"}
                device = self._device(fields["device"])
                device.reading = {"card": reading.pop("name"), **reading}
                tally = self._history.device(device.name, now)
                tally.temperature, tally.power = reading["temperature"], reading["power"]

    def _device(self, name: str) -> _Device:
        return self._devices.setdefault(name, _Device(name))

    def _state(self, devices: list[DeviceView]) -> tuple[EngineState, str]:
        if self._stopping:
            return "stopping", ""
        working = [device for device in devices if device.state != "out"]
        if working and all(device.state == "paused" for device in working):
            return "paused", ", ".join(dict.fromkeys(device.reason for device in working))
        if all(device.state == "starting" for device in working):
            return "starting", ""
        return "mining", ""

    def _next_block_in(self, now: float) -> float | None:
        seen, block_time = self._chain.get("last_block_at"), self._chain.get("block_time")
        if seen is None or block_time is None:
            return None
        return float(min(block_time, max(0.0, seen + block_time - now)))


def _short(value: Any) -> Any:
    """A long hash or id by its first digits: a line of a view is 80 columns wide."""
    if isinstance(value, str) and len(value) > 20 and _HEXADECIMAL.issuperset(value):
        return f"{value[:8]}…"
    return value
