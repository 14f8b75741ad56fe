"""The life of each device's child: it is started, watched, replaced, or taken out of service.

    BACKOFF --> STARTING --Ready--> IDLE, BUSY, OPENING, CHECKING (see `supervisor.py`)
    any of these --exit, hang, silence, wrong result, too much memory--> BACKOFF --> STARTING
    too many of those --> OUT, until the cool-down ends --> STARTING

What befalls a job is not decided here.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from gettext import gettext as _
from random import SystemRandom

from engine.monitor.formatting import duration
from engine.pool.actions import Action, Ended, Kill, OutOfService, Spawn
from engine.pool.check_share import CheckShare
from engine.pool.job_queue import Job
from engine.pool.limits import Limits
from engine.pool.messages import Beat
from engine.pool.restart_policy import RestartPolicy
from engine.pool.worker_state import ALIVE, State, Worker


class DeviceLife(ABC):
    """Devices with one child each, known by its generation. The jobs are the subclass's."""

    def __init__(
        self, devices: Iterable[str], limits: Limits, chance: Callable[[], float] | None
    ) -> None:
        self._limits = limits
        self._chance = chance or SystemRandom().random
        self._left: dict[str, Worker] = {}
        self.workers = {device: self._new_worker(device) for device in devices}
        """By device; to be changed here only."""
        self._last_tick = 0.0

    @property
    def all_out(self) -> bool:
        """Whether no device is in service."""
        return all(worker.state is State.OUT for worker in self.workers.values())

    def start(self, now: float) -> list[Action]:
        """Start every child."""
        self._last_tick = now
        return [action for worker in self.workers.values() for action in self._spawn(worker, now)]

    def add(self, device: str, now: float) -> list[Action]:
        """A device came while the others run; one that is there already is left as it is."""
        if device in self.workers:
            return []
        self.workers[device] = self._new_worker(device)
        return self._spawn(self.workers[device], now)

    def remove(self, device: str, now: float, reason: str) -> list[Action]:
        """A device is taken away: its child ends, its jobs go back to the line, without blame."""
        worker = self.workers.pop(device, None)
        if worker is None:
            return []
        self._left[device] = worker
        alive = worker.state in ALIVE
        actions: list[Action] = [Kill(device, worker.generation, reason)] if alive else []
        return actions + self._put_back(worker.take_jobs()) + self._hand_out(now)

    def pause(self, device: str, reason: str) -> None:
        """Stop assigning work to the device; its child stays, and ends what it was given."""
        if (worker := self.workers.get(device)) is not None:
            worker.paused = reason

    def resume(self, device: str, now: float) -> list[Action]:
        """Assign work to the device again."""
        if (worker := self.workers.get(device)) is not None:
            worker.paused = ""
        return self._hand_out(now)

    def withdraw(self, device: str, reason: str, now: float) -> list[Action]:
        """The device itself is faulty: its child ends, and no other takes its place."""
        worker = self.workers.get(device)
        if worker is None:
            return []
        actions: list[Action] = []
        if worker.state in ALIVE:
            actions = self._end(worker, reason, now, kill=True, out=True, for_good=True)
        elif worker.deadline != float("inf"):
            worker.state, worker.reason = State.OUT, reason
            actions = [OutOfService(device, reason)]
        worker.deadline = float("inf")
        return actions

    def exited(
        self, device: str, generation: int, exitcode: int | None, now: float
    ) -> list[Action]:
        """A child's process ended."""
        worker = self._live(device, generation)
        if worker is None:
            return []
        reason = _("its process ended ({ending})").format(ending=_describe_exit(exitcode))
        return self._end(worker, reason, now, kill=False)

    def tick(self, now: float) -> list[Action]:
        """Look at the clock: deadlines, silence, ends of backoff and cool-down."""
        pause = now - self._last_tick
        self._last_tick = now
        if pause > self._limits.sleep:
            # This process slept (SIGSTOP, a suspended laptop): its children were not silent.
            for worker in self.workers.values():
                worker.last_heard += pause
                worker.deadline += pause
        actions: list[Action] = []
        for worker in list(self.workers.values()):
            if worker.state in ALIVE:
                if (reason := self._overdue(worker, now)) is not None:
                    actions += self._end(worker, reason, now, kill=True)
            elif now >= worker.deadline:
                actions += self._spawn(worker, now)
        return actions

    def _overdue(self, worker: Worker, now: float) -> str | None:
        """Why the child has to go, if it has to."""
        limits, quiet = self._limits, now - worker.last_heard
        match worker.state:
            case State.STARTING if now >= worker.deadline:
                return _("not ready after {start:.0f} s").format(start=limits.start)
            case State.STARTING:
                return _("silent while it started") if quiet > limits.silence_starting else None
            case State.BUSY | State.OPENING if now >= worker.deadline:
                return _("hung: its deadline passed")
        if quiet > limits.silence:
            return _("silent for {silence:.0f} s").format(silence=limits.silence)
        return None

    def _on_beat(self, worker: Worker, beat: Beat, now: float) -> list[Action]:
        worker.beats(beat.memory)
        if not (most := self._limits.memory) or beat.memory <= most:
            return []
        reason = _("its memory grew to {size} MiB, over its limit of {most} MiB").format(
            size=beat.memory >> 20, most=most >> 20
        )
        return self._end(worker, reason, now, kill=True)

    def _live(self, device: str, generation: int) -> Worker | None:
        worker = self.workers.get(device)
        if worker is None or generation != worker.generation or worker.state not in ALIVE:
            return None
        return worker

    def _new_worker(self, device: str) -> Worker:
        """Return a device; one that was here before has its record still, which it cannot shake off."""
        if (before := self._left.pop(device, None)) is not None:
            return Worker(device, before.restarts, before.answers, before.generation)
        answers = CheckShare(self._limits.check_share, self._chance)
        return Worker(device, RestartPolicy(self._limits), answers)

    def _spawn(self, worker: Worker, now: float) -> list[Action]:
        worker.generation += 1
        worker.state = State.STARTING
        worker.memory, worker.base_memory, worker.talk = 0, None, 0.0
        worker.deadline = now + self._limits.start
        worker.last_heard = now
        return [Spawn(worker.device, worker.generation)]

    def _end(
        self,
        worker: Worker,
        reason: str,
        now: float,
        *,
        kill: bool,
        out: bool = False,
        for_good: bool = False,
        passes: bool = False,
        blamed: Job | None = None,
        wrong: bool = False,
    ) -> list[Action]:
        """The child is gone or must go; its jobs go back to the front of the line, in order.

        `blamed`: the job that took it down, where that is not the one at work; `wrong`: by a wrong
        result. `passes`: the machine lacked something for now, so the device stays in service however
        often that is.
        """
        gone = Kill if kill else Ended
        actions: list[Action] = [gone(worker.device, worker.generation, reason)]
        worker.reason = reason
        was_ready = worker.state is not State.STARTING
        if blamed is None and worker.jobs and not passes:
            blamed = (worker.orders or list(worker.jobs.values()))[0].job
        if blamed is not None:
            blamed.failed_on.add(worker.device)
        jobs = worker.take_jobs(wrong=wrong)
        actions += self._put_back(jobs, blamed, f"{worker.device}: {reason}")
        if passes:
            worker.restarts.in_a_row += 1
            worker.state = State.BACKOFF
            worker.deadline = now + max(1.0, worker.restarts.backoff())
        elif not (why := worker.restarts.failed(now, was_ready=was_ready)) and not out:
            worker.state = State.BACKOFF
            worker.deadline = now + worker.restarts.backoff()
            if worker.deadline <= now:
                actions += self._spawn(worker, now)
        else:
            worker.state = State.OUT
            pause = worker.restarts.take_out()
            worker.deadline = now + pause
            if not for_good:
                again = _("it is tried again after {time}").format(time=duration(pause))
                worker.reason = "; ".join(part for part in (reason, why, again) if part)
            actions.append(OutOfService(worker.device, worker.reason))
        return actions + self._hand_out(now)

    @abstractmethod
    def _put_back(
        self, jobs: list[Job], blamed: Job | None = None, reason: str = ""
    ) -> list[Action]:
        """These jobs go to the front of the line, in this order; one of them may be to blame."""

    @abstractmethod
    def _hand_out(self, now: float) -> list[Action]:
        """Give jobs to the children that have room for them."""


def _describe_exit(exitcode: int | None) -> str:
    if exitcode is None:
        return _("no exit code")
    return (
        _("signal {name}").format(name=-exitcode)
        if exitcode < 0
        else _("exit code {code}").format(code=exitcode)
    )
