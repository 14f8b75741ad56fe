"""Where any thread hands work in for the children that another thread supervises.

    future = desk.submit(work, name=job_id, seconds=30.0)   # in any thread
    result = future.result()        # Computed for a block's task, Done for other work
    future.cancel()                 # also while a child is at it

Whoever supervises the children takes the desk's events out of the inbox and hands them, and the
reports on the desk's jobs, back to it: see `pool.py`.
"""

import queue
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from engine.pool.actions import Accepted, GivenUp
from engine.pool.children import Children, Report
from engine.pool.job_queue import Job, new_ticket
from engine.pool.messages import Computed, Done
from engine.runtime.errors import JobGivenUp
from kernels.task import Task
from kernels.work import DeviceWork

OWNER = "desk"
Result = Computed | Done


@dataclass(frozen=True, slots=True)
class Submitted:
    """Somebody handed this job in."""

    job: Job


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Nobody waits for that job any more."""

    ticket: int


DeskEvent = Submitted | Withdrawn


class Desk:
    """`submit` is for any thread; the other methods are for the one that supervises."""

    def __init__(self, inbox: "queue.SimpleQueue[Any]") -> None:
        self._inbox = inbox
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[Result]] = {}
        self._closed: str | None = None

    def submit(
        self,
        work: Task | DeviceWork,
        *,
        openings: int = 0,
        name: str = "",
        priority: int = 1,
        seconds: float | None = None,
    ) -> "Future[Result]":
        """Hand work in, before the blocks' tasks unless `priority` is 0 or less.

        The future gives the checked result, or raises JobGivenUp: after `seconds`, for one. `name`
        is what the work is known by outside; a name whose work took children down is refused.
        """
        expires = None if seconds is None else time.monotonic() + seconds
        job = Job(new_ticket(), work, openings, name, OWNER, priority, expires)
        future: Future[Result] = Future()
        with self._lock:
            if self._closed is not None:
                future.set_exception(JobGivenUp("stopped", self._closed))
                return future
            self._waiting[job.ticket] = future
        future.add_done_callback(lambda done: self._withdraw(job.ticket, done))
        self._inbox.put(Submitted(job))
        return future

    def handle(self, event: DeskEvent, children: Children) -> list[Report]:
        """Take an event out of the inbox."""
        if isinstance(event, Submitted):
            return children.submit(event.job)
        return children.cancel(event.ticket)

    def settle(self, report: Accepted | GivenUp) -> bool:
        """Tell whoever waits for this job. False where it is not the desk's."""
        if report.job.owner != OWNER:
            return False
        with self._lock:
            future = self._waiting.pop(report.job.ticket, None)
        if future is None or not future.set_running_or_notify_cancel():
            return True
        if isinstance(report, Accepted):
            future.set_result(report.result)
        else:
            future.set_exception(JobGivenUp(report.code, report.reason))
        return True

    def close(self, reason: str) -> None:
        """No more work is taken; whoever waits still is told `reason`."""
        with self._lock:
            self._closed = reason
            waiting = list(self._waiting.values())
            self._waiting.clear()
        for future in waiting:
            if future.set_running_or_notify_cancel():
                future.set_exception(JobGivenUp("stopped", reason))

    def _withdraw(self, ticket: int, future: "Future[Result]") -> None:
        if not future.cancelled():
            return
        with self._lock:
            known = self._waiting.pop(ticket, None)
        if known is not None:
            self._inbox.put(Withdrawn(ticket))
