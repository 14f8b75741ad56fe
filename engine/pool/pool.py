"""Children, the desk where other threads hand work in, and the telling of what befalls them.

workshop = Workshop(["cuda:0"], LocalProcesses(inbox), inbox, report)
for ending in workshop.handle(inbox.get()): ...   # of jobs that are not the desk's

with WorkshopThread(["cuda:0"], report, setup=Setup()) as shop:   # with a loop of its own
    shop.desk.submit(work).result()
"""

import contextlib
import queue
import threading
import time
from collections.abc import Iterable
from gettext import gettext as _
from types import TracebackType
from typing import Any, Self

from engine.monitor.events import pool as events
from engine.monitor.reporter import Reporter
from engine.pool.actions import Accepted, Ended, GivenUp, Kill, OutOfService
from engine.pool.children import Children, Report
from engine.pool.executor import Desk, Submitted, Withdrawn
from engine.pool.job_queue import Job
from engine.pool.launcher import (
    Connected,
    DevicesEvent,
    Exited,
    Heard,
    Joined,
    Launcher,
    Left,
    Unreachable,
)
from engine.pool.limits import Limits
from engine.pool.messages import Ready, Setup
from engine.pool.processes import LocalProcesses
from engine.runtime.errors import EngineError, NoDevice

TICK_SECONDS = 0.2

WorkshopEvent = Heard | Exited | DevicesEvent | Submitted | Withdrawn
Ending = Accepted | GivenUp


class Workshop:
    """Every method but `desk.submit` is for the thread that owns the inbox.

    Each gives the endings of jobs that were not handed in at the desk, and raises NoDevice when the
    last device is out of service.
    """

    def __init__(
        self,
        devices: Iterable[str],
        launcher: Launcher,
        inbox: "queue.SimpleQueue[Any]",
        report: Reporter,
        limits: Limits | None = None,
    ) -> None:
        self.children = Children(devices, launcher, limits)
        self.desk = Desk(inbox)
        self._report = report

    def start(self) -> list[Ending]:
        """Start one child a device."""
        return self.take(self.children.start())

    def submit(self, job: Job) -> list[Ending]:
        """Give out a job from this very thread."""
        return self.take(self.children.submit(job))

    def handle(self, event: WorkshopEvent) -> list[Ending]:
        """Take an event out of the inbox."""
        if isinstance(event, Submitted | Withdrawn):
            return self.take(self.desk.handle(event, self.children))
        if isinstance(event, Heard) and isinstance(event.message, Ready):
            ready = event.message
            self._report(events.DeviceReady(event.device, ready.seconds))
        if isinstance(event, Heard | Exited):
            return self.take(self.children.handle(event))
        return self._on_devices(event)

    def _on_devices(self, event: DevicesEvent) -> list[Ending]:
        match event:
            case Joined(device=device):
                self._report(events.DeviceJoined(device))
                return self.take(self.children.add(device))
            case Left(device=device, reason=reason):
                self._report(events.DeviceLeft(device, reason))
                return self.take(self.children.remove(device, reason))
            case Connected(address=address):
                self._report(events.FarmConnected(address))
            case Unreachable(reason=reason):
                self._report(events.FarmUnreachable(reason))
        return []

    def tick(self) -> list[Ending]:
        """Look at the clock: call this a few times a second."""
        return self.take(self.children.tick())

    def stop(self) -> None:
        """End every child, and tell whoever waits at the desk."""
        self.desk.close(_("the engine stops"))
        self.children.stop()

    def take(self, reports: list[Report]) -> list[Ending]:
        """Tell of these reports; for those that somebody else had of `children`, too."""
        endings: list[Ending] = []
        for report in reports:
            match report:
                case Accepted() | GivenUp():
                    if not self.desk.settle(report):
                        endings.append(report)
                case Kill():
                    self._report(events.ChildKilled(report.device, report.reason))
                case Ended():
                    self._report(events.ChildEnded(report.device, report.reason))
                case OutOfService():
                    self._report(events.OutOfService(report.device, report.reason))
                    if self.children.all_out:
                        raise NoDevice(
                            _("no device is in service; the last: {device}: {reason}").format(
                                device=report.device, reason=report.reason
                            ),
                            advice=_("Run cpc-engine doctor, then start again."),
                        )
        return endings


class WorkshopThread(threading.Thread):
    """A workshop with a loop of its own, for work from the desk only.

    `error` is what it ended of, None where it was stopped. A context manager.
    """

    def __init__(
        self,
        devices: Iterable[str],
        report: Reporter,
        *,
        setup: Setup | None = None,
        limits: Limits | None = None,
    ) -> None:
        super().__init__(name="workshop", daemon=True)
        self.error: EngineError | None = None
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        launcher = LocalProcesses(self._inbox, setup)
        self._workshop = Workshop(devices, launcher, self._inbox, report, limits)
        self._stopping = threading.Event()

    @property
    def desk(self) -> Desk:
        """Where work is handed in."""
        return self._workshop.desk

    def child_pids(self) -> dict[str, int | None]:
        """Process id of each device's child."""
        return self._workshop.children.pids()

    def run(self) -> None:
        """Supervise until `stop`, or until no device is in service."""
        try:
            self._workshop.start()
            ticked = time.monotonic()
            while not self._stopping.is_set():
                with contextlib.suppress(queue.Empty):
                    self._workshop.handle(self._inbox.get(timeout=TICK_SECONDS))
                if time.monotonic() - ticked >= TICK_SECONDS:
                    self._workshop.tick()
                    ticked = time.monotonic()
        except EngineError as error:
            self.error = error
        finally:
            self._workshop.stop()

    def stop(self) -> None:
        """End the children and the thread."""
        self._stopping.set()
        self.join()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
