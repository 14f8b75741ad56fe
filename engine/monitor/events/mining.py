"""Events of the mining loop and its head watcher."""

from collections.abc import Callable
from gettext import gettext as _
from gettext import ngettext
from typing import Any

from engine.monitor.events.base import Event


class BlockSeen(Event):
    """A new tip. `seen_at` in Unix seconds, `block_time` in seconds."""

    event, template = "block", ""
    height: int
    hash: str
    tasks: int
    seen_at: float
    block_time: float

    def line(self, show: Callable[[Any], Any] = lambda value: value) -> str:
        """Return the line for people: "1 task", "2 tasks"."""
        template = ngettext(
            "block {height} {hash:.12}: {tasks} task",
            "block {height} {hash:.12}: {tasks} tasks",
            self.tasks,
        )
        return template.format(height=self.height, hash=show(self.hash), tasks=self.tasks)


class ResultsAwaited(Event):
    """A new tip, after as many blocks were answered as the run is to answer."""

    event, template = "awaited", _("block {height}: results that are not final yet: {open}")
    height: int
    open: int


class BlocksMissed(Event):
    level = "warning"
    event, template = "gap", _("skipped blocks {first} to {last}: {reason}")
    first: int
    last: int
    reason: str


class BlockSkipped(Event):
    """Told once for each task of the block that is not answered."""

    level = "warning"
    event, template = "skipped", _("block {height}: skipped, {reason}")
    height: int
    reason: str


class TaskComputed(Event):
    """A checked result is in the ledger. `latency`: seconds since its block was seen."""

    event = "computed"
    template = _(
        "block {height} task {index}: {result_hash:.16} on {device} in {seconds:.3f} s, checked"
    )
    height: int
    index: int
    task_id: str
    result_hash: str
    device: str
    seconds: float
    multiply_adds: int
    latency: float


class LedgerTotals(Event):
    """What the ledger holds: `fees` in units, blocks, and results by state."""

    event, template = "totals", ""
    fees: int
    seen: int
    skipped: int
    missed: int
    computed: int = 0
    signed: int = 0
    sent: int = 0
    included: int = 0
    final: int = 0
    given_up: int = 0


MiningEvent = BlockSeen | ResultsAwaited | BlocksMissed | BlockSkipped | TaskComputed | LedgerTotals
