"""Time the stages of a task, and the installed baselines beside them, in one run.

    report = run_bench(1024, 1, repeat=5)
    report.product_tops

Everything that is compared takes turns, so that a machine whose speed drifts treats all alike, and
the median of the runs counts. A multiply-add is two operations. The product is all the task's
products, with every contender; the whole task is timed by the clock, seed to root on the host.
"""

import importlib.metadata
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from gettext import gettext as _
from gettext import ngettext
from pathlib import Path
from typing import Any

from engine.benchmark.baselines import (
    PRODUCT,
    TASK,
    Contender,
    LeftOut,
    Runner,
    Turn,
    peak,
    reason,
    start,
)
from engine.benchmark.baselines import contenders as all_contenders
from kernels.device import Device
from kernels.devices import open_device
from kernels.known_answer import known_answer_test
from kernels.task import Task

OURS = "cpc-engine"
STAGES = {
    "expand": "expand",
    PRODUCT: "product",
    "check": "check",
    "commit": "commit",
    TASK: _("whole task"),
}
"""Every stage, in the order of tables, with its printed name."""

_SEED = bytes(range(32))
_PAUSE = 0.25
"""Seconds between turns on the CPU. The threads of BLAS and OpenMP spin while they wait, which slows
the next one down: with 0.05 s torch took 20 times as long as alone."""
_DISTURBED = 1.5
"""A median this many times the fastest run is reported."""
_PACKAGES = ("numpy", "numba", "numba-cuda", "torch", "triton", "cupy")
_CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Row:
    """Median and fastest seconds of a stage. `ratio` is these median seconds divided by ours.

    `tops` counts the products' operations alone, and is there for products and for whole tasks of
    ours. Of what did not run, `seconds` is None and `note` says why.
    """

    name: str
    stage: str
    seconds: float | None
    fastest: float | None
    tops: float | None
    ratio: float | None
    runs: int
    note: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured, and on what. `peak_*` is the card's dense int8 peak, or None."""

    device: str
    card: dict[str, Any] | None
    tier: str | None
    threads: int | None
    processor: str
    versions: dict[str, str | None]
    size: int
    iterations: int
    repeat: int
    product_tops: float
    peak_tops: float | None
    peak_source: str | None
    peak_share: float | None
    rows: list[Row]
    notes: list[str]

    def title(self) -> str:
        """Return device and task as one line."""
        parts = [self.device]
        if self.card is not None:
            parts.append(self.card["name"])
        if self.tier is not None:
            parts.append(f"tier {self.tier}")
        if self.threads is not None:
            parts += [self.processor, f"{self.threads} thread{'s' * (self.threads != 1)}"]
        times = f"{self.iterations} iteration{'s' * (self.iterations != 1)}"
        return ", ".join([*parts, f"n = {self.size}, {times}"])


def run_bench(
    size: int,
    iterations: int,
    *,
    repeat: int,
    device: str = "auto",
    threads: int | None = None,
    tier: str | None = None,
    compare: bool = True,
) -> Report:
    """Time one task in `repeat` turns after a warm-up. Raise KernelError as `open_device` does."""
    task = Task(_SEED, size, iterations)
    with open_device(device, threads, tier) as opened:
        known_answer_test(opened)
        opened.prepare(task)
        beside = all_contenders(opened.name, _threads(opened)) if compare else []
        return measure(opened, task, repeat=repeat, contenders=beside)


def measure(
    device: Device, task: Task, *, repeat: int, contenders: Sequence[Contender] = ()
) -> Report:
    """Time an open device and the baselines that can run, in turns."""
    ours = Turn(OURS, tuple(STAGES), _Ours(device, task))
    _Ours(device, task).run()
    turns, left_out = start(contenders, task)
    pause = _PAUSE if turns and not device.name.startswith("cuda") else 0.0
    for _turn in range(repeat):
        time.sleep(pause)
        ours.take()
        for turn in list(turns):
            time.sleep(pause)
            try:
                turn.take()
            except Exception as error:  # noqa: BLE001 - as in `start`: ours goes on
                turns.remove(turn)
                left_out.append(LeftOut(turn.name, turn.stages, reason(error)))
    for turn in turns:
        turn.close()
    return _report(device, task, repeat, [ours, *turns], left_out)


class _Ours(Runner):
    def __init__(self, device: Device, task: Task) -> None:
        self._device, self._task = device, task

    def run(self) -> dict[str, float]:
        """Return the stages as the device measures them, and a whole task by the clock."""
        stages = self._device.profile(self._task)
        started = time.perf_counter()
        self._device.compute(self._task)
        return stages | {TASK: time.perf_counter() - started}


def _report(
    device: Device, task: Task, repeat: int, turns: list[Turn], left_out: list[LeftOut]
) -> Report:
    ours = turns[0].medians()
    rows: list[Row] = []
    for stage in (stage for stage in STAGES if stage in ours):
        for turn in turns:
            seconds = turn.medians().get(stage)
            if seconds is not None:
                counted = stage == PRODUCT or (stage == TASK and turn is turns[0])
                tops = _tops(task, seconds) if counted else None
                ratio, fastest = seconds / ours[stage], turn.fastest()[stage]
                rows.append(Row(turn.name, stage, seconds, fastest, tops, ratio, turn.runs))
        rows += [
            Row(skipped.name, stage, None, None, None, None, 0, skipped.why)
            for skipped in left_out
            if stage in skipped.stages and stage in (PRODUCT, TASK)
        ]
    card = getattr(device, "card", None)
    top = None if card is None else peak(card.name)
    product_tops = _tops(task, ours[PRODUCT])
    return Report(
        device=device.name,
        card=None
        if card is None
        else {
            "name": card.name,
            "multiprocessors": card.multiprocessors,
            "capability": list(card.capability),
            "clock_khz": card.clock_khz,
        },
        tier=_tier(device),
        threads=_threads(device),
        processor=_processor(),
        versions=_versions(),
        size=task.n,
        iterations=task.iterations,
        repeat=repeat,
        product_tops=product_tops,
        peak_tops=None if top is None else top.tops,
        peak_source=None if top is None else top.source,
        peak_share=None if top is None else product_tops / top.tops,
        rows=rows,
        notes=_notes(rows, on_gpu=card is not None, iterations=task.iterations),
    )


def _tops(task: Task, seconds: float) -> float:
    return 2e-12 * task.multiply_adds / seconds


def _notes(rows: list[Row], *, on_gpu: bool, iterations: int) -> list[str]:
    """Return what a reader must know to judge the comparison."""
    ran = {row.name for row in rows if row.seconds is not None}
    notes = []
    if on_gpu:
        notes.append(
            _(
                "Stages are launched one by one, the product with its check; the whole task"
                " is one graph by the clock, and may take less than they do together."
            )
        )
    else:
        notes.append(_("A stage's time is all threads' time at it, divided by their number."))
    if any(name.startswith("torch") for name in ran):
        notes.append(
            _(
                "torch's _int_mm writes C as int32; our product folds it to int8 in the"
                " epilogue. Like for like is '_int_mm, then fold': the same operands in, the"
                " same bytes out."
            )
        )
    if any(name.startswith("cuBLASLt") for name in ran):
        notes.append(
            _(
                "cuBLASLt has 64 MiB of workspace, and the fastest of all answers of its heuristics"
                " counts. Like for like is 'cuBLASLt, then fold'. On a GPU torch's _int_mm calls"
                " it without either, and gets a slower kernel."
            )
        )
    if any(name.startswith("Triton") for name in ran):
        notes.append(_("Triton's product writes int32, too, from tiles that its autotuner chose."))
    if any(name.startswith("numpy") for name in ran):
        notes.append(
            _("numpy's rows are like for like: the same task, bit for bit, through float64.")
        )
    if any(name.startswith("guide") for name in ran):
        once = (
            ngettext(
                ", and multiplies once, not {iterations} time",
                ", and multiplies once, not {iterations} times",
                iterations,
            ).format(iterations=iterations)
            if iterations > 1
            else ""
        )
        notes.append(
            _(
                "The guide's pipeline is another task of this size: random float64 operands,"
                " all of C to the host, one SHA-256{once}."
            ).format(once=once)
        )
    disturbed = dict.fromkeys(
        row.name
        for row in rows
        if row.stage in (PRODUCT, TASK)
        and row.seconds is not None
        and row.fastest is not None
        and row.seconds > _DISTURBED * row.fastest
    )
    if disturbed:
        notes.append(
            _(
                "Use with care: the median of {names} is more than {DISTURBED:g} times the"
                " fastest run. Something else used this machine: run it again when it is"
                " idle."
            ).format(names=", ".join(disturbed), DISTURBED=_DISTURBED)
        )
    return notes


def _tier(device: Device) -> str | None:
    """Return the name of the device's tier, if it has several."""
    tier = getattr(device, "tier", None)
    name: str | None = getattr(tier, "name", tier)
    return name


def _threads(device: Device) -> int | None:
    threads: int | None = getattr(device, "threads", None)
    return threads


def _versions() -> dict[str, str | None]:
    """Return versions of the measured packages and of what they need; None if not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in _PACKAGES:
        wheels = ("cupy", "cupy-cuda13x", "cupy-cuda12x") if package == "cupy" else (package,)
        found[package] = next(filter(None, map(_version, wheels)), None)
    return found


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    """Return the CPU's name, or its architecture if the name is unknown."""
    try:
        for line in _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.machine()
