"""The state as Prometheus metrics, named by its conventions: base units, `_total` on counters.

registry = CollectorRegistry()
registry.register(Metrics(monitor))
generate_latest(registry)

Values that only grow within a run are counters. Totals of the ledger are gauges, as they can shrink
when the chain rolls blocks back. Sensors that a device lacks are left out.

Source: https://prometheus.io/docs/practices/naming/
"""

from collections.abc import Callable, Iterable
from typing import Any, get_args

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from engine.monitor.events.trouble import TroubleKind
from engine.monitor.http.health import health
from engine.monitor.snapshot import DeviceState, DeviceView, EngineState, Snapshot
from engine.monitor.state import Monitor

_PREFIX = "cpc_engine_"
_SENSORS: tuple[tuple[str, str, str], ...] = (
    ("temperature", "temperature_celsius", "Temperature of the device."),
    ("power", "power_watts", "Power that the device takes."),
    ("power_limit", "power_limit_watts", "Power that the device may take."),
    ("memory_used", "memory_used_bytes", "Memory of the device in use."),
    ("memory_total", "memory_size_bytes", "Memory that the device has."),
    ("utilization", "utilization_ratio", "Part of the time in which the device was busy."),
    ("fan", "fan_speed_ratio", "Speed of the device's fan, 1 for the fastest."),
    ("clock", "clock_hertz", "Clock of the card's multiprocessors."),
)
_COUNTERS = (
    ("tasks", "Tasks computed and checked.", "tasks"),
    ("operations", "Operations, two a multiply-add.", "operations"),
    ("compute_seconds", "Time computing.", "compute_seconds"),
    ("restarts", "Children lost or replaced.", "restarts"),
)
_GAUGES: tuple[tuple[str, str, Callable[[Snapshot], Any]], ...] = (
    ("start_time_seconds", "When the engine was started, in Unix time.", lambda s: s.started_at),
    ("healthy", "1 where /healthz says so, else 0.", lambda s: health(s).healthy),
    ("paused", "1 while every device is paused, else 0.", lambda s: s.state == "paused"),
    ("node_up", "1 while the node answers, else 0.", lambda s: s.chain.node_answers),
    ("chain_height", "Height of the newest block.", lambda s: s.chain.height),
    (
        "chain_block_time_seconds",
        "Time between two blocks, as measured.",
        lambda s: s.chain.block_time,
    ),
    (
        "last_block_timestamp_seconds",
        "When the newest block was seen, in Unix time.",
        lambda s: s.chain.last_block_at,
    ),
    ("balance_cpc", "Balance of the account, in CPC.", lambda s: s.balance),
    (
        "balance_lasts_seconds",
        "How long the balance lasts at the fees of late.",
        lambda s: s.balance_lasts,
    ),
)


class Metrics(Collector):
    """Collects from a monitor."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering does not collect."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Return every metric as of now."""
        seen = self._monitor.snapshot()
        yield from _engine(seen)
        yield from _run(seen)
        yield from _ledger(seen)
        yield _troubles(seen)
        yield from _devices(seen.devices)
        latency = self._monitor.latency()
        yield HistogramMetricFamily(
            f"{_PREFIX}result_latency_seconds",
            "Time from seeing a block to its checked result.",
            buckets=latency.cumulative(),
            sum_value=latency.sum,
        )


def _engine(seen: Snapshot) -> Iterable[Metric]:
    about = {"version": seen.version, "address": seen.address, "chain_id": seen.chain.chain_id}
    yield InfoMetricFamily(_PREFIX.rstrip("_"), "What runs here.", value=about)
    for name, text, value_of in _GAUGES:
        if (value := value_of(seen)) is not None:
            yield GaugeMetricFamily(_PREFIX + name, text, value=float(value))
    states = _labelled("state", "1 for the state that the engine is in, else 0.", "state")
    for state in get_args(EngineState):
        states.add_metric([state], state == seen.state)
    yield states


def _run(seen: Snapshot) -> Iterable[Metric]:
    run = seen.run
    results = _counter("results", "Results of this run by what became of them.", "outcome")
    for outcome in ("computed", "confirmed", "given_up"):
        results.add_metric([outcome], getattr(run, outcome))
    yield results
    blocks = _counter("blocks", "Blocks of this run by what became of them.", "outcome")
    for outcome in ("seen", "skipped", "missed", "unreadable"):
        blocks.add_metric([outcome], getattr(run, outcome))
    yield blocks
    jobs = _counter("jobs", "Validators' jobs of this run by what became of them.", "outcome")
    for outcome in ("taken", "computed", "accepted", "rejected", "declined"):
        jobs.add_metric([outcome], getattr(seen.jobs, outcome))
    yield jobs
    fees = _counter("fees_cpc", "Fees of the results confirmed in this run, in CPC.")
    fees.add_metric([], float(run.fees))
    yield fees
    received = _counter("received_cpc", "CPC that others sent to the account in this run.")
    received.add_metric([], float(run.received))
    yield received


def _ledger(seen: Snapshot) -> Iterable[Metric]:
    results = _labelled("ledger_results", "Results in the ledger by their state.", "state")
    for state in ("confirmed", "pending", "given_up"):
        results.add_metric([state], getattr(seen.results, state))
    yield results


def _troubles(seen: Snapshot) -> Metric:
    lasting = {trouble.kind for trouble in seen.troubles}
    metric = _labelled("trouble", "1 while this is wrong, else 0.", "kind")
    for kind in get_args(TroubleKind):
        metric.add_metric([kind], kind in lasting)
    return metric


def _devices(devices: list[DeviceView]) -> Iterable[Metric]:
    for name, text, field in _COUNTERS:
        counter = _counter(f"device_{name}", text, "device")
        for device in devices:
            counter.add_metric([device.name], getattr(device, field))
        yield counter
    states = _labelled("device_state", "1 for the state that it is in.", "device", "state")
    for device in devices:
        for state in get_args(DeviceState):
            states.add_metric([device.name, state], device.state == state)
    yield states
    energy = _counter("device_energy_joules", "Energy since the driver was loaded.", "device")
    for device in devices:
        if device.energy is not None:
            energy.add_metric([device.name], device.energy)
    if energy.samples:
        yield energy
    for field, name, text in _SENSORS:
        sensor = _labelled(f"device_{name}", text, "device")
        for device in devices:
            if (value := getattr(device, field)) is not None:
                sensor.add_metric([device.name], value)
        if sensor.samples:
            yield sensor


def _labelled(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(_PREFIX + name, text, labels=labels)


def _counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(_PREFIX + name, text, labels=labels)
