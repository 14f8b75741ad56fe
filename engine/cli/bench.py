"""`cpc-engine bench`: each stage of a task timed, beside whatever else is installed.

cpc-engine bench --size 4096 --chart bench.svg
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.options import Device, Iterations, Json, Size, Threads, say, say_json
from engine.defaults import DEFAULT_ITERATIONS

if TYPE_CHECKING:
    from engine.bench import Report, Row
    from engine.chart import Chart


def bench(
    size: Size = 4096,
    iterations: Iterations = DEFAULT_ITERATIONS,
    repeat: Annotated[int, typer.Option(min=1, max=1000, help="Runs; the median counts.")] = 5,
    device: Device = "auto",
    tier: Annotated[
        str | None,
        typer.Option(
            "--tier",
            help="How a GPU multiplies: wgmma, mma, dp4a, simt. [default: the card's best]",
        ),
    ] = None,
    threads: Threads = None,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare/--no-compare", help="Time numpy, torch and cupy, too, where installed."
        ),
    ] = True,
    json: Json = False,
    chart: Annotated[
        Path | None, typer.Option("--chart", help="Draw the result into this .svg or .png file.")
    ] = None,
) -> None:
    """Time each stage of a task; a multiply-add counts as two operations."""
    from engine.bench import run_bench
    from engine.chart import check_path, write

    if chart is not None:
        check_path(chart)
    report = run_bench(
        size,
        iterations,
        repeat=repeat,
        device=device,
        threads=threads,
        tier=tier,
        compare=compare,
    )
    if json:
        say_json(report.to_json())
    else:
        _say_report(report, compare=compare)
    if chart is not None:
        write(chart, draw(report))


def draw(report: "Report") -> "Chart":
    """The report as bars: where our time goes, and, where others ran, we beside them."""
    from engine.bench import OURS, STAGES
    from engine.chart import Bar, Chart, Panel
    from engine.compare import PRODUCT, TASK

    ours = [row for row in report.rows if row.name == OURS and row.stage != TASK]
    total = sum(row.seconds or 0.0 for row in ours)
    panels = [
        Panel(
            "our stages: time, shorter is better",
            [
                Bar(
                    STAGES[row.stage],
                    row.seconds or 0.0,
                    f"{_time(row.seconds)} · {(row.seconds or 0.0) / total:.0%}",
                    True,
                )
                for row in ours
            ],
        )
    ]
    for stage in (PRODUCT, TASK):
        ran = [row for row in report.rows if row.stage == stage and row.seconds is not None]
        if len(ran) > 1:
            panels.append(
                Panel(
                    f"{STAGES[stage]}: time, shorter is better",
                    [
                        Bar(row.name, row.seconds or 0.0, _words(row), row.name == OURS)
                        for row in ran
                    ],
                )
            )
    return Chart(
        f"cpc-engine bench: {report.title()}", panels, [*_peak_line(report), *report.notes]
    )


def _say_report(report: "Report", *, compare: bool) -> None:
    from engine.bench import OURS, STAGES

    say(f"{report.title()}; medians of {report.repeat}")
    say()
    say(f"{'stage':<12} {'time':>12}   rate")
    for row in report.rows:
        if row.name == OURS:
            say(f"{STAGES[row.stage]:<12} {_time(row.seconds):>12}   {_rate(row)}".rstrip())
    for line in _peak_line(report):
        say(line)
    beside = [row for row in report.rows if row.name != OURS]
    if compare and beside:
        wide = max(len(row.name) for row in beside)
        say()
        say(f"{'in turns beside it':<{wide}}  {'stage':<10} {'time':>12} {'to ours':>9}   rate")
        for row in beside:
            start = f"{row.name:<{wide}}  {STAGES[row.stage]:<10}"
            if row.seconds is None:
                say(f"{start} not run: {row.note}")
            else:
                line = f"{start} {_time(row.seconds):>12} {_ratio(row):>9}   {_rate(row)}"
                say(line.rstrip())
    say()
    for note in report.notes:
        say(note)


def _peak_line(report: "Report") -> list[str]:
    if report.peak_share is None or report.peak_tops is None:
        return ["share of the datasheet's dense int8 peak: -"]
    return [
        f"share of the datasheet's dense int8 peak ({report.peak_tops:g} TOPS):"
        f" {report.peak_share:.1%} ({report.peak_source})"
    ]


def _words(row: "Row") -> str:
    parts = [_time(row.seconds), _rate(row)]
    if row.ratio is not None and row.name != "cpc-engine":
        parts.append(f"{_ratio(row)} our time")
    return " · ".join(filter(None, parts))


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    for unit, scale in (("s", 1.0), ("ms", 1e3)):
        if seconds * scale >= 1:
            return f"{seconds * scale:.2f} {unit}"
    return f"{seconds * 1e6:.1f} µs"


def _rate(row: "Row") -> str:
    if row.tops is None:
        return ""
    return f"{row.tops:.4g} TOPS" if row.tops >= 1 else f"{1000 * row.tops:.3g} GOP/s"


def _ratio(row: "Row") -> str:
    return (
        "-"
        if row.ratio is None
        else f"{row.ratio:.2f}x"
        if row.ratio < 100
        else f"{row.ratio:.0f}x"
    )
