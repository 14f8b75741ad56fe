"""The thin shell around `supervisor.py`: real child processes, pipes and threads that listen.

Spawned, never forked: a fork would carry the parent's key, threads and CUDA state along. Each child
has its own queue for orders and its own pipe for reports, thrown away with it, because a process
killed while it holds a shared queue's lock would hang everyone. One thread a child turns what it
says, and its end, into events in the one inbox of the mining loop.
"""

import multiprocessing
import queue
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from multiprocessing.queues import SimpleQueue
from typing import Any

from engine.child import child_main
from engine.messages import Computed, FromChild, ToChild
from engine.supervisor import (
    Accepted,
    Action,
    Check,
    Ended,
    GivenUp,
    Job,
    Kill,
    Limits,
    OutOfService,
    Spawn,
    Supervisor,
    Tell,
)
from kernels.check import check_leaves, check_proof
from kernels.errors import KernelError

SPOT_LEAVES = 4
"""Leaves that the parent draws itself, on top of those that the proof opens."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A child said `message`."""

    device: str
    generation: int
    message: FromChild


@dataclass(frozen=True, slots=True)
class Exited:
    """A child's process ended."""

    device: str
    generation: int
    exitcode: int | None


ChildEvent = Heard | Exited
Report = Accepted | GivenUp | OutOfService | Kill | Ended


@dataclass(slots=True)
class _Child:
    process: SpawnProcess
    generation: int
    orders: "SimpleQueue[ToChild]"


class Children:
    """Supervised children, one a device. Call every method from the thread that owns the inbox."""

    def __init__(
        self,
        devices: list[str],
        inbox: "queue.SimpleQueue[Any]",
        *,
        threads: int | None = None,
        limits: Limits | None = None,
        entry: Callable[..., None] = child_main,
    ) -> None:
        """`entry` is what a child runs: another one only in tests of faults."""
        self._supervisor = Supervisor(devices, draw=draw_leaves, limits=limits)
        self._inbox = inbox
        self._threads = threads
        self._entry = entry
        self._context = multiprocessing.get_context("spawn")
        self._children: dict[str, _Child] = {}

    @property
    def all_out(self) -> bool:
        """Whether no device is in service."""
        return self._supervisor.all_out

    @property
    def idle(self) -> bool:
        """Whether there is no job, waiting or at work."""
        return self._supervisor.idle

    @property
    def all_paused(self) -> bool:
        """Whether every device that is in service is paused."""
        return self._supervisor.all_paused

    def states(self) -> dict[str, tuple[str, str]]:
        """Each device's state in a word, and the reason of its last fall ("" for none)."""
        return {
            name: (state.name.lower(), reason)
            for name, (state, reason) in self._supervisor.states().items()
        }

    def pids(self) -> dict[str, int | None]:
        """Process id of each device's child."""
        return {name: child.process.pid for name, child in self._children.items()}

    def start(self) -> list[Report]:
        """Start one child a device."""
        return self._carry_out(self._supervisor.start(time.monotonic()))

    def submit(self, job: Job) -> list[Report]:
        """Give out a job."""
        return self._carry_out(self._supervisor.submit(job, time.monotonic()))

    def drop_pending(self) -> list[Job]:
        """Take back the jobs that no child has begun."""
        return self._supervisor.drop_pending()

    def pause(self, device: str) -> None:
        """Give the device no more work; its child stays, idle."""
        self._supervisor.pause(device)

    def resume(self, device: str) -> list[Report]:
        """Give the device work again."""
        return self._carry_out(self._supervisor.resume(device, time.monotonic()))

    def withdraw(self, device: str, reason: str) -> list[Report]:
        """Put a faulty device out of service for good."""
        return self._carry_out(self._supervisor.withdraw(device, reason, time.monotonic()))

    def handle(self, event: ChildEvent) -> list[Report]:
        """Take an event out of the inbox."""
        now = time.monotonic()
        if isinstance(event, Heard):
            actions = self._supervisor.heard(event.device, event.generation, event.message, now)
        else:
            actions = self._supervisor.exited(event.device, event.generation, event.exitcode, now)
        return self._carry_out(actions)

    def tick(self) -> list[Report]:
        """Look at the clock: call this a few times a second."""
        return self._carry_out(self._supervisor.tick(time.monotonic()))

    def stop(self, patience: float = 0.5) -> None:
        """End every child: asked first, then killed. None is left when this returns."""
        for child in self._children.values():
            _put(child.orders, None)
        deadline = time.monotonic() + patience
        for child in self._children.values():
            child.process.join(max(0.0, deadline - time.monotonic()))
            if child.process.is_alive():
                child.process.kill()
                child.process.join()
        self._children.clear()

    def _carry_out(self, actions: list[Action]) -> list[Report]:
        reports: list[Report] = []
        work = list(actions)
        while work:
            match work.pop(0):
                case Spawn() as spawn:
                    self._spawn(spawn)
                case Kill() as kill:
                    self._kill(kill)
                    reports.append(kill)
                case Tell() as tell:
                    child = self._children[tell.device]
                    if child.generation == tell.generation:
                        _put(child.orders, tell.message)
                case Check() as check:
                    error = spot_check(check)
                    work += self._supervisor.checked(check, error, time.monotonic())
                case (Accepted() | GivenUp() | OutOfService() | Ended()) as report:
                    reports.append(report)
        return reports

    def _spawn(self, spawn: Spawn) -> None:
        orders: SimpleQueue[ToChild] = self._context.SimpleQueue()
        receiver, sender = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=self._entry,
            args=(spawn.device, self._threads, orders, sender),
            name=f"cpc-{spawn.device}",
            daemon=True,
        )
        process.start()
        sender.close()  # so that the child's death reads as the end of the pipe
        self._children[spawn.device] = _Child(process, spawn.generation, orders)
        threading.Thread(
            target=_listen, args=(spawn, process, receiver, self._inbox), daemon=True
        ).start()

    def _kill(self, kill: Kill) -> None:
        child = self._children.get(kill.device)
        if child is not None and child.generation == kill.generation:
            child.process.kill()  # SIGKILL also ends a stopped process, and one in a kernel


def _put(orders: "SimpleQueue[ToChild]", message: ToChild) -> None:
    try:
        orders.put(message)
    except (OSError, ValueError):
        return  # the child is gone; its exit is on the way as an event


def _listen(
    spawn: Spawn, process: SpawnProcess, reports: Connection, inbox: "queue.SimpleQueue[Any]"
) -> None:
    """Until the pipe ends: a message cut off by a kill ends it too."""
    with reports:
        while True:
            try:
                message = reports.recv()
            except (EOFError, OSError):
                break
            except Exception:  # noqa: BLE001 - bytes that are no message: from a broken child
                process.kill()
                break
            inbox.put(Heard(spawn.device, spawn.generation, message))
    process.join()
    inbox.put(Exited(spawn.device, spawn.generation, process.exitcode))


def draw_leaves(job: Job, computed: Computed) -> tuple[int, ...]:  # noqa: ARG001
    """Leaves that the parent opens itself: drawn from the system's randomness after the root."""
    count = min(SPOT_LEAVES, job.task.leaf_count)
    return tuple(random.SystemRandom().sample(range(job.task.leaf_count), count))


def spot_check(check: Check) -> str | None:
    """Check the parent's own leaves and the whole proof; None where both are right."""
    task, computed = check.job.task, check.computed
    try:
        check_leaves(task, computed.root, check.leaves, check.siblings)
        least = min(check.job.openings, task.leaf_count)
        check_proof(task, computed.root, computed.proof, least_openings=least)
    except KernelError as error:
        return str(error)
    return None
