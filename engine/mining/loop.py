"""The mining loop: see a block, derive, compute, check, write down, sign, send, confirm.

    summary = Miner(settings, client_for, key, ledger, report).run()

Three parties put events into one inbox, and this loop takes them out one by one:

* the watcher (thread): a new tip of the chain (`head_watcher.py`)
* the children (processes): what they computed, and their deaths (`pool.py`)
* the sender (thread): what became of the results (`txmgr/manager.py`)

and whoever hands work in at the `desk`, which comes first (`node/beside.py`).

The loop itself never waits for the network or a device, so that it always sees the clock.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from gettext import gettext as _
from typing import Any

from engine.mining.config import MineSettings, Summary
from engine.mining.head_watcher import NewTip, NodeTrouble, NodeWell, Watcher
from engine.mining.live import Live
from engine.monitor.events import mining as events
from engine.monitor.events.run import Stopping
from engine.monitor.reporter import Reporter
from engine.pool.actions import Accepted
from engine.pool.executor import Desk, Submitted, Withdrawn
from engine.pool.job_queue import Job, new_ticket
from engine.pool.launcher import (
    Connected,
    Exited,
    Heard,
    Joined,
    Launcher,
    Left,
    Unreachable,
)
from engine.pool.messages import Ready, Setup
from engine.pool.pool import TICK_SECONDS, Ending, Workshop
from engine.pool.processes import LocalProcesses
from engine.protection.controller import Keeper, PauseAsked
from engine.protection.readings import Surroundings
from engine.protection.sensors import Lookout
from engine.runtime.errors import Crashed
from engine.runtime.systemd import Manager
from engine.tasks.defaults import MAX_TASKS_PER_BLOCK
from engine.tasks.derivation import BlockTask
from engine.txmgr.ledger import Ledger, Progress
from engine.txmgr.manager import Sender
from kernels.task import Task
from node_client.keys import PrivateKey
from node_client.rpc import NodeClient

GRACE_SECONDS = 0.4
"""When the end was asked for, a task at work has so long to end: all of it within a second."""
STUCK_SECONDS = 600.0
"""Watcher and sender ask a node that does not answer for minutes, several of them in turn; who is
silent for longer than that hangs."""
_SHARE_OF_A_BLOCK = 0.5
"""Of a block's time, for computing; the rest is for checking, signing and sending."""

Launch = Callable[["queue.SimpleQueue[Any]", Setup], Launcher]


class Miner:
    """One run of the mining loop over one ledger."""

    def __init__(
        self,
        settings: MineSettings,
        connect: Callable[[], NodeClient],
        key: PrivateKey,
        ledger: Ledger,
        report: Reporter,
        *,
        launch: Launch = LocalProcesses,
        manager: Manager | None = None,
    ) -> None:
        """`connect` makes a client: watcher and sender have one each, as sessions are not shared.

        `launch` makes what the children are started with: processes here, or a farm's machines.
        `manager` is told that the run is well.
        """
        self._settings = settings
        self._key = key
        self._ledger = ledger
        self._report = report
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._typical = Task(bytes(31) + b"\1", settings.size, settings.iterations)
        launcher = launch(self._inbox, Setup(settings.threads, self._typical))
        self._workshop = Workshop(settings.devices, launcher, self._inbox, report, settings.limits)
        self._children = self._workshop.children
        self._watcher = Watcher(
            connect(),
            self._inbox,
            chain_id=settings.chain_id,
            block_time=settings.sending.network.block_time,
        )
        self._sender = Sender(connect(), ledger, key, settings.sending, report, self.fail)
        self._keeper = Keeper(
            settings.devices, self._children, report, settings.protection.thresholds
        )
        self._lookout = Lookout(settings.devices, self._inbox, settings.protection)
        self._jobs: dict[int, tuple[BlockTask, float]] = {}
        self._first_height: int | None = None
        self._seen = self._missed = 0
        self._skipped = 0
        self._lately_skipped: deque[str] = deque(maxlen=64)
        self._stopping = False
        self._manager = manager or Manager()

    def run(self) -> Summary:
        """Mine until the blocks are done or somebody asks for the end.

        Raises NoDevice where every device is out of service, LedgerError where nothing can be
        written down any more or the chain began anew, and what a thread of this run died of.
        """
        started = time.monotonic()
        self._close_the_last_run()
        self._report(self._ledger.totals())
        self._sender.start()  # what an earlier run signed is sent from here on
        self._lookout.start()
        try:
            self._take(self._workshop.start())
            while not self._stopping and not self._finished():
                self._turn()
                self._vouch()
            self._finish()
        finally:
            self._stop()
        return Summary(
            self._seen,
            self._missed,
            self._skipped,
            self._results_of_this_run(),
            time.monotonic() - started,
        )

    def _turn(self) -> None:
        for event in self._events():
            self._handle(event)
        self._take(self._workshop.tick())
        self._keeper.tick()

    def _vouch(self) -> None:
        """For the service manager's watchdog: this loop turns, and so do the threads beside it."""
        now = time.monotonic()
        threads = [self._sender.turned_at]
        if self._watcher.ident is not None:
            threads.append(self._watcher.turned_at)
        if now - min(threads) < STUCK_SECONDS:
            self._manager.alive(self._status())

    def _status(self) -> str:
        states = self._children.states()
        devices = ", ".join(f"{name} {state}" for name, (state, _reason) in states.items())
        return _("{seen} blocks seen, {missed} missed; {devices}").format(
            seen=self._seen, missed=self._missed, devices=devices
        )

    def _finish(self) -> None:
        """What is at work may end, if that is soon; the rest is dropped, and written down so."""
        self._manager.stopping()
        self._stopping = True
        self._drop_what_waits(_("the engine stops"))
        until = time.monotonic() + GRACE_SECONDS
        while self._jobs and time.monotonic() < until:
            self._turn()
        for ticket in list(self._jobs):
            self._skip(ticket, _("the engine stops"))
        self._report(Stopping())

    def stop(self) -> None:
        """Ask for the end, which begins within a tick: from any thread, or a signal handler."""
        self._stopping = True

    def pause(self) -> None:
        """Give no device work until `resume`: from any thread."""
        self._inbox.put(PauseAsked(paused=True))

    def resume(self) -> None:
        """End what `pause` began: from any thread."""
        self._inbox.put(PauseAsked(paused=False))

    def change(self, live: Live) -> None:
        """Go on with these settings in place of those: from any thread."""
        self._inbox.put(live)

    def child_pids(self) -> dict[str, int | None]:
        """Process id of each device's child."""
        return self._children.pids()

    @property
    def desk(self) -> Desk:
        """Where other threads hand work in for the same children."""
        return self._workshop.desk

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices' names."""
        return self._settings.devices

    @property
    def chain_id(self) -> str:
        """The chain that is mined on."""
        return self._settings.chain_id

    @property
    def ledger(self) -> Ledger:
        """The ledger, into which any thread may put results to be sent: `poke_sender` then."""
        return self._ledger

    def poke_sender(self) -> None:
        """There is something to send: from any thread."""
        self._sender.poke()

    def fail(self, error: Exception) -> None:
        """End with this error, of a thread that works beside this one: from any thread."""
        self._inbox.put(Crashed(threading.current_thread().name, error))

    def _handle(self, event: Any) -> None:
        match event:
            case NewTip():
                self._on_tip(event)
            case Heard() | Exited() | Submitted() | Withdrawn():
                self._take(self._workshop.handle(event))
                if isinstance(event, Heard) and isinstance(event.message, Ready):
                    self._watch()
            case Joined() | Left() | Connected() | Unreachable():
                self._take(self._workshop.handle(event))
                self._take(self._workshop.take(self._keeper.follow(event)))
            case PauseAsked() | Surroundings():
                self._take(self._workshop.take(self._keeper.handle(event)))
            case Live():
                self._on_change(event)
            case NodeTrouble():
                self._report(events.NodeTrouble(event.message, event.advice))
            case NodeWell():
                self._report(events.NodeWell())
            case Crashed():
                raise event.error

    def _on_change(self, live: Live) -> None:
        self._settings = replace(
            self._settings, tasks_per_block=live.tasks_per_block, openings=live.openings
        )
        self._lookout.change(live.pause_on_battery, live.quiet_hours)

    def _on_tip(self, tip: NewTip) -> None:
        self._sender.poke()
        limit = self._settings.blocks
        if self._stopping or (limit is not None and self._seen >= limit):
            return
        last = self._ledger.last_block_height()
        count = self._tasks_for_a_block()
        is_new = self._ledger.record_block(tip.block.height, tip.block_hash, tip.seen_at, count)
        if not is_new:
            if self._first_height is not None:
                return  # the node fell behind, or a roll-back was itself rolled back
            self._ledger.reopen_block(tip.block_hash)
        if last is not None and tip.block.height > last + 1:
            self._count_missed(last + 1, tip.block.height - 1)
        if self._first_height is None:
            self._first_height = tip.block.height
        self._drop_what_waits(_("a newer block came before a device was free"))
        self._seen += 1
        tasks = self._derive(tip, count)
        self._report(
            events.BlockSeen(
                height=tip.block.height,
                hash=tip.block_hash,
                tasks=len(tasks),
                seen_at=tip.seen_at,
                block_time=self._watcher.block_time,
            )
        )
        for task in tasks:
            ticket = new_ticket()
            self._jobs[ticket] = (task, tip.seen_at)
            self._submit(Job(ticket, task.task, self._settings.openings, name=task.task_id))

    def _submit(self, job: Job) -> None:
        if self._children.all_paused:
            self._skip(job.ticket, self._keeper.reason())
        else:
            self._take(self._workshop.submit(job))

    def _tasks_for_a_block(self) -> int:
        asked = self._settings.tasks_per_block
        if asked is not None:
            return asked
        seconds = self._watcher.block_time * _SHARE_OF_A_BLOCK
        one = Job(0, self._typical, self._settings.openings)
        return max(1, min(self._children.capacity(one, seconds), MAX_TASKS_PER_BLOCK))

    def _derive(self, tip: NewTip, count: int) -> list[BlockTask]:
        tasks = (
            BlockTask.derive(
                tip.block_hash,
                self._key.address,
                index=index,
                height=tip.block.height,
                size=self._settings.size,
                iterations=self._settings.iterations,
            )
            for index in range(count)
        )
        return [task for task in tasks if not self._ledger.has_result(task.task_id)]

    def _count_missed(self, first: int, last: int) -> None:
        away = self._first_height is None
        reason = (
            _("the engine was not running") if away else _("fell behind; took the newest block")
        )
        self._ledger.record_gap(first, last, reason)
        self._missed += last - first + 1
        self._report(events.BlocksMissed(first, last, reason))

    def _drop_what_waits(self, reason: str) -> None:
        paused = self._children.all_paused
        for job in self._children.drop_pending():
            self._skip(job.ticket, self._keeper.reason() if paused else reason)

    def _watch(self) -> None:
        """Not before a child is ready: until then a block could only be skipped."""
        if self._watcher.ident is None:
            self._watcher.start()
            self._manager.ready()

    def _take(self, endings: list[Ending]) -> None:
        for ending in endings:
            if isinstance(ending, Accepted):
                self._on_accepted(ending)
            else:
                self._skip(ending.job.ticket, ending.reason)

    def _on_accepted(self, accepted: Accepted) -> None:
        task, seen_at = self._jobs.pop(accepted.job.ticket)
        computed = replace(accepted.computed, device=accepted.device)
        if self._ledger.record_computed(task, computed, seen_at):
            self._sender.poke()
        self._report(
            events.TaskComputed(
                height=task.height,
                index=task.index,
                task_id=task.task_id,
                result_hash=computed.root.hex(),
                device=accepted.device,
                seconds=computed.seconds,
                multiply_adds=task.task.multiply_adds,
                latency=time.time() - seen_at,
            )
        )

    def _skip(self, ticket: int, reason: str) -> None:
        task, _seen_at = self._jobs.pop(ticket)
        self._ledger.record_skipped(task.block_hash, reason)
        if task.block_hash not in self._lately_skipped:
            self._lately_skipped.append(task.block_hash)
            self._skipped += 1
        self._report(events.BlockSkipped(task.height, reason))

    def _close_the_last_run(self) -> None:
        """Blocks that a crash left without an answer are skipped; the tip may still be answered."""
        for _height, block_hash in self._ledger.unanswered_blocks():
            self._ledger.record_skipped(block_hash, _("the engine stopped before it was computed"))

    def _finished(self) -> bool:
        limit = self._settings.blocks
        if limit is None or self._seen < limit or self._jobs:
            return False
        return not any(result.block_hash for result in self._ledger.open_results())

    def _results_of_this_run(self) -> list[Progress]:
        if self._first_height is None:
            return []
        return self._ledger.progress("height >= ?", self._first_height)

    def _events(self) -> Iterator[Any]:
        try:
            yield self._inbox.get(timeout=TICK_SECONDS)
            while True:
                yield self._inbox.get_nowait()
        except queue.Empty:
            return

    def _stop(self) -> None:
        self._watcher.stopping.set()
        self._lookout.stop()
        self._sender.stop()
        self._workshop.stop()
        self._sender.join(timeout=0.2)  # a daemon: it may hang in a question to the node
