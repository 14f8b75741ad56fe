"""The mining loop: a new tip, its tasks, their results; written down, and handed to the sender.

    MiningLoop(options, address, ledger, pool, inbox, report, sender, on_turn).run()

One thread, one inbox. The head watcher puts tips into it, the pool's futures put outcomes into it.
The loop never waits for the network or a device, so that it always sees the clock.
"""

import math
import queue
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from gettext import gettext as _
from typing import assert_never

from engine.mining.config import MiningChange, MiningConfig, Summary
from engine.mining.head_watcher import NewTip
from engine.mining.run_record import RunRecord
from engine.monitor.events.mining import BlockSeen, ResultsAwaited, TaskComputed
from engine.monitor.reporter import Reporter
from engine.pool.job_queue import BLOCK_PRIORITY
from engine.pool.messages import Computed, Done
from engine.pool.pool import Pool
from engine.runtime.errors import Crashed, JobGivenUp
from engine.runtime.trace import span
from engine.tasks.defaults import MAX_TASKS_PER_BLOCK
from engine.tasks.derivation import BlockTask
from engine.txmgr.ledger import Ledger
from engine.txmgr.manager import Sender

OWNER = "blocks"
"""Of the pool's jobs, those of this loop."""
TICK_SECONDS = 1.0
GRACE_SECONDS = 0.4
"""When the end was asked for, a task at work has so long to end: all of it within a second."""
UNTOLD_SECONDS = 0.02
"""A result that is written down is reported when it was sent, or so much later."""
_SHARE_OF_A_BLOCK = 0.5
"""Of a block's time, for computing; the rest is for checking, signing and sending."""


@dataclass(frozen=True, slots=True)
class TaskEnded:
    """The pool is done with this task: it was checked, or given up."""

    task: BlockTask
    seen_at: float
    future: "Future[Computed | Done]"


@dataclass(frozen=True, slots=True)
class Woken:
    """Somebody asked for the end, and the loop has to look."""


LoopEvent = NewTip | TaskEnded | MiningChange | Crashed | Woken
Inbox = queue.SimpleQueue[LoopEvent]


class MiningLoop:
    """One run over one ledger. `stop` is for any thread, or a signal handler."""

    def __init__(
        self,
        options: MiningConfig,
        address: str,
        ledger: Ledger,
        pool: Pool,
        inbox: Inbox,
        report: Reporter,
        sender: Sender,
        on_turn: Callable[[], None],
    ) -> None:
        """`on_turn` is called once a second or more often, for what is to be looked after beside."""
        self._options = options
        self._address = address
        self._ledger = ledger
        self._pool = pool
        self._inbox = inbox
        self._report = report
        self._sender = sender
        self._on_turn = on_turn
        self._record = RunRecord(ledger, report)
        self._at_work: set[BlockTask] = set()
        self._untold: deque[TaskComputed] = deque()
        self._untold_at = math.inf
        self._turn_at = 0.0
        self._stopping = False

    def run(self) -> Summary:
        """Mine until the blocks are done or somebody asks for the end.

        Raises LedgerError, and what a thread beside this one ended of.
        """
        while not self._stopping and not self._finished():
            self._turn()
        self._stopping = True
        reason = _("the engine stops")
        self._pool.drop_pending(OWNER, reason)
        until = time.monotonic() + GRACE_SECONDS
        while self._at_work and time.monotonic() < until:
            self._turn(until - time.monotonic())
        self._handle(self._waiting())  # was computed already, and is not skipped
        for task in self._at_work:
            self._record.skip(task, reason)
        self._tell()
        return self._record.summary()

    def stop(self) -> None:
        """Ask for the end, which begins at once."""
        self._stopping = True
        self._inbox.put(Woken())

    @property
    def seen(self) -> int:
        """Blocks seen in this run."""
        return self._record.seen

    def _turn(self, most: float = TICK_SECONDS) -> None:
        until_told = self._untold_at - time.monotonic()
        with suppress(queue.Empty):
            first = self._inbox.get(timeout=max(0.0, min(most, TICK_SECONDS, until_told)))
            self._handle([first, *self._waiting()])
        if time.monotonic() >= self._untold_at:
            self._tell()
        if time.monotonic() >= self._turn_at:
            self._turn_at = time.monotonic() + TICK_SECONDS
            self._on_turn()

    def _waiting(self) -> list[LoopEvent]:
        events: list[LoopEvent] = []
        with suppress(queue.Empty):
            while True:
                events.append(self._inbox.get_nowait())
        return events

    def _handle(self, events: list[LoopEvent]) -> None:
        """Handle what came in, in order, but for results: they are written down together, first."""
        self._on_ended([event for event in events if isinstance(event, TaskEnded)])
        for event in events:
            match event:
                case NewTip():
                    self._on_tip(event)
                case TaskEnded() | Woken():
                    pass
                case MiningChange(tasks_per_block=count, openings=openings):
                    self._options = replace(self._options, tasks_per_block=count, openings=openings)
                case Crashed(error=error):
                    raise error
                case _:
                    assert_never(event)

    def _on_tip(self, tip: NewTip) -> None:
        """Submit its tasks, and write it down while the devices are at them."""
        limit = self._options.blocks
        ends = self._stopping or (limit is not None and self._record.seen >= limit)
        if ends or not self._record.is_new(tip):
            self._sender.block_came(tip.height, tip.block_hash, tip.parent, results=False)
            if ends and not self._stopping:
                self._report(ResultsAwaited(tip.height, len(self._ledger.open_results())))
            return
        paused = self._why_paused()
        self._pool.way.take()
        late = _("a newer block came before a device was free")
        self._pool.drop_pending(OWNER, paused or late)
        count = self._task_count(tip)
        with span("derive", height=tip.height):
            tasks = self._derive(tip, count)
        if not paused:
            for task in tasks:
                self._submit(task, tip.seen_at)
        follow = bool(self._at_work)
        self._sender.block_came(tip.height, tip.block_hash, tip.parent, results=follow)
        with span("block"):
            self._record.begin(tip, count)
        self._report(BlockSeen(tip.height, tip.block_hash, len(tasks), tip.seen_at, tip.block_time))
        if paused:
            for task in tasks:
                self._record.skip(task, paused)

    def _why_paused(self) -> str:
        """Return why every device is paused; empty where one is not."""
        status = self._pool.status
        if not status.all_paused:
            return ""
        reasons = dict.fromkeys(device.paused for device in status.devices.values())
        return _("paused: {names}").format(names=", ".join(filter(None, reasons)))

    def _task_count(self, tip: NewTip) -> int:
        if self._options.tasks_per_block is not None:
            return self._options.tasks_per_block
        seconds = tip.block_time * _SHARE_OF_A_BLOCK
        capacity = self._pool.status.capacity(self._options.typical_task, seconds)
        return max(1, min(capacity, MAX_TASKS_PER_BLOCK))

    def _derive(self, tip: NewTip, count: int) -> list[BlockTask]:
        derive = BlockTask.derive
        what = {"size": self._options.size, "iterations": self._options.iterations}
        tasks = [
            derive(tip.block_hash, self._address, index=index, height=tip.height, **what)
            for index in range(count)
        ]
        answered = self._ledger.answered(tip.block_hash)
        return [task for task in tasks if task.task_id not in answered]

    def _submit(self, task: BlockTask, seen_at: float) -> None:
        self._at_work.add(task)
        openings = self._options.openings
        future = self._pool.submit(
            task.task, openings=openings, name=task.task_id, owner=OWNER, priority=BLOCK_PRIORITY
        )
        future.add_done_callback(lambda done: self._inbox.put(TaskEnded(task, seen_at, done)))

    def _on_ended(self, tasks: list[TaskEnded]) -> None:
        results: list[tuple[BlockTask, Computed, float]] = []
        for ended in tasks:
            self._at_work.discard(ended.task)
            try:
                computed = ended.future.result()
            except JobGivenUp as error:
                self._record.skip(ended.task, str(error))
                continue
            assert isinstance(computed, Computed)
            results.append((ended.task, computed, ended.seen_at))
        if results:
            new = self._record.complete(results)
            self._untold += self._record.told(results)
            self._untold_at = time.monotonic() + UNTOLD_SECONDS
            if new:
                self._sender.results_came(self._sent)
        if tasks and not self._at_work:
            self._sender.poke()

    def _sent(self) -> None:
        """In the sender's thread: nothing waits for this interpreter any more."""
        self._pool.way.give()
        self._tell()

    def _tell(self) -> None:
        """Report what was written down. From either thread: each of them once."""
        self._untold_at = math.inf
        with suppress(IndexError):
            while True:
                self._report(self._untold.popleft())

    def _finished(self) -> bool:
        limit = self._options.blocks
        if limit is None or self._record.seen < limit or self._at_work:
            return False
        return not any(result.block_hash for result in self._ledger.open_results())
