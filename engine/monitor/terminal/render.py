"""Renders a snapshot for a terminal of a given size, with rich.

    console.print(draw(monitor.snapshot(), Size(width=80, height=24)))

From the top: account and uptime; a table of the devices; chain and results side by side; the latest
events in the rest. A narrow terminal loses columns, the least needed first; a low one loses the events
first, then frames, then devices that do not fit. Nothing is shown by colour alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from gettext import gettext as _
from typing import NamedTuple

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from engine.monitor import formatting as wording
from engine.monitor.snapshot import DeviceView, Snapshot

_STYLES = {
    "mining": "bold green",
    "working": "bold green",
    "busy": "green",
    "idle": "green",
    "starting": "cyan",
    "compiling": "cyan",
    "waiting": "bold yellow",
    "degraded": "bold yellow",
    "paused": "yellow",
    "backoff": "yellow",
    "stopping": "cyan",
    "out": "bold red",
}
_EVENT_STYLES = {
    "confirmed": "green",
    "given_up": "yellow",
    "skipped": "yellow",
    "gap": "yellow",
    "rolled_back": "yellow",
    "paused": "yellow",
    "card_fault": "red",
    "child_killed": "red",
    "child_ended": "red",
    "out_of_service": "bold red",
    "gpu_skipped": "yellow",
    "trouble": "bold red",
    "trouble_over": "green",
    "warning": "yellow",
}
_FRAME = "dim"
_WRAPPING = Console(width=80, color_system=None)
"""For where lines break, by the columns that their characters take."""
_LOW = 16
"""Fewer rows than this have no room for frames."""
_MOST_TROUBLES = 4
"""Of the rows, one in so many may tell what is wrong."""
_FACTS = 5
"""Rows of the chain's and the account's facts."""


@dataclass(frozen=True, slots=True)
class Size:
    """Columns and rows."""

    width: int
    height: int


def hint() -> str:
    """Return what the keys do."""
    return _("p pause or resume, q quit")


def draw(snapshot: Snapshot, size: Size, keys: str = "") -> RenderableType:
    """Draw the whole view in at most `size.height` rows; `keys` is shown in the last frame."""
    framed = size.height >= _LOW
    head = [_title(snapshot), *_troubles(snapshot, size)]
    free = size.height - len(head) - (2 if framed else 0)  # the frame of the devices
    facts = _FACTS + (2 if framed else 0)
    keep = facts + (4 if framed else 0)  # facts, and two events in their frame
    shown = max(1, min(len(snapshot.devices), free - 1 - keep))
    if shown < len(snapshot.devices):
        shown = max(1, shown - 1)  # a row says how many are not shown
    parts: list[RenderableType] = [*head, _devices(snapshot, shown, size.width, framed=framed)]
    left = free - 1 - max(1, shown) - (shown < len(snapshot.devices))
    if left >= _FACTS + (2 if framed else 0):
        parts.append(_facts(snapshot, size.width, framed=framed))
        left -= facts
    if left >= (3 if framed else 1):
        parts.append(_events(snapshot, left, keys, framed=framed))
    return Group(*parts)


def _title(snapshot: Snapshot) -> RenderableType:
    title = Table.grid(expand=True, padding=(0, 1))
    title.add_column(no_wrap=True)
    title.add_column(no_wrap=True, ratio=1, overflow="ellipsis")
    title.add_column(no_wrap=True, justify="right")
    word = wording.state_word(snapshot.state)
    up = _("up {time}").format(time=wording.duration(snapshot.now - snapshot.started_at))
    title.add_row(
        Text(f" cpc-engine {snapshot.version}", style="bold"),
        Text.assemble((word, _STYLES[snapshot.state]), f"  {snapshot.address}"),
        Text(f"{up} ", style="dim"),
    )
    return title


def _troubles(snapshot: Snapshot, size: Size) -> list[RenderableType]:
    """Return what the operator has to know first; what stops the engine comes first.

    A row each, and of the rows that are left as many as a sentence needs: its end says what to do.
    """
    most, lines = max(2, size.height // _MOST_TROUBLES), []
    if snapshot.paused:
        lines.append((_("Paused: {reason}").format(reason=snapshot.paused), "bold yellow"))
    for trouble in sorted(snapshot.troubles, key=lambda trouble: not trouble.stops):
        lines.append((wording.trouble(trouble), "bold red" if trouble.stops else "bold yellow"))
    if hidden := lines[most:]:
        more = _("and {count} more: cpc-engine status --json").format(count=len(hidden) + 1)
        lines[most - 1 :] = [(more, "bold red")]
    spare = most - len(lines)
    rows: list[RenderableType] = []
    for line, style in lines:
        parts = Text(" ".join(line.split())).wrap(_WRAPPING, max(20, size.width - 2))
        kept = min(len(parts), 1 + spare)
        spare -= kept - 1
        texts = [part.plain.strip() for part in parts]
        texts[kept - 1 :] = [" ".join(texts[kept - 1 :])]
        rows += [_one_row(f" {text}", style) for text in texts]
    return rows


def _devices(snapshot: Snapshot, shown: int, width: int, *, framed: bool) -> RenderableType:
    columns = _fitting(_columns(snapshot.devices[:shown], width), width - (4 if framed else 0))
    table = Table(
        box=None, expand=True, pad_edge=False, padding=(0, 1), header_style="dim", show_edge=False
    )
    for at, column in enumerate(columns):
        table.add_column(
            column.name,
            no_wrap=True,
            justify="left" if at < 2 else "right",
            ratio=1 if at == 1 else None,
            min_width=column.width,
            overflow="ellipsis",
        )
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*row)
    if not snapshot.devices:
        table.add_row(Text(_("none yet"), style="dim"))
    parts: list[RenderableType] = [table]
    if hidden := len(snapshot.devices) - shown:
        line = _("and {count} more; {rate} together")
        rate = wording.rate(snapshot.tops)
        if hidden > 0:
            parts.append(_one_row(line.format(count=hidden, rate=rate), "dim"))
    return _frame(Group(*parts), _("Devices"), framed=framed)


class _Column(NamedTuple):
    """One fact of every device. The higher `rank`, the sooner it is left out; 0: never."""

    name: str
    cells: list[Text]
    rank: int = 0

    @property
    def width(self) -> int:
        """Columns of the terminal that it needs; a reason behind a state may be cut."""
        needed = (len(cell.plain.partition(":")[0]) for cell in self.cells)
        return max([len(self.name), *needed])


def _columns(devices: Sequence[DeviceView], width: int) -> list[_Column]:
    def texts(tell: Callable[[DeviceView], str]) -> list[Text]:
        return [Text(tell(device)) for device in devices]

    rates = [Text(wording.rate(one.tops).removesuffix("OPS"), style="bold") for one in devices]
    return [
        _Column(_("Device"), texts(lambda one: one.name)),
        _Column(_("State"), [_device_state(device, width) for device in devices]),
        _Column("OPS", rates),
        _Column(_("Tasks"), texts(lambda one: str(one.tasks)), 1),
        _Column(_("Temp"), texts(wording.temperature), 2),
        _Column(_("Power"), texts(wording.power), 3),
        _Column(_("Memory"), texts(wording.memory), 5),
        _Column(_("Last result"), texts(wording.last_result), 4),
    ]


def _fitting(columns: list[_Column], width: int) -> list[_Column]:
    """Leave columns out until the rest fits, those that matter least first."""
    while sum(column.width + 2 for column in columns) - 2 > width:
        least = max(columns, key=lambda column: column.rank)
        if not least.rank:
            break
        columns = [column for column in columns if column is not least]
    return columns


def _device_state(device: DeviceView, width: int) -> Text:
    text = Text(wording.state_word(device.state), style=_STYLES[device.state])
    if device.restarts:
        text.append(f" ↻{device.restarts}", style="yellow")
    if device.compiled is not None:
        text.append(f" {wording.bar(device.compiled, 10 if width >= 100 else 0)}")
    if device.reason and width >= 100:
        text.append(f": {device.reason}", style="dim")
    return text


def _facts(snapshot: Snapshot, width: int, *, framed: bool) -> RenderableType:
    both = Table.grid(expand=True)
    both.add_column(ratio=4)
    both.add_column(ratio=3)
    half = width * 4 // 7 - (4 if framed else 1)
    chain = _frame(_chain(snapshot, half), _("Chain"), framed=framed)
    results = _frame(_account(snapshot), _("Results"), framed=framed)
    if snapshot.jobs.validators:
        if not snapshot.chain.chain_id:
            chain = _frame(_validators(snapshot), _("Validators"), framed=framed)
        results = _frame(_jobs(snapshot), _("Jobs"), framed=framed)
    both.add_row(chain, results)
    return both


def _chain(snapshot: Snapshot, width: int) -> RenderableType:
    chain = snapshot.chain
    next_block: RenderableType = wording.NOTHING
    if chain.next_block_in is not None and chain.block_time:
        next_block = Table.grid(padding=(0, 1))
        next_block.add_row(
            _("{seconds} s").format(seconds=f"{chain.next_block_in:.0f}"),
            ProgressBar(
                total=chain.block_time,
                completed=chain.block_time - chain.next_block_in,
                width=max(4, width - 20),
                complete_style="cyan",
                finished_style="cyan",
            ),
        )
    return _pairs(
        (_("Chain"), chain.chain_id or wording.NOTHING),
        (_("Node"), chain.node or wording.NOTHING),
        (_("Height"), wording.NOTHING if chain.height is None else str(chain.height)),
        (_("Next block"), next_block),
        (
            _("Blocks"),
            _("{seen}, {skipped} skipped, {missed} missed").format(**snapshot.blocks.model_dump()),
        ),
    )


def _validators(snapshot: Snapshot) -> RenderableType:
    names = snapshot.jobs.validators
    rows = names if len(names) <= _FACTS else [*names[: _FACTS - 1], f"+{len(names) - _FACTS + 1}"]
    rows += [""] * (_FACTS - len(rows))
    return Group(*(_one_row(f" {name}", "") for name in rows))


def _jobs(snapshot: Snapshot) -> RenderableType:
    jobs = snapshot.jobs
    return _pairs(
        (_("Taken"), str(jobs.taken)),
        (_("Computed"), str(jobs.computed)),
        (_("Accepted"), Text(wording.accepted(snapshot), style="bold green")),
        (_("Rejected"), Text(str(jobs.rejected), style="bold red" if jobs.rejected else "")),
        (_("Declined"), Text(str(jobs.declined), style="yellow" if jobs.declined else "")),
    )


def _account(snapshot: Snapshot) -> RenderableType:
    results = snapshot.results
    return _pairs(
        (_("Confirmed"), Text(str(results.confirmed), style="bold green")),
        (_("Pending"), str(results.pending)),
        (_("Given up"), Text(str(results.given_up), style="yellow" if results.given_up else "")),
        (_("Fees"), wording.fees(snapshot)),
        (_("Balance"), wording.balance(snapshot)),
    )


def _pairs(*rows: tuple[str, RenderableType]) -> Table:
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(no_wrap=True, ratio=1, overflow="ellipsis")
    for name, value in rows:
        grid.add_row(f"{name} ", value)
    return grid


def _events(snapshot: Snapshot, rows: int, keys: str, *, framed: bool) -> RenderableType:
    rows -= 2 if framed else 0
    lines: list[RenderableType] = [
        Text.assemble(
            (wording.clock_time(event.at), "dim"),
            " ",
            (" ".join(event.line.split()), _EVENT_STYLES.get(event.event, "")),
            no_wrap=True,
            overflow="ellipsis",
        )
        for event in snapshot.events[-rows:]
    ]
    lines += [Text("")] * (rows - len(lines))
    return _frame(Group(*lines), _("Events"), keys, framed=framed)


def _frame(content: RenderableType, title: str, foot: str = "", *, framed: bool) -> RenderableType:
    if not framed:
        return content
    return Panel(
        content,
        title=title,
        title_align="left",
        subtitle=foot or None,
        subtitle_align="right",
        border_style=_FRAME,
        box=box.ROUNDED,
        expand=True,
    )


def _one_row(line: str, style: str) -> Text:
    return Text(" ".join(line.split("\n")), style=style, no_wrap=True, overflow="ellipsis")
