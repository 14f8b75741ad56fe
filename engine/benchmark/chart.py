"""Draw bar charts: SVG in plain Python, or PNG with matplotlib.

    check_path(Path("bench.svg"))        # before the work: BadInput if it could not be written
    write(Path("bench.svg"), Chart("title", [Panel("product", [Bar("ours", 1.0, "1 ms")])], []))

Each panel has a scale of its own, which begins at zero: a bar may be too short to see beside one
that is a thousand times longer, and then its words say so.
"""

import importlib
import importlib.util
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from xml.sax.saxutils import escape

from engine.benchmark.files import check_writable, writing
from engine.runtime.errors import BadInput

_WIDTH, _BAR, _STEP, _MARGIN = 880, 18, 28, 24
_CHARACTER, _BOLD = 7.6, 9.0  # upper bounds of a letter's mean width at 13 pixels
_OURS, _THEIRS, _TEXT, _SOFT = "#1666b0", "#a9b4c0", "#1c2733", "#5b6875"


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar. `length` is at least 0, in the unit of its panel."""

    label: str
    length: float
    text: str
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """Bars with a common scale. `title` says what is drawn, and which direction is better."""

    title: str
    bars: Sequence[Bar]


@dataclass(frozen=True, slots=True)
class Chart:
    """A title, panels one below the other, and footnotes."""

    title: str
    panels: Sequence[Panel]
    notes: Sequence[str]


def check_path(path: Path) -> None:
    """Raise BadInput if `write` could not write this file. Write nothing."""
    if path.suffix.lower() not in (".svg", ".png"):
        raise BadInput(
            _("a chart is written as .svg or .png, and {path} is neither").format(path=path)
        )
    if path.suffix.lower() == ".png" and importlib.util.find_spec("matplotlib") is None:
        raise BadInput(
            _("a chart as PNG needs matplotlib, which is not installed"),
            advice=_("Write it as SVG, which needs no package: --chart {with_suffix}").format(
                with_suffix=path.with_suffix(".svg")
            ),
        )
    check_writable(path)


def write(path: Path, chart: Chart) -> None:
    """Write the chart in the format of the suffix. Raise BadInput if that fails."""
    with writing(path):
        if path.suffix.lower() == ".png":
            _write_png(path, chart)
        else:
            path.write_text(svg(chart), encoding="utf-8")


def svg(chart: Chart) -> str:
    """Return the chart as an SVG document."""
    bars = [bar for panel in chart.panels for bar in panel.bars]
    left = _MARGIN + max((_pixels(bar.label, bar) for bar in bars), default=0) + 10
    right = max((_pixels(bar.text, bar) for bar in bars), default=0) + 8 + _MARGIN
    room = max(120, _WIDTH - left - right)
    width = left + room + right
    letters = int((width - 2 * _MARGIN) / _CHARACTER)
    out: list[str] = []
    y = _MARGIN + 14
    for line in textwrap.wrap(chart.title, int(letters * 13 / 16)):
        out.append(_text(_MARGIN, y, line, size=16, weight="bold"))
        y += 22
    for panel in chart.panels:
        y += 18
        out.append(_text(_MARGIN, y, panel.title, fill=_SOFT))
        y += 12
        top = y
        longest = max((bar.length for bar in panel.bars), default=0) or 1
        for bar in panel.bars:
            length = max(1, round(room * bar.length / longest))
            weight = "bold" if bar.ours else "normal"
            middle = y + _BAR - 5
            out.append(_text(left - 10, middle, bar.label, weight=weight, anchor="end"))
            fill = _OURS if bar.ours else _THEIRS
            out.append(f'<rect x="{left}" y="{y}" width="{length}" height="{_BAR}" fill="{fill}"/>')
            out.append(_text(left + length + 8, middle, bar.text, weight=weight))
            y += _STEP
        out.append(
            f'<line x1="{left}" y1="{top - 4}" x2="{left}" y2="{y - _STEP + _BAR + 4}"'
            f' stroke="{_SOFT}"/>'
        )
    y += 22
    for note in chart.notes:
        for line in textwrap.wrap(note, int(letters * 1.15)):
            out.append(_text(_MARGIN, y, line, size=12, fill=_SOFT))
            y += 17
    height = y + _MARGIN - 10
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}" font-family="sans-serif">\n'
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n'
        + "\n".join(out)
        + "\n</svg>\n"
    )


def _text(
    x: int,
    y: int,
    text: str,
    *,
    size: int = 13,
    weight: str = "normal",
    anchor: str = "start",
    fill: str = _TEXT,
) -> str:
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}"'
        f' fill="{fill}">{escape(text)}</text>'
    )


def _pixels(text: str, bar: Bar) -> int:
    return round(len(text) * (_BOLD if bar.ours else _CHARACTER))


def _write_png(path: Path, chart: Chart) -> None:
    """Draw the same panels with matplotlib."""
    figure_class = importlib.import_module("matplotlib.figure").Figure
    rows = [max(1, len(panel.bars)) for panel in chart.panels]
    notes = [line for note in chart.notes for line in textwrap.wrap(note, 120)]
    height = 0.32 * sum(rows) + 0.5 * len(rows) + 0.8 + 0.2 * len(notes)
    figure = figure_class(figsize=(10, height), layout="constrained")
    figure.suptitle("\n".join(textwrap.wrap(chart.title, 90)), x=0.01, ha="left", weight="bold")
    axes = figure.subplots(len(rows), 1, squeeze=False, gridspec_kw={"height_ratios": rows})
    for (ax,), panel in zip(axes, chart.panels, strict=True):
        longest = max((bar.length for bar in panel.bars), default=0) or 1
        drawn = ax.barh(
            range(len(panel.bars)),
            [bar.length for bar in panel.bars],
            color=[_OURS if bar.ours else _THEIRS for bar in panel.bars],
        )
        ax.bar_label(drawn, [bar.text for bar in panel.bars], padding=6)
        ax.set_yticks(range(len(panel.bars)), [bar.label for bar in panel.bars])
        ax.set_xlim(0, 1.75 * longest)
        ax.set_title(panel.title, loc="left", fontsize=10, color=_SOFT)
        ax.invert_yaxis()
        ax.set_xticks([])
        ax.spines[["top", "right", "bottom"]].set_visible(False)
    if notes:
        figure.supxlabel("\n".join(notes), x=0.01, ha="left", fontsize=8, color=_SOFT)
    figure.savefig(path, dpi=120)
