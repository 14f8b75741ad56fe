"""The table of products: its figures, as JSON and as Markdown.

    table.cells.append(Cell(4096, OURS, FOLD, "wgmma 128x256", burst=9e-5))
    for line in table.markdown():
        print(line)

`product_run.py` measures it.
"""

from dataclasses import asdict, dataclass, field
from gettext import gettext as _
from typing import Any

from kernels.energy import UNKNOWN, Draw

OURS, CUBLASLT = "cpc-engine", "cuBLASLt"
INT32, FOLD, CHECKED = "int32", "fold", "fold, checked"
OUTPUTS = INT32, FOLD, CHECKED


@dataclass(frozen=True, slots=True)
class Cell:
    """A contender at one size. `differences`: words unlike those of `checked`; None: not compared."""

    size: int
    name: str
    output: str
    variant: str
    burst: float | None
    """Seconds a product."""
    sustained: float | None = None
    draw: Draw = UNKNOWN
    checked: str = ""
    differences: int | None = None
    why_not: str = ""


@dataclass(frozen=True)
class Table:
    """What was measured, and on what."""

    card: str
    capability: tuple[int, int]
    multiprocessors: int
    driver: str
    versions: dict[str, str]
    cells: list[Cell] = field(default_factory=list)

    def right(self) -> bool:
        """Whether everything that was compared is equal to the reference."""
        return not any(cell.differences for cell in self.cells)

    def find(self, size: int, name: str, output: str) -> Cell | None:
        """Return the figures of one contender, if it ran."""
        wanted = (size, name, output)
        return next((c for c in self.cells if (c.size, c.name, c.output) == wanted), None)

    def markdown(self) -> list[str]:
        """Return the lines of two tables: bursts, and the steady state."""
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        head = f"{self.card}, {self.multiprocessors} multiprocessors, {self.driver}, {versions}"
        return [head, "", *self._bursts(), "", *self._steady()]

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON's types."""
        return asdict(self)

    def _bursts(self) -> list[str]:
        sizes = list(dict.fromkeys(cell.size for cell in self.cells))
        rows = list(dict.fromkeys((cell.name, cell.output) for cell in self.cells))
        lines = [
            "| burst, TOPS (ratio to cuBLASLt with the same output) | "
            + " | ".join(map(str, sizes))
            + " |",
            "| --- |" + " --- |" * len(sizes),
        ]
        for name, output in rows:
            cells = [self._burst(self.find(size, name, output)) for size in sizes]
            label = f"{name}, {output}" if name in (OURS, CUBLASLT) else f"{name}, int32 out"
            lines.append(f"| {label} | " + " | ".join(cells) + " |")
        return lines

    def _burst(self, cell: Cell | None) -> str:
        if cell is None or cell.burst is None:
            return ""
        return f"{tops(cell.size, cell.burst):.0f}" + self._ratio(cell, "burst")

    def _ratio(self, cell: Cell, which: str) -> str:
        base = self.find(cell.size, CUBLASLT, FOLD if cell.output == CHECKED else cell.output)
        seconds = getattr(cell, which)
        beside = None if base is None else getattr(base, which)
        if beside is None or seconds is None or base is cell:
            return ""
        return f" ({beside / seconds:.2f})"

    def _steady(self) -> list[str]:
        lines = [
            "| steady state | n | TOPS (ratio) | us | W | MHz | mJ a product |",
            "| --- |" + " --- |" * 6,
        ]
        for cell in self.cells:
            if cell.sustained is None:
                continue
            rate = f"{tops(cell.size, cell.sustained):.0f}" + self._ratio(cell, "sustained")
            draw = cell.draw
            figures = (
                f"{1e6 * cell.sustained:.1f}",
                _number(draw.watts, ".0f"),
                _number(draw.clock_mhz, ".0f"),
                _number(None if draw.joules is None else 1000 * draw.joules, ".4g"),
            )
            lines.append(
                f"| {cell.name}, {cell.output} | {cell.size} | {rate} | "
                + " | ".join(figures)
                + " |"
            )
        return lines


def tops(size: int, seconds: float) -> float:
    """Return 10^12 operations a second."""
    return 2e-12 * size**3 / seconds


def line(cell: Cell) -> str:
    """Return one contender's figures as a line."""
    if cell.burst is None:
        return f"{cell.size:>6} {cell.name:<15} {cell.output:<14} " + _("not run: {note}").format(
            note=cell.why_not
        )
    parts = [
        f"{cell.size:>6} {cell.name:<15} {cell.output:<14} {1e6 * cell.burst:>9.1f} us"
        f" {tops(cell.size, cell.burst):>6.0f} TOPS"
    ]
    if cell.sustained is not None:
        parts.append(
            f"sustained {tops(cell.size, cell.sustained):.0f} TOPS"
            f" {_number(cell.draw.watts, '.0f')} W {_number(cell.draw.clock_mhz, '.0f')} MHz"
        )
    if cell.checked:
        parts.append(
            _("right")
            if not cell.differences
            else _("{count} WRONG").format(count=cell.differences)
        )
    return " ".join([*parts, cell.variant])


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
