"""What a run writes down of its blocks: each one in the ledger, counted, and reported."""

import time
from collections import deque
from collections.abc import Sequence
from gettext import gettext as _

from engine.mining.config import Summary
from engine.mining.head_watcher import NewTip
from engine.monitor.events import mining as events
from engine.monitor.reporter import Reporter
from engine.pool.messages import Computed
from engine.runtime.trace import span
from engine.tasks.derivation import BlockTask
from engine.txmgr.ledger import Ledger

MOST_RESULTS = 1000
"""Of a run of weeks as many results are listed, each with its proof read: its end must be quick."""


class RunRecord:
    """One run over one ledger. Every method may raise LedgerError."""

    def __init__(self, ledger: Ledger, report: Reporter) -> None:
        """Blocks that a crash of an earlier run left without an answer are skipped."""
        self._ledger = ledger
        self._report = report
        self._started, self._started_at = time.monotonic(), time.time()
        self._first_height: int | None = None
        self._last_height = ledger.last_block_height()
        self._lately_skipped: deque[str] = deque(maxlen=64)
        self.seen = self._missed = self._skipped = 0
        for _height, block_hash in ledger.unanswered_blocks():
            ledger.record_skipped(block_hash, _("the engine stopped before it was computed"))
        report(ledger.totals())

    def is_new(self, tip: NewTip) -> bool:
        """Whether this run has not begun this block yet.

        A known one: the node fell behind, or a roll-back was itself rolled back.
        """
        if self._first_height is None:
            return True  # an earlier run may have seen it
        return not self._ledger.knows_block(tip.height, tip.block_hash)

    def begin(self, tip: NewTip, tasks: int) -> None:
        """Record a new tip with so many tasks."""
        height = tip.height
        last, self._last_height = self._last_height, height
        if not self._ledger.record_block(height, tip.block_hash, tip.seen_at, tasks):
            self._ledger.reopen_block(tip.block_hash)
        if last is not None and height > last + 1:
            self._miss(last + 1, height - 1)
        if self._first_height is None:
            self._first_height = height
        self.seen += 1

    def skip(self, task: BlockTask, reason: str) -> None:
        """Record that a task is not answered."""
        self._ledger.record_skipped(task.block_hash, reason)
        if task.block_hash not in self._lately_skipped:
            self._lately_skipped.append(task.block_hash)
            self._skipped += 1
        self._report(events.BlockSkipped(task.height, reason))

    def complete(self, results: Sequence[tuple[BlockTask, Computed, float]]) -> bool:
        """Record checked results, with when their blocks were seen: all with one sync of the disk.

        False where the ledger has one of each of these tasks.
        """
        with span("record", results=len(results)), self._ledger.together():
            new = [self._ledger.record_computed(*result) for result in results]
        return any(new)

    def told(
        self, results: Sequence[tuple[BlockTask, Computed, float]]
    ) -> list[events.TaskComputed]:
        """Return what is to be reported of results that were recorded just now."""
        now = time.time()
        return [
            events.TaskComputed(
                height=task.height,
                index=task.index,
                task_id=task.task_id,
                result_hash=computed.root.hex(),
                device=computed.device,
                seconds=computed.seconds,
                multiply_adds=task.task.multiply_adds,
                latency=now - seen_at,
            )
            for task, computed, seen_at in results
        ]

    def summary(self) -> Summary:
        """Return what the run did so far."""
        first, ledger = self._first_height, self._ledger
        seconds = time.monotonic() - self._started
        blocks = (self.seen, self._missed, self._skipped)
        received = ledger.received(self._started_at)
        if first is None:
            return Summary(*blocks, [], seconds, received=received)
        newest = (
            "height >= ? AND task_id IN (SELECT task_id FROM results ORDER BY rowid DESC LIMIT ?)"
        )
        results = ledger.progress(newest, first, MOST_RESULTS)
        counts, fees = ledger.counts(first), ledger.fees_paid(first)
        return Summary(*blocks, results, seconds, counts, fees, received)

    def _miss(self, first: int, last: int) -> None:
        away = self._first_height is None
        reason = (
            _("the engine was not running") if away else _("fell behind; took the newest block")
        )
        self._ledger.record_gap(first, last, reason)
        self._missed += last - first + 1
        self._report(events.BlocksMissed(first, last, reason))
