"""The pool: one child process a device, and the one thread that starts, feeds and supervises them.

    with Pool(["cuda:0"], report, setup=Setup(warm=task)) as pool:
        computed = pool.submit(task, openings=16).result()

The thread waits for everything at once: commands of other threads (`executor.py`), what children say,
and their ends. What follows from each is the supervisor's to decide (`supervisor.py`); here it is
carried out. Linux ends a child with the thread that started it, so this thread starts all of them.

What the parent looks at before it believes a child: of a block's task the proof's openings, and a few
leaves that the parent drew after the child had committed to its root; any other work says itself how
its outcome is checked. Leaves are computed by `leaf_digests.py`, and compared here. Before a device is
blamed they are computed once more in plain numpy, none of any child's code.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from gettext import gettext as _
from types import TracebackType
from typing import Self, assert_never

import msgspec

from engine.monitor.events import pool as events
from engine.monitor.reporter import Reporter
from engine.pool import actions, executor, launcher
from engine.pool.actions import Action
from engine.pool.check_queue import CheckQueue
from engine.pool.checked_leaves import SPOT_LEAVES, draw_leaves
from engine.pool.compiling import CompileProgress
from engine.pool.executor import Command, DeviceStatus, Executor, PoolStatus, Result
from engine.pool.job_queue import Job
from engine.pool.launcher import Launcher, LauncherEvent
from engine.pool.leaf_digests import LeafCheckers, worth_a_process
from engine.pool.limits import Limits
from engine.pool.messages import Computed, Opened, Order, Ready, Setup
from engine.pool.processes import LocalProcesses
from engine.pool.supervisor import Supervisor
from engine.pool.worker_state import GATHER_SECONDS, TAKES_WORK, Worker, may_gather
from engine.runtime.errors import JobGivenUp, NoDevice
from engine.runtime.right_of_way import RightOfWay

TICK_SECONDS = 0.2
IDLE_SECONDS = 1.0
"""Between two looks at the clock while there is no job: nothing but silence has to be noticed then."""
STOP_SECONDS = 0.3
"""Children that were asked to end have so long before they are killed."""
_MISSED_BEATS = 2.5
"""A child that was not heard of for so many times the usual is silent."""

Launch = Callable[[Setup], Launcher]
"""Makes what starts the children: processes here, or a farm's machines."""


class Pool(Executor):
    """A context manager. Every public method and attribute is for any thread.

    The children are started when it is entered. `ready` is set when the first one passed its
    known-answer test. `error` is what the thread ended of (`NoDevice`, for one); `failed` is called
    with it. `turned_at`: when the thread was last seen at work, by `time.monotonic`. `way`: for blocks'
    tasks; whoever does jobs lets them pass.
    """

    def __init__(
        self,
        devices: Iterable[str],
        report: Reporter,
        *,
        setup: Setup | None = None,
        limits: Limits | None = None,
        launch: Launch = LocalProcesses,
        failed: Callable[[Exception], None] | None = None,
        checkers: LeafCheckers | None = None,
    ) -> None:
        super().__init__()
        self.way = RightOfWay()
        self._checkers: LeafCheckers = checkers or LeafCheckers()
        self._checks = CheckQueue(self._checkers, self.way)
        self._warm = setup.warm if setup else None
        self.ready = threading.Event()
        self.error: Exception | None = None
        self.turned_at = time.monotonic()
        self._report = report
        self._failed = failed
        self._launcher = launch(setup or Setup())
        limits = limits or Limits()
        patience = max(limits.silence, _MISSED_BEATS * self._launcher.quiet_seconds)
        self._limits = replace(limits, silence=patience)
        self._supervisor = Supervisor(devices, draw=draw_leaves, limits=self._limits)
        self._status = PoolStatus()
        self._told: Mapping[str, DeviceStatus] = {}
        self._tick_at = 0.0
        self._inbox_fd = self._inbox.fileno()
        self._pids: dict[str, int | None] = {}
        self._stopping = False
        self._unsettled: set[Job] = set()
        self._endings: list[tuple[Future[Result] | None, Result | JobGivenUp]] = []
        self._last_out: actions.OutOfService | None = None
        self._to_do: deque[Action] = deque()
        self._compiling = CompileProgress(report)
        self._told_orders: dict[tuple[str, int], list[Order]] = {}
        self._started: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="pool", daemon=True)

    @property
    def status(self) -> PoolStatus:
        """The devices and the jobs: at least as new as every result that a future gave."""
        return self._status

    def child_pids(self) -> dict[str, int | None]:
        """Return the process id of each device's child; takes no lock, as signal handlers need it."""
        return {name: device.pid for name, device in self._status.devices.items()}

    def __enter__(self) -> Self:
        """Start the thread and the children. Raises SetupError where the launcher cannot start."""
        self._thread.start()
        self._started.result()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End every child: asked first, then killed. None is left when this returns.

        What still waits is given up: its futures raise JobGivenUp with the code `stopped`.
        """
        if self._thread.ident is None:
            self._close(_("the engine stops"))
            return
        self._inbox.put(executor.Stop())
        if threading.current_thread() is not self._thread:  # which ends by itself after `failed`
            self._thread.join()

    def _run(self) -> None:
        reason = _("the engine stops")
        try:
            self._launcher.start()
        except Exception as error:  # noqa: BLE001 - raised again in the thread that waits for it
            self._close(reason)
            self._started.set_exception(error)
            return
        self._started.set_result(None)
        try:
            now = time.monotonic()
            self._carry_out(self._supervisor.start(now))
            if self._warm is not None and worth_a_process(self._warm, SPOT_LEAVES):
                self._checkers.want(now)  # so that the first block's checks find it ready
            self._publish()
            while not self._stopping:
                self._turn()
        except Exception as error:  # noqa: BLE001 - whatever it is, somebody has to hear of it
            self.error, reason = error, str(error)
        self._close(reason)
        if self.error is not None and self._failed is not None:
            self._failed(self.error)

    def _turn(self) -> None:
        """Wait until something happens, or a fifth of a second, and deal with it."""
        pause = self._checks.pause(TICK_SECONDS if self._unsettled else IDLE_SECONDS)
        gathers = pause and not self.way.left
        if gathers and may_gather(self._supervisor.workers.values(), self._limits):
            time.sleep(GATHER_SECONDS)
        sources = [*self._launcher.sources(), *self._checkers.sources()]
        ready = executor.readable([self._inbox_fd, *sources], pause)
        now = self.turned_at = time.monotonic()
        commands = self._inbox.take() if self._inbox_fd in ready else []
        self._supervisor.gather()  # to look once what each child may have, not for each answer
        for command in commands:
            self._obey(command, now)
        heard = self._launcher.read(ready)
        for event in heard:
            self._handle(event)
        self._carry_out(self._supervisor.give_out(now))
        if ticks := now >= self._tick_at:
            self._tick_at = now + TICK_SECONDS
            self._carry_out(self._supervisor.tick(now))
        self._send_told()
        checked = False
        for check, wrong in self._checks.work(ready, now):
            self._carry_out(self._supervisor.checked(check, wrong, time.monotonic()))
            checked = True
        self._send_told()
        for reason in self._checkers.lost:
            self._report(events.CheckerEnded(reason))
        self._checkers.lost.clear()
        if commands or heard or checked or ticks:
            self._publish()
            self._tell_states()
            self._settle()
        if self._status.all_out and self._last_out is not None:
            last = self._last_out
            said = _("no device is in service; the last: {device}: {reason}")
            message = said.format(device=last.device, reason=last.reason)
            raise NoDevice(message, advice=_("Run cpc-engine doctor, then start again."))

    def _obey(self, command: Command, now: float) -> None:
        match command:
            case executor.Submit(job):
                self._unsettled.add(job)
                self._carry_out(self._supervisor.submit(job, now))
            case executor.Cancel(ticket):
                self._carry_out(self._supervisor.cancel(ticket, now))
            case executor.Drop(owner, reason):
                for job in self._supervisor.drop_pending(owner):
                    self._end(job, JobGivenUp("dropped", reason))
            case executor.Pause(device, reason):
                self._carry_out(self._supervisor.give_out(now))  # what was submitted before it
                self._supervisor.pause(device, reason)
            case executor.Resume(device):
                self._carry_out(self._supervisor.resume(device, now))
            case executor.Withdraw(device, reason):
                self._carry_out(self._supervisor.withdraw(device, reason, now))
            case executor.Stop():
                self._stopping = True
            case _:
                assert_never(command)

    def _handle(self, event: LauncherEvent) -> None:
        now = time.monotonic()
        match event:
            case launcher.Heard(device, generation, message):
                if isinstance(message, Computed | Opened):  # of a block's task
                    self.way.take()
                decided = self._supervisor.heard(device, generation, message, now)
                self._compiling.heard(device, generation, message, now)
                if isinstance(message, Ready) and self._takes_work(device, generation):
                    self._report(events.DeviceReady(device, message.seconds))
                    self._publish()
                    self._tell_states()
                    self.ready.set()
                self._carry_out(decided)
            case launcher.Exited(device, generation, exitcode):
                self._carry_out(self._supervisor.exited(device, generation, exitcode, now))
            case launcher.Joined(device):
                self._report(events.DeviceJoined(device))
                self._carry_out(self._supervisor.add(device, now))
            case launcher.Left(device, reason):
                self._carry_out(self._supervisor.remove(device, now, reason))
                self._report(events.DeviceLeft(device, reason))  # the last that is said of it
            case launcher.Connected(address):
                self._report(events.FarmConnected(address))
            case launcher.Unreachable(reason):
                self._report(events.FarmUnreachable(reason))
            case _:
                assert_never(event)

    def _carry_out(self, decided: list[Action]) -> None:
        """In the order decided, also what follows from an action: as the supervisor counts orders."""
        self._to_do += decided
        if len(self._to_do) > len(decided):
            return  # called by an action, after which these come
        while self._to_do:
            self._do(self._to_do[0])
            self._to_do.popleft()

    def _send_told(self) -> None:
        """Hand over what children were told in this turn, in one message each."""
        told, self._told_orders = self._told_orders, {}
        for (device, generation), orders in told.items():
            self._launcher.tell(device, generation, orders)

    def _do(self, action: Action) -> None:
        match action:
            case actions.Tell(device, generation, message):
                self._told_orders.setdefault((device, generation), []).append(message)
            case actions.Foresee():
                self._checks.foresee(action)
            case actions.Check():
                self._checks.put(action)
            case actions.Accepted(job, result, device):
                if result.device != device:
                    result = msgspec.structs.replace(result, device=device)
                self._end(job, result)
            case actions.GivenUp(job, code, reason):
                self._end(job, JobGivenUp(code, reason))
            case actions.Spawn(device, generation):
                self._pids[device] = self._launcher.spawn(device, generation)
            case actions.Kill(device, generation, reason):
                self._launcher.kill(device, generation)
                self._report(events.ChildKilled(device, reason))
            case actions.Ended(device, _generation, reason):
                self._report(events.ChildEnded(device, reason))
            case actions.OutOfService(device, reason):
                self._report(events.OutOfService(device, reason))
                self._last_out = action
            case _:
                assert_never(action)

    def _takes_work(self, device: str, generation: int) -> bool:
        worker = self._supervisor.workers.get(device)
        return worker is not None and worker.generation == generation and worker.state in TAKES_WORK

    def _end(self, job: Job, result: Result | JobGivenUp) -> None:
        """The job has ended; its future is told when the status has it."""
        self._unsettled.discard(job)
        self._checks.forget(job)
        self._endings.append((job.future, result))

    def _settle(self) -> None:
        endings, self._endings = self._endings, []
        for future, result in endings:
            if future is None or not future.set_running_or_notify_cancel():
                continue
            if isinstance(result, JobGivenUp):
                future.set_exception(result)
            else:
                future.set_result(result)

    def _publish(self) -> None:
        workers = self._supervisor.workers.items()
        devices = {name: self._status_of(name, one) for name, one in workers}
        out = all(one.state == "out" for one in devices.values())
        all_out = out and not self._launcher.may_find_more
        self._status = PoolStatus(devices, not self._unsettled, all_out)

    def _status_of(self, name: str, worker: Worker) -> DeviceStatus:
        return DeviceStatus.of(worker, self._pids.get(name), self._limits.memory)

    def _tell_states(self) -> None:
        """Report each device whose state has changed."""
        told, self._told = self._told, self._status.devices
        for name, device in self._told.items():
            before = told.get(name)
            if before is None or (before.state, before.reason) != (device.state, device.reason):
                self._report(events.DeviceState(name, device.state, device.reason))

    def _close(self, reason: str) -> None:
        """End the children, then tell everybody who still waits."""
        self._checkers.stop()
        self._launcher.stop(STOP_SECONDS)
        waiting = [
            command.job for command in self._inbox.close() if isinstance(command, executor.Submit)
        ]
        for job in [*self._unsettled, *waiting]:
            self._end(job, JobGivenUp("stopped", reason))
        self._pids.clear()
        self._publish()
        self._settle()
