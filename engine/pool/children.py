"""The thin shell around `supervisor.py`: carries its actions out with a launcher, and the clock.

    children = Children(["cpu"], LocalProcesses(inbox))
    reports = children.start()
    reports += children.handle(inbox.get())  # a few times a second: children.tick()

A report is what somebody outside has to know: a job's end, a child's end, a device out of service.
"""

import time
from collections.abc import Iterable
from dataclasses import replace

from engine.pool.actions import (
    Accepted,
    Action,
    Check,
    Ended,
    GivenUp,
    Kill,
    OutOfService,
    Spawn,
    Tell,
)
from engine.pool.job_queue import Job
from engine.pool.launcher import ChildEvent, Heard, Launcher
from engine.pool.limits import Limits
from engine.pool.result_check import draw_leaves, why_wrong
from engine.pool.supervisor import Supervisor

Report = Accepted | GivenUp | OutOfService | Kill | Ended


_MISSED_WORDS = 2.5
"""A child that was not heard of for so many times the usual is silent."""


class Children:
    """Supervised children, one a device. Call every method from the thread that owns the inbox."""

    def __init__(
        self, devices: Iterable[str], launcher: Launcher, limits: Limits | None = None
    ) -> None:
        limits = limits or Limits()
        patience = max(limits.silence, _MISSED_WORDS * launcher.quiet_seconds)
        limits = replace(limits, silence=patience)
        self._supervisor = Supervisor(devices, draw=draw_leaves, limits=limits)
        self._launcher = launcher

    @property
    def all_out(self) -> bool:
        """Whether no device is in service, and none may come."""
        return self._supervisor.all_out and not self._launcher.may_find_more

    @property
    def idle(self) -> bool:
        """Whether there is no job, waiting or at work."""
        return self._supervisor.idle

    @property
    def all_paused(self) -> bool:
        """Whether every device that is in service is paused."""
        return self._supervisor.all_paused

    def capacity(self, job: Job, seconds: float) -> int:
        """Jobs like this one that the devices in service are seen to finish within that time."""
        return self._supervisor.capacity(job, seconds)

    def states(self) -> dict[str, tuple[str, str]]:
        """Each device's state in a word, and the reason of its last fall ("" for none)."""
        return {
            name: (state.name.lower(), reason)
            for name, (state, reason) in self._supervisor.states().items()
        }

    def pids(self) -> dict[str, int | None]:
        """Process id of each device's child."""
        return self._launcher.pids()

    def start(self) -> list[Report]:
        """Start one child a device. Raises SetupError where the launcher cannot work."""
        self._launcher.start()
        return self._carry_out(self._supervisor.start(time.monotonic()))

    def add(self, device: str) -> list[Report]:
        """A device came while the others run."""
        return self._carry_out(self._supervisor.add(device, time.monotonic()))

    def remove(self, device: str, reason: str) -> list[Report]:
        """A device is taken away; its job goes to another."""
        return self._carry_out(self._supervisor.remove(device, time.monotonic(), reason))

    def submit(self, job: Job) -> list[Report]:
        """Give out a job. Its `expires` is a time of `time.monotonic`."""
        return self._carry_out(self._supervisor.submit(job, time.monotonic()))

    def cancel(self, ticket: int) -> list[Report]:
        """Give this job up, wherever it is; nothing happens where it is done."""
        return self._carry_out(self._supervisor.cancel(ticket, time.monotonic()))

    def drop_pending(self, owner: str = "") -> list[Job]:
        """Take back this owner's jobs that no child has begun."""
        return self._supervisor.drop_pending(owner)

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

    def stop(self, patience: float = 0.3) -> None:
        """End every child: asked first, then killed. None is left when this returns."""
        self._launcher.stop(patience)

    def _carry_out(self, actions: list[Action]) -> list[Report]:
        reports: list[Report] = []
        work = list(actions)
        while work:
            match work.pop(0):
                case Spawn(device=device, generation=generation):
                    self._launcher.spawn(device, generation)
                case Kill(device=device, generation=generation) as kill:
                    self._launcher.kill(device, generation)
                    reports.append(kill)
                case Tell(device=device, generation=generation, message=message):
                    self._launcher.tell(device, generation, message)
                case Check() as check:
                    error = why_wrong(check)
                    work += self._supervisor.checked(check, error, time.monotonic())
                case (Accepted() | GivenUp() | OutOfService() | Ended()) as report:
                    reports.append(report)
        return reports
