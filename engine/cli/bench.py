"""`cpc-engine bench`: time each stage of a task, beside other libraries that are installed.

cpc-engine bench --size 4096 --chart bench.svg
cpc-engine bench --table                        # our product beside cuBLASLt's on a GPU, in minutes
cpc-engine bench --report rtx4090.json          # for others: figures and versions, no names
"""

from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import TYPE_CHECKING

from engine.cli.config.groups import with_options
from engine.cli.options import Json, TierOptions, say, say_json, say_progress
from engine.pool.options import DeviceOptions, TuningOptions
from engine.runtime.settings import setting
from engine.tasks.options import MatrixOptions

if TYPE_CHECKING:
    from engine.benchmark.chart import Chart
    from engine.benchmark.product_table import Table
    from engine.benchmark.stages import Report, Row

LARGE = MatrixOptions(size=4096)


@dataclass(frozen=True, kw_only=True)
class BenchOptions(TierOptions, TuningOptions, DeviceOptions):
    """What is timed, on what, and how often."""

    device: tuple[str, ...] = setting(
        ("auto",),
        _("auto, cpu, reference or cuda:N; several times: tasks per second, together and alone."),
    )
    repeat: int = setting(5, _("Repetitions; the median counts."), least=1, most=1000)
    compare: bool = setting(True, _("Also time numpy, torch, Triton and cupy, where installed."))
    chart: Path | None = setting(None, _("Draw the result into this .svg or .png file."))
    table: bool = setting(
        False, _("On a GPU: the product beside cuBLASLt's from n = 1024 to 16384, as Markdown.")
    )
    report: Path | None = setting(
        None, _("Write figures and versions, and no name of yours, into this .json file.")
    )


@with_options
def bench(matrix: MatrixOptions = LARGE, *, options: BenchOptions, json: Json = False) -> None:
    """Time each stage of a task; a multiply-add counts as two operations."""
    from engine.benchmark.chart import check_path, write
    from engine.benchmark.files import check_writable, writing
    from engine.benchmark.report import encode
    from engine.benchmark.stages import run_bench
    from kernels.devices import check_device_name, chosen_devices

    options.apply()
    if len(options.device) > 1:
        for name in options.device:
            check_device_name(name)
        _bench_rig(chosen_devices(options.device), matrix, options, json=json)
        return
    if options.chart is not None:
        check_path(options.chart)
    if options.report is not None:
        check_writable(options.report)
    if options.table:
        _table(options.device[0], json=json)
        return
    report = run_bench(
        matrix.size,
        matrix.iterations,
        repeat=options.repeat,
        device=options.device[0],
        threads=options.threads,
        tier=options.tier,
        compare=options.compare,
    )
    if json:
        say_json(report)
    else:
        _say_report(report, compare=options.compare)
    if options.chart is not None:
        write(options.chart, draw(report))
    if options.report is not None:
        table = _products(report.device) if report.card is not None and options.compare else None
        content = encode(report, table)
        with writing(options.report):
            options.report.write_bytes(content)
        said = _("Written: {path}. It names nobody; read it before you send it.")
        say_progress(said.format(path=options.report))


def _table(device: str, *, json: bool) -> None:
    """Print the table of products; exit code 1 if one of them is wrong."""
    from engine.runtime.errors import BadInput, WrongClaim
    from kernels.devices import available_devices, check_device_name

    check_device_name(device)
    chosen = available_devices()[0] if device == "auto" else device
    if not chosen.startswith("cuda"):
        raise BadInput(
            _("the table of products is for an NVIDIA GPU, and the device is {device}").format(
                device=chosen
            ),
            advice=_("cpc-engine bench without --table times the CPU."),
        )
    table = _products(chosen)
    if json:
        say_json(table.to_json())
    else:
        say("\n".join(table.markdown()))
    if not table.right():
        raise WrongClaim(_("a product is wrong: see the lines above"))


def _products(device: str) -> "Table":
    """Measure the products on a card; each size is shown on stderr as soon as it is done."""
    from engine.benchmark.product_run import measure

    index = int(device.partition(":")[2] or 0)
    return measure(index, say=say_progress)


def _bench_rig(
    devices: tuple[str, ...], matrix: MatrixOptions, options: BenchOptions, *, json: bool
) -> None:
    from engine.benchmark.multi_device import measure_rig
    from engine.runtime.errors import BadInput
    from kernels.task import Task

    if len(set(devices)) < len(devices):
        raise BadInput(_("a device is named twice: each gets one child"))
    task = Task(bytes(range(32)), matrix.size, matrix.iterations)
    report = measure_rig(devices, task, threads=options.threads, turns=options.repeat)
    if json:
        say_json(report.to_json())
        return
    said = _("n = {size}, tasks per second; medians of {turns}")
    say(said.format(size=matrix.size, turns=options.repeat))
    say(f"{_('device'):<12} {_('alone'):>10} {_('together'):>10}")
    for device, alone in report.alone.items():
        say(f"{device:<12} {alone:>10.1f} {report.together[device]:>10.1f}")
    say(
        _("together {total:.1f}, {share:.1%} of the sum alone").format(
            total=report.total, share=report.share_of_linear
        )
    )


def draw(report: "Report") -> "Chart":
    """Return the report as bars: the time of our stages, and of ours beside others'."""
    from engine.benchmark.baselines import PRODUCT, TASK
    from engine.benchmark.chart import Bar, Chart, Panel
    from engine.benchmark.stages import OURS, STAGES

    timed = [(row, row.seconds) for row in report.rows if row.seconds is not None]
    ours = [(row, seconds) for row, seconds in timed if row.name == OURS and row.stage != TASK]
    total = sum(seconds for _, seconds in ours)
    bars = [
        Bar(STAGES[row.stage], seconds, f"{_time(seconds)} · {seconds / total:.0%}", ours=True)
        for row, seconds in ours
    ]
    panels = [Panel(_("our stages: time, shorter is better"), bars)]
    for stage in (PRODUCT, TASK):
        bars = [
            Bar(row.name, seconds, _words(row, seconds, row.name == OURS), row.name == OURS)
            for row, seconds in timed
            if row.stage == stage
        ]
        if len(bars) > 1:
            panels.append(
                Panel(_("{stage}: time, shorter is better").format(stage=STAGES[stage]), bars)
            )
    known = [] if report.peak_share is None else [_peak_line(report)]
    return Chart(f"cpc-engine bench: {report.title()}", panels, [*known, *report.notes])


def _say_report(report: "Report", *, compare: bool) -> None:
    from engine.benchmark.stages import OURS, STAGES

    say(_("{title}; medians of {repeat}").format(title=report.title(), repeat=report.repeat))
    say()
    say(f"{_('stage'):<12} {_('time'):>12}   {_('rate')}")
    for row in report.rows:
        if row.name == OURS and row.seconds is not None:
            line = f"{STAGES[row.stage]:<12} {_time(row.seconds):>12}   {_rate(row.tops)}"
            say(line.rstrip())
    say(_peak_line(report))
    beside = [row for row in report.rows if row.name != OURS]
    if compare and beside:
        wide = max(len(row.name) for row in beside)
        say()
        say(
            f"{_('in turns beside it'):<{wide}}  {_('stage'):<10} {_('time'):>12}"
            f" {_('to ours'):>9}   {_('rate')}"
        )
        for row in beside:
            start = f"{row.name:<{wide}}  {STAGES[row.stage]:<10}"
            if row.seconds is None:
                say(f"{start}   " + _("not run: {note}").format(note=row.note))
            else:
                line = (
                    f"{start} {_time(row.seconds):>12} {_ratio(row.ratio):>9}   {_rate(row.tops)}"
                )
                say(line.rstrip())
    say()
    for note in report.notes:
        say(note)


def _peak_line(report: "Report") -> str:
    if report.peak_share is None or report.peak_tops is None:
        return _("share of the datasheet's dense int8 peak: -")
    return _(
        "share of the datasheet's dense int8 peak ({peak_tops:g} TOPS):"
        " {peak_share:.1%} ({peak_source})"
    ).format(
        peak_tops=report.peak_tops, peak_share=report.peak_share, peak_source=report.peak_source
    )


def _words(row: "Row", seconds: float, ours: bool) -> str:
    against = "" if ours else _("{ratio} our time").format(ratio=_ratio(row.ratio))
    return " · ".join(filter(None, (_time(seconds), _rate(row.tops), against)))


def _time(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e3)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.2f} {unit}"
    return f"{seconds * 1e6:.1f} µs"


def _rate(tops: float | None) -> str:
    """Return the rate, if there is one: below 1 TOPS in GOP/s."""
    if tops is None:
        return ""
    return f"{tops:.1f} TOPS" if tops >= 1 else f"{1000 * tops:.3g} GOP/s"


def _ratio(ratio: float | None) -> str:
    if ratio is None:
        return "-"
    return f"{ratio:.2f}x" if ratio < 100 else f"{ratio:,.0f}x"
