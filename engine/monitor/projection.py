"""Projects the engine's events onto its state: no terminal, no network, and no clock but the caller's.

    projection = Projection(now=0.0)
    projection.take(BlockSeen(height=38, ...), now=1.0)
    projection.snapshot(now=2.5).chain.next_block_in

Totals since the ledger began are reported once (`totals`) and counted on from there, since counting a
ledger of months takes time; a roll-back reports them again.
"""

import os
from collections import deque
from dataclasses import asdict
from gettext import gettext as _
from typing import Any, assert_never

from engine import __version__
from engine.monitor import snapshot as views
from engine.monitor.device_record import STATES, DeviceRecord
from engine.monitor.events import (
    AnyEvent,
    MiningEvent,
    PocEvent,
    PoolEvent,
    ProtectionEvent,
    RunEvent,
    SendingEvent,
    TroubleEvent,
    ValidatorEvent,
    mining,
    poc,
    pool,
    protection,
    run,
    sending,
    trouble,
)
from engine.monitor.events.trouble import TroubleKind
from engine.monitor.histogram import Histogram
from engine.monitor.history import History
from node_client.networks import format_cpc

EVENTS_KEPT = 60
_HEXADECIMAL = frozenset("0123456789abcdef-")


class Projection:
    """The state so far. Not thread-safe: `engine.monitor.state.Monitor` is."""

    def __init__(self, now: float) -> None:
        self.latency = Histogram()
        """Seconds from seeing a block to its checked result."""
        self._started_at = now
        self._about: dict[str, Any] = {}
        self._chain: dict[str, Any] = {}
        self._devices: dict[str, DeviceRecord] = {}
        self._stopping = False
        self._balance: int | None = None
        self._balance_lasts: float | None = None
        self._fees = 0
        self._blocks = {"seen": 0, "skipped": 0, "missed": 0}
        self._results = {"confirmed": 0, "pending": 0, "given_up": 0}
        self._run = dict.fromkeys(
            ("computed", "confirmed", "given_up", "unreadable", *self._blocks), 0
        )
        self._run_fees = self._run_received = 0
        self._jobs = views.JobsView()
        self._pulse_at: float | None = None
        self._pause_asked = False
        self._troubles: dict[tuple[TroubleKind, str], views.TroubleView] = {}
        self._last_skipped: int | None = None
        self._events: deque[views.EventView] = deque(maxlen=EVENTS_KEPT)
        self._history = History(now)

    def take(self, event: AnyEvent, now: float) -> None:
        """Take an event."""
        self._history.turn(now)
        if line := event.line(_short):
            tx_hash = getattr(event, "tx_hash", None) or ""
            self._events.append(
                views.EventView(at=now, event=event.event, line=line, tx_hash=tx_hash)
            )
        if isinstance(event, MiningEvent):
            self._on_mining(event, now)
        elif isinstance(event, SendingEvent):
            self._on_sending(event, now)
        elif isinstance(event, TroubleEvent):
            self._on_trouble(event, now)
        elif isinstance(event, PoolEvent):
            self._on_pool(event, now)
        elif isinstance(event, ProtectionEvent):
            self._on_protection(event, now)
        elif isinstance(event, RunEvent):
            self._on_run(event, now)
        elif isinstance(event, PocEvent):
            self._on_poc(event, now)
        elif not isinstance(event, ValidatorEvent):  # lines, and no state
            assert_never(event)

    def snapshot(self, now: float) -> views.Snapshot:
        """Return the state as of now."""
        devices = [device.view() for device in self._devices.values()]
        state, paused = self._state(devices)
        away = self._trouble("node_away")
        return views.Snapshot(
            version=__version__,
            pid=os.getpid(),
            state=state,
            paused=paused,
            pause_asked=self._pause_asked,
            now=now,
            started_at=self._started_at,
            **self._about,
            balance=None if self._balance is None else format_cpc(self._balance),
            balance_lasts=self._balance_lasts,
            fees=format_cpc(self._fees),
            devices=devices,
            chain=views.ChainView(
                **self._chain,
                node_answers=not away,
                trouble=away,
                next_block_in=self._next_block_in(now),
            ),
            blocks=views.BlocksView(**self._blocks),
            results=views.ResultsView(
                **self._results, trouble=self._trouble("not_sent", "balance_low")
            ),
            run=views.RunView(
                **self._run,
                fees=format_cpc(self._run_fees),
                received=format_cpc(self._run_received),
            ),
            jobs=self._jobs,
            pulse_at=self._pulse_at,
            troubles=list(self._troubles.values()),
            events=list(self._events),
        )

    @property
    def history(self) -> History:
        """What the charts are drawn from."""
        return self._history

    def _on_run(self, event: RunEvent, now: float) -> None:
        match event:
            case run.Opened(address=address, node=node):
                self._about["address"] = address
                self._chain["node"] = node
            case run.MiningStarted():
                fields = event.fields()
                about = ("address", "ledger", "size", "iterations")
                self._about = {name: fields[name] for name in about}
                chain = ("chain_id", "network", "node", "height", "block_time")
                self._chain |= {name: fields[name] for name in chain}
            case run.WorkStarted(validators=validators):
                self._jobs = self._jobs.model_copy(update={"validators": validators.split(", ")})
            case run.Pulse():
                self._pulse_at = now
            case run.Stopping():
                self._stopping = True

    def _on_mining(self, event: MiningEvent, now: float) -> None:
        match event:
            case mining.LedgerTotals():
                self._on_totals(event)
            case mining.BlockSeen(height=height, block_time=block_time):
                self._count(self._blocks, "seen")
                self._chain |= {"height": height, "block_time": block_time, "last_block_at": now}
            case mining.ResultsAwaited():
                pass
            case mining.BlocksMissed(first=first, last=last):
                self._count(self._blocks, "missed", last - first + 1)
            case mining.BlockSkipped(height=height):
                if height != self._last_skipped:  # told once for each task of the block
                    self._count(self._blocks, "skipped")
                self._last_skipped = height
            case mining.TaskComputed():
                self._on_computed(event, now)
            case _:
                assert_never(event)

    def _on_totals(self, totals: mining.LedgerTotals) -> None:
        self._fees = totals.fees
        self._blocks = {"seen": totals.seen, "skipped": totals.skipped, "missed": totals.missed}
        self._results = {
            "confirmed": totals.final,
            "pending": totals.computed + totals.signed + totals.sent + totals.included,
            "given_up": totals.given_up,
        }

    def _on_computed(self, event: mining.TaskComputed, now: float) -> None:
        self._results["pending"] += 1
        self._run["computed"] += 1
        self.latency.add(event.latency)
        self._device(event.device).computed(event, now)
        self._work(event.device, 1, 2.0 * event.multiply_adds, event.seconds, now)

    def _on_sending(self, event: SendingEvent, now: float) -> None:
        match event:
            case sending.BalanceChanged(balance=balance):
                self._balance = balance
            case sending.BalanceLasts(seconds=seconds):
                self._balance_lasts = seconds
            case sending.ResultConfirmed(fee=fee):
                self._end("confirmed")
                self._fees += fee
                self._run_fees += fee
                self._history.confirm(now)
            case sending.PaymentReceived(amount=amount) | sending.BalanceRose(amount=amount):
                self._run_received += amount
            case sending.ResultGivenUp():
                self._end("given_up")
            case sending.BlockUnreadable():
                self._run["unreadable"] += 1
            case sending.ResultSigned() | sending.ResultRepriced() | sending.ChainRolledBack():
                pass
            case _:
                assert_never(event)

    def _on_poc(self, event: PocEvent, now: float) -> None:
        match event:
            case poc.JobsCounted():
                self._jobs = self._jobs.model_copy(update=event.fields())
            case poc.DeviceJobs(device=name) if any(new := self._device(name).jobs(event)):
                self._work(name, *new, now)

    def _work(self, device: str, tasks: int, operations: float, seconds: float, now: float) -> None:
        self._history.add(device, now, tasks=tasks, operations=operations, seconds=seconds)

    def _on_trouble(self, event: TroubleEvent, now: float) -> None:
        match event:
            case trouble.TroubleBegan():
                which = event.kind, event.subject
                before = self._troubles.get(which)
                since = now if before is None else before.since
                self._troubles[which] = views.TroubleView(**event.fields(), since=since)
            case trouble.TroubleEnded():
                self._troubles.pop((event.kind, event.subject), None)
            case _:
                assert_never(event)

    def _trouble(self, *kinds: TroubleKind) -> str:
        """Return the message of the first of these that lasts; empty where none does."""
        lasting = self._troubles.values()
        return next((one.message for kind in kinds for one in lasting if one.kind == kind), "")

    def _end(self, how: str) -> None:
        self._results["pending"] = max(0, self._results["pending"] - 1)
        self._count(self._results, how)

    def _count(self, totals: dict[str, int], name: str, more: int = 1) -> None:
        totals[name] += more
        self._run[name] += more

    def _on_pool(self, event: PoolEvent, now: float) -> None:
        match event:
            case pool.DeviceState(device=name, state=state, reason=reason):
                device = self._device(name)
                device.state, device.fallen = STATES[state], reason
                if state != "starting":  # a child may be heard before its start is told
                    device.compiled = None
            case pool.DeviceCompiling(device=name, done=done, total=total):
                self._device(name).compiled = min(1.0, done / max(1, total))
            case pool.ChildKilled(device=name) | pool.ChildEnded(device=name):
                self._device(name).restarts += 1
            case pool.DeviceLeft(device=name):
                self._devices.pop(name, None)
                self._troubles.pop(("device_out", name), None)
            case pool.FarmUnreachable():
                advice = _("Start its head again if it ended: the engine dials again by itself.")
                self._on_trouble(trouble.TroubleBegan("farm_away", event.line(), advice, True), now)
            case pool.FarmConnected():
                self._troubles.pop(("farm_away", ""), None)
            case pool.OutOfService(device=name):
                advice = _(
                    "cpc-engine doctor tests it, and dmesg has what the system knows of it. A new"
                    " start of the engine tries it at once."
                )
                began = trouble.TroubleBegan("device_out", event.line(), advice, False, name)
                self._on_trouble(began, now)
            case pool.DeviceReady(device=name):
                self._troubles.pop(("device_out", name), None)
            case pool.DeviceJoined() | pool.CheckerEnded() | pool.GpuSkipped():
                pass
            case _:
                assert_never(event)

    def _on_protection(self, event: ProtectionEvent, now: float) -> None:
        match event:
            case protection.PauseAsked(paused=paused):
                self._pause_asked = paused
            case protection.DevicesPaused(devices=devices, reason=reason):
                for name in devices.split(", "):
                    self._device(name).paused = reason
            case protection.DevicesResumed(devices=devices):
                for name in devices.split(", "):
                    self._device(name).paused = ""
            case protection.DeviceReading(device=name, reading=reading):
                device, values = self._device(name), asdict(reading)
                device.reading = {"card": values.pop("name"), **values}
                self._history.read(device.name, now, reading.temperature, reading.power)
            case protection.GpuFault():
                pass
            case _:
                assert_never(event)

    def _device(self, name: str) -> DeviceRecord:
        return self._devices.setdefault(name, DeviceRecord(name))

    def _state(self, devices: list[views.DeviceView]) -> tuple[views.EngineState, str]:
        if self._stopping:
            return "stopping", ""
        working = [device for device in devices if device.state != "out"]
        if working and all(device.state == "paused" for device in working):
            return "paused", ", ".join(dict.fromkeys(device.reason for device in working))
        if not working and devices:
            return "out", ""
        if self._trouble("node_away"):
            return "waiting", ""
        states = {device.state for device in working}
        if states <= {"starting", "compiling"}:
            return "compiling" if "compiling" in states else "starting", ""
        ill = any(device.state in ("out", "backoff") for device in devices)
        if ill or any(trouble.stops for trouble in self._troubles.values()):
            return "degraded", ""
        return "working" if self._jobs.validators else "mining", ""

    def _next_block_in(self, now: float) -> float | None:
        seen, block_time = self._chain.get("last_block_at"), self._chain.get("block_time")
        if seen is None or block_time is None or self._trouble("node_away"):
            return None  # nobody would tell
        return float(min(block_time, max(0.0, seen + block_time - now)))


def _short(value: Any) -> Any:
    """Shorten a long hash or id to its first digits: a line of a view is 80 columns wide."""
    if isinstance(value, str) and len(value) > 20 and _HEXADECIMAL.issuperset(value):
        return f"{value[:8]}…"
    return value
