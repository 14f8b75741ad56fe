"""Thread-safe side of the pool: other threads submit jobs here, and say what devices may do.

    future = executor.submit(work, name=job_id, seconds=30.0)   # in any thread
    result = future.result()        # Computed for a block's task, Done for other work
    future.cancel()                 # also while a child is at it

What is said here is a command in an inbox, which the pool's thread (`pool.py`) takes out.
"""

import math
import os
import select
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from gettext import gettext as _
from typing import Self

from engine.pool.job_queue import Job, cost_and_kind, new_ticket
from engine.pool.messages import Computed, Done
from engine.pool.worker_state import ALIVE, Worker
from engine.runtime.errors import JobGivenUp
from kernels.task import Task
from kernels.work import DeviceWork

Result = Computed | Done


@dataclass(frozen=True, slots=True)
class Submit:
    """Take up this job."""

    job: Job


@dataclass(frozen=True, slots=True)
class Cancel:
    """Nobody waits for that job any more."""

    ticket: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Give up this owner's jobs that no child was given."""

    owner: str
    reason: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Stop assigning work to the device."""

    device: str
    reason: str


@dataclass(frozen=True, slots=True)
class Resume:
    """Assign work to the device again."""

    device: str


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Put the faulty device out of service for good."""

    device: str
    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """End the children and the thread."""


Command = Submit | Cancel | Drop | Pause | Resume | Withdraw | Stop


def readable(sources: Iterable[int], seconds: float) -> list[int]:
    """Wait until one of these descriptors is readable, or at its end; return those that are.

    For so many seconds at most. `multiprocessing.connection.wait` does the same, and takes longer
    than a turn's other work to prepare it.
    """
    poll = select.poll()
    for source in sources:
        poll.register(source, select.POLLIN)
    return [source for source, _event in poll.poll(math.ceil(1000 * seconds))]


class Inbox[T]:
    """A queue that any thread puts into, and one waits for together with pipes (`fileno`)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._items: list[T] | None = []
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)

    def fileno(self) -> int:
        """Readable while something is inside."""
        return self._reader

    def put(self, item: T) -> bool:
        """Put it in; False where the inbox is closed."""
        with self._lock:
            if self._items is None:
                return False
            if not self._items:
                os.write(self._writer, b"\0")
            self._items.append(item)
        return True

    def take(self) -> list[T]:
        """Take out everything that is inside."""
        with self._lock:
            with suppress(BlockingIOError):
                os.read(self._reader, 1)
            items, self._items = self._items or [], []
        return items

    def close(self) -> list[T]:
        """Take out everything, and nothing more is taken in."""
        with self._lock:
            if self._items is None:
                return []
            items, self._items = self._items, None
            os.close(self._reader)
            os.close(self._writer)
        return items


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """One device. `state`: starting, idle, busy, opening, checking, backoff or out.

    `reason`: of its child's last end, "" for none. `paused`: why it gets no work, "" where it does.
    `pace`: seconds a multiply-add by kind of job, as far as they are known. `held`: bytes that its
    child has taken since it was ready; `allowed`: how many it may, None for any number.
    """

    state: str
    reason: str
    paused: str
    pid: int | None
    pace: Mapping[str, float]
    held: int = 0
    allowed: int | None = None

    @classmethod
    def of(cls, worker: Worker, pid: int | None, most_memory: int = 0) -> Self:
        """Return the status of a device whose last child has this process id.

        `most_memory`: at which the child is replaced; 0 for never.
        """
        alive, base = pid if worker.state in ALIVE else None, worker.base_memory
        held = 0 if base is None else max(0, worker.memory - base)
        allowed = None if base is None or not most_memory else max(0, most_memory - base)
        pace, state = worker.pace.copy(), worker.state.name.lower()
        return cls(state, worker.reason, worker.paused, alive, pace, held, allowed)


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """What other threads may know of a pool: an immutable snapshot, published after each change.

    `idle`: there is no job, waiting or at work, of those that the pool has taken up.

    `all_out`: no device is in service, and none may come.
    """

    devices: Mapping[str, DeviceStatus] = field(default_factory=dict)
    idle: bool = True
    all_out: bool = False

    @property
    def all_paused(self) -> bool:
        """Whether every device that is in service is paused, and there is one."""
        in_service = [device for device in self.devices.values() if device.state != "out"]
        return bool(in_service) and all(device.paused for device in in_service)

    def least_seconds(self, work: Task | DeviceWork) -> float | None:
        """Return how long the fastest device in service takes; None where a pace is not known yet."""
        cost, kind = cost_and_kind(work)
        able = [one for one in self.devices.values() if one.state != "out"]
        if not able or any(kind not in device.pace for device in able):
            return None
        return cost * min(device.pace[kind] for device in able)

    def capacity(self, work: Task | DeviceWork, seconds: float) -> int:
        """Return how many jobs like this one the devices in service are seen to finish in that time.

        A device whose pace is not known yet counts for one.
        """
        cost, kind = cost_and_kind(work)
        return sum(
            int(seconds / (cost * device.pace[kind])) if kind in device.pace else 1
            for device in self.devices.values()
            if device.state not in ("backoff", "out") and not device.paused
        )


class _JobFuture(Future[Result]):
    """Tells the pool where it is cancelled."""

    def __init__(self, cancel: Callable[[], object]) -> None:
        super().__init__()
        self._cancel = cancel

    def cancel(self) -> bool:
        """Cancel the job, also while a child is at it; False where it has ended."""
        if not super().cancel():
            return False
        self._cancel()
        return True


class Executor:
    """See the module. Every method is for any thread, and returns at once."""

    def __init__(self) -> None:
        self._inbox: Inbox[Command] = Inbox()

    @property
    def status(self) -> PoolStatus:
        """What is known of its devices and jobs; nothing where a subclass does not say it."""
        return PoolStatus()

    def submit(
        self,
        work: Task | DeviceWork,
        *,
        openings: int = 0,
        name: str = "",
        owner: str = "",
        priority: int = 1,
        seconds: float | None = None,
    ) -> "Future[Result]":
        """Submit work; jobs of a higher `priority` come first, then in the order of submission.

        The future gives the checked result, or raises JobGivenUp: after `seconds`, for one. `name`
        is what the work is known by outside; a name whose work took children down is refused.
        """
        expires = None if seconds is None else time.monotonic() + seconds
        ticket = new_ticket()
        future = _JobFuture(lambda: self._inbox.put(Cancel(ticket)))
        job = Job(ticket, work, openings, name, owner, priority, expires, future)
        if not self._inbox.put(Submit(job)):
            future.set_exception(JobGivenUp("stopped", _("the engine stops")))
        return future

    def drop_pending(self, owner: str, reason: str) -> None:
        """Give up this owner's jobs that no child was given: their futures raise JobGivenUp."""
        self._inbox.put(Drop(owner, reason))

    def pause(self, device: str, reason: str) -> None:
        """Stop assigning work to the device; its child ends what it was given, and stays."""
        self._inbox.put(Pause(device, reason))

    def resume(self, device: str) -> None:
        """Assign work to the device again."""
        self._inbox.put(Resume(device))

    def withdraw(self, device: str, reason: str) -> None:
        """Put a faulty device out of service for good."""
        self._inbox.put(Withdraw(device, reason))
