"""The supervisor's policy as a pure state machine: events and a clock in, actions out.

    supervisor = Supervisor(["cpu"], draw=draw_leaves)
    actions = supervisor.start(now=0.0)  # [Spawn("cpu", 1)]
    actions = supervisor.heard("cpu", 1, Ready("cpu", 0.8), now=1.0)

It starts no process and reads no clock: `pool.py` does what the actions say, and the tests
drive this file without either. Each device has one child at a time, known by its generation, so
that a late word from a killed child is never taken for its successor's.

    STARTING --Ready--> IDLE --Work--> BUSY --Computed--> OPENING --Opened--> CHECKING --> IDLE
                             --Run---> BUSY --Done--------------------------> CHECKING --> IDLE
    any of these --exit, hang, silence, wrong result, too much memory--> BACKOFF --> STARTING
    too many of those --> OUT, until the cool-down ends --> STARTING

What waits is in `job_queue.py`, what is known of a device in `worker_state.py`, and how often it may
fall in `restart_policy.py`.
"""

from collections.abc import Callable, Iterable
from gettext import gettext as _

from engine.pool.actions import (
    Accepted,
    Action,
    Check,
    Ended,
    GivenUp,
    Kill,
    Opening,
    OutOfService,
    Spawn,
    Tell,
)
from engine.pool.job_queue import Backlog, Job
from engine.pool.limits import Limits
from engine.pool.messages import (
    Beat,
    Computed,
    Done,
    Failed,
    FromChild,
    Open,
    Opened,
    Ready,
    Run,
    Work,
)
from engine.pool.restart_policy import Standing
from engine.pool.worker_state import ALIVE, Slot, State
from kernels.task import Task

_ENDS_THE_SAME_WAY = frozenset({"InvalidTask", "InvalidJob"})
_NO_ROOM = frozenset({"TaskTooLarge"})
"""Kinds of failure that cost no child: on every device, and on this one."""
_UNFIT = frozenset({"DeviceUnavailable", "TaskTooLarge"})
"""Kinds of failure at the start that another start would only repeat."""


class Supervisor:
    """Policy over a set of devices, one child each. Not thread-safe; call it from one thread."""

    def __init__(
        self,
        devices: Iterable[str],
        *,
        draw: Callable[[Task, Computed], tuple[int, ...]],
        limits: Limits | None = None,
    ) -> None:
        """`draw` picks the leaves to open of a computed task, unknown to the child before."""
        self._limits = limits or Limits()
        self._draw = draw
        self._generations: dict[str, int] = {}
        self._slots = {device: self._new_slot(device) for device in devices}
        self._backlog = Backlog()
        self._last_tick = 0.0

    @property
    def all_out(self) -> bool:
        """Whether no device is in service."""
        return all(slot.state is State.OUT for slot in self._slots.values())

    @property
    def idle(self) -> bool:
        """Whether there is neither a job that waits nor one at a device."""
        return not self._backlog and not any(
            slot.job is not None and not slot.job.cancelled for slot in self._slots.values()
        )

    @property
    def all_paused(self) -> bool:
        """Whether every device that is in service is paused."""
        in_service = [slot for slot in self._slots.values() if slot.state is not State.OUT]
        return bool(in_service) and all(slot.paused for slot in in_service)

    def capacity(self, job: Job, seconds: float) -> int:
        """Jobs like this one that the devices in service are seen to finish within that time.

        A device whose pace is not known yet counts for one.
        """
        in_service = (s for s in self._slots.values() if s.state in ALIVE and not s.paused)
        return sum(
            int(seconds / (job.cost * slot.pace[job.kind])) if job.kind in slot.pace else 1
            for slot in in_service
        )

    def states(self) -> dict[str, tuple[State, str]]:
        """Each device's state, and the reason of its last fall ("" for none)."""
        return {name: (slot.state, slot.reason) for name, slot in self._slots.items()}

    # --- devices ----------------------------------------------------------------------------------

    def start(self, now: float) -> list[Action]:
        """Start every child."""
        self._last_tick = now
        return [action for slot in self._slots.values() for action in self._spawn(slot, now)]

    def add(self, device: str, now: float) -> list[Action]:
        """A device came while the others run; one that is there already is left as it is."""
        if device in self._slots:
            return []
        self._slots[device] = self._new_slot(device)
        return self._spawn(self._slots[device], now)

    def remove(self, device: str, now: float, reason: str) -> list[Action]:
        """A device is taken away: its child ends, its job goes back to the line, without blame."""
        slot = self._slots.pop(device, None)
        if slot is None:
            return []
        actions: list[Action] = []
        if slot.state in ALIVE:
            actions.append(Kill(device, slot.generation, reason))
        if slot.job is not None and not slot.job.cancelled:
            self._backlog.put_back(slot.job)
        return actions + self._hand_out(now)

    def pause(self, device: str) -> None:
        """Give the device no more work; what it has begun it may end. Its child stays."""
        self._slots[device].paused = True

    def resume(self, device: str, now: float) -> list[Action]:
        """The device takes work again."""
        self._slots[device].paused = False
        return self._hand_out(now)

    def withdraw(self, device: str, reason: str, now: float) -> list[Action]:
        """The device itself is faulty: its child ends, and no other takes its place."""
        slot = self._slots[device]
        actions: list[Action] = []
        if slot.state in ALIVE:
            actions = self._fall(slot, reason, now, kill=True, out=True)
        elif slot.deadline != float("inf"):
            slot.state, slot.reason = State.OUT, reason
            actions = [OutOfService(device, reason)]
        slot.deadline = float("inf")
        return actions

    # --- jobs -------------------------------------------------------------------------------------

    def submit(self, job: Job, now: float) -> list[Action]:
        """Take a job; those of one priority are done in order of submission."""
        if (reason := self._backlog.why_quarantined(job)) is not None:
            return [GivenUp(job, "quarantined", reason)]
        self._backlog.put(job)
        return self._hand_out(now)

    def cancel(self, ticket: int, now: float) -> list[Action]:
        """Nobody wants this job any more. No action where there is no such job."""
        return self._stop_job(
            lambda job: job.ticket == ticket, "cancelled", _("it was cancelled"), now
        )

    def drop_pending(self, owner: str = "") -> list[Job]:
        """Take back what no child has begun of this owner's."""
        return self._backlog.drop(lambda job: job.owner == owner)

    # --- events -----------------------------------------------------------------------------------

    def heard(self, device: str, generation: int, message: FromChild, now: float) -> list[Action]:
        """A child said something."""
        slot = self._live(device, generation)
        if slot is None:
            return []
        slot.last_heard = now
        match message:
            case Beat():
                return self._on_beat(slot, message, now)
            case Ready() if slot.state is State.STARTING:
                slot.state = State.IDLE
                slot.start_seconds = message.seconds
                slot.standing.got_ready()
                return self._hand_out(now)
            case Computed(ticket=ticket) if slot.awaits(State.BUSY, ticket):
                return self._on_computed(slot, message, now)
            case Opened(ticket=ticket) if slot.awaits(State.OPENING, ticket):
                return self._on_opened(slot, message)
            case Done(ticket=ticket) if slot.awaits(State.BUSY, ticket):
                return self._on_done(slot, message, now)
            case Failed():
                return self._on_failed(slot, message, now)
            case _:
                return self._fall(slot, _("said something out of turn"), now, kill=True)

    def exited(
        self, device: str, generation: int, exitcode: int | None, now: float
    ) -> list[Action]:
        """A child's process ended."""
        slot = self._live(device, generation)
        if slot is None:
            return []
        return self._fall(
            slot,
            _("its process ended ({ending})").format(ending=_describe_exit(exitcode)),
            now,
            kill=False,
        )

    def checked(self, check: Check, error: str | None, now: float) -> list[Action]:
        """The answer was checked; `error` is None where it is right."""
        slot = self._live(check.device, check.generation)
        if slot is None or slot.state is not State.CHECKING:
            return []
        if error is not None:
            slot.standing.was_wrong(now)
            return self._fall(
                slot, _("computed a wrong result: {error}").format(error=error), now, kill=True
            )
        slot.standing.did_well()
        job = check.job
        result = check.answer.computed if isinstance(check.answer, Opening) else check.answer
        slot.learn(job, result.seconds)
        slot.rest()
        accepted: list[Action] = [] if job.cancelled else [Accepted(job, result, slot.device)]
        return accepted + self._hand_out(now)

    def tick(self, now: float) -> list[Action]:
        """Look at the clock: deadlines, silence, ends of backoff and cool-down."""
        pause = now - self._last_tick
        self._last_tick = now
        if pause > self._limits.sleep:
            # This process slept (SIGSTOP, a suspended laptop): its children were not silent.
            for slot in self._slots.values():
                slot.last_heard += pause
                slot.deadline += pause
        actions = self._stop_job(
            lambda job: job.expires is not None and now >= job.expires,
            "expired",
            _("its deadline passed"),
            now,
        )
        for slot in list(self._slots.values()):
            actions += self._tick_slot(slot, now)
        return actions

    # --- what follows -----------------------------------------------------------------------------

    def _new_slot(self, device: str) -> Slot:
        return Slot(device, Standing(self._limits), self._generations.get(device, 0))

    def _live(self, device: str, generation: int) -> Slot | None:
        slot = self._slots.get(device)
        if slot is None or generation != slot.generation or slot.state not in ALIVE:
            return None
        return slot

    def _tick_slot(self, slot: Slot, now: float) -> list[Action]:
        limits = self._limits
        match slot.state:
            case State.BACKOFF | State.OUT if now >= slot.deadline:
                return self._spawn(slot, now)
            case State.STARTING if now >= slot.deadline:
                return self._fall(
                    slot,
                    _("not ready after {start:.0f} s").format(start=limits.start),
                    now,
                    kill=True,
                )
            case State.STARTING if now - slot.last_heard > limits.silence_starting:
                return self._fall(slot, _("silent while it started"), now, kill=True)
            case State.BUSY | State.OPENING if now >= slot.deadline:
                return self._fall(slot, _("hung: its deadline passed"), now, kill=True)
            case State.IDLE | State.BUSY | State.OPENING | State.CHECKING if (
                now - slot.last_heard > limits.silence
            ):
                return self._fall(
                    slot,
                    _("silent for {silence:.0f} s").format(silence=limits.silence),
                    now,
                    kill=True,
                )
            case _:
                return []

    def _spawn(self, slot: Slot, now: float) -> list[Action]:
        slot.generation += 1
        self._generations[slot.device] = slot.generation
        slot.state = State.STARTING
        slot.deadline = now + self._limits.start
        slot.last_heard = now
        return [Spawn(slot.device, slot.generation)]

    def _hand_out(self, now: float) -> list[Action]:
        actions: list[Action] = []
        for slot in self._slots.values():
            if slot.state is not State.IDLE or slot.paused:
                continue
            if (job := self._backlog.take(slot.device)) is not None:
                actions.append(self._give(slot, job, now))
        in_service = {slot.device for slot in self._slots.values() if slot.state is not State.OUT}
        refused = self._backlog.drop(lambda job: set() < in_service <= job.refused_by.keys())
        return actions + [
            GivenUp(job, "too_large", list(job.refused_by.values())[-1]) for job in refused
        ]

    def _give(self, slot: Slot, job: Job, now: float) -> Action:
        slot.take(job, now, self._limits)
        if isinstance(job.work, Task):
            return Tell(slot.device, slot.generation, Work(job.ticket, job.work, job.openings))
        return Tell(slot.device, slot.generation, Run(job.ticket, job.work))

    def _on_beat(self, slot: Slot, beat: Beat, now: float) -> list[Action]:
        most = self._limits.memory
        if not most or beat.memory <= most:
            return []
        reason = _("its memory grew to {size} MiB, over its limit of {most} MiB").format(
            size=beat.memory >> 20, most=most >> 20
        )
        return self._fall(slot, reason, now, kill=True)

    def _on_computed(self, slot: Slot, computed: Computed, now: float) -> list[Action]:
        assert slot.job is not None
        if not isinstance(slot.job.work, Task):
            return self._fall(slot, _("answered for another kind of job"), now, kill=True)
        slot.computed = computed
        slot.leaves = self._draw(slot.job.work, computed)
        slot.state = State.OPENING
        slot.deadline = now + self._limits.work_margin
        return [Tell(slot.device, slot.generation, Open(computed.ticket, slot.leaves))]

    def _on_opened(self, slot: Slot, opened: Opened) -> list[Action]:
        assert slot.computed is not None
        return self._check(slot, Opening(slot.computed, slot.leaves, opened.siblings))

    def _on_done(self, slot: Slot, done: Done, now: float) -> list[Action]:
        assert slot.job is not None
        if isinstance(slot.job.work, Task):
            return self._fall(slot, _("answered for another kind of job"), now, kill=True)
        return self._check(slot, done)

    def _check(self, slot: Slot, answer: Opening | Done) -> list[Action]:
        assert slot.job is not None
        slot.state = State.CHECKING
        return [Check(slot.device, slot.generation, slot.job, answer)]

    def _on_failed(self, slot: Slot, failed: Failed, now: float) -> list[Action]:
        said = f"{failed.kind}: {failed.detail}"
        if failed.ticket is None:
            if failed.kind == "WrongResult":
                slot.standing.was_wrong(now)
            return self._fall(slot, said, now, kill=True, out=failed.kind in _UNFIT)
        job = slot.job
        if job is None or job.ticket != failed.ticket:
            return []
        if failed.kind in _ENDS_THE_SAME_WAY:
            slot.rest()
            given_up: list[Action] = [] if job.cancelled else [GivenUp(job, "invalid", said)]
            return given_up + self._hand_out(now)
        if failed.kind in _NO_ROOM:
            slot.rest()
            job.refused_by[slot.device] = said
            if not job.cancelled:
                self._backlog.put_back(job)
            return self._hand_out(now)
        return self._fall(slot, said, now, kill=True)

    def _stop_job(
        self, wanted: Callable[[Job], bool], code: str, reason: str, now: float
    ) -> list[Action]:
        """Give up what is `wanted`. A child at work on it is left to end, unless that takes long."""
        actions: list[Action] = [GivenUp(job, code, reason) for job in self._backlog.drop(wanted)]
        for slot in list(self._slots.values()):
            job = slot.job
            if job is None or job.cancelled or not wanted(job):
                continue
            job.cancelled = True
            actions.append(GivenUp(job, code, reason))
            if slot.state is State.BUSY and slot.outlasts_a_restart(now):
                actions.append(
                    Kill(
                        slot.device,
                        slot.generation,
                        _("its job is not wanted: {reason}").format(reason=reason),
                    )
                )
                slot.rest()
                actions += self._spawn(slot, now)
        return actions

    def _fall(
        self, slot: Slot, reason: str, now: float, *, kill: bool, out: bool = False
    ) -> list[Action]:
        """The child is gone or must go; its job goes back to the front of the line."""
        gone = Kill if kill else Ended
        actions: list[Action] = [gone(slot.device, slot.generation, reason)]
        slot.reason = reason
        was_ready = slot.state is not State.STARTING
        if (job := slot.job) is not None and not job.cancelled:
            actions += self._blame(job, f"{slot.device}: {reason}")
        slot.rest()
        if slot.standing.fell(now, was_ready=was_ready) and not out:
            slot.state = State.BACKOFF
            slot.deadline = now + slot.standing.pause()
            if slot.deadline <= now:
                actions += self._spawn(slot, now)
        else:
            slot.state = State.OUT
            slot.deadline = now + slot.standing.taken_out()
            actions.append(OutOfService(slot.device, reason))
        return actions + self._hand_out(now)

    def _blame(self, job: Job, reason: str) -> list[Action]:
        job.failures.append(reason)
        if len(job.failures) < self._limits.attempts:
            self._backlog.put_back(job)
            return []
        why = _("it took {count} children down; {reason}").format(
            count=len(job.failures), reason=reason
        )
        self._backlog.quarantine(job, why)
        return [GivenUp(job, "quarantined", why)]


def _describe_exit(exitcode: int | None) -> str:
    if exitcode is None:
        return _("no exit code")
    return (
        _("signal {name}").format(name=-exitcode)
        if exitcode < 0
        else _("exit code {code}").format(code=exitcode)
    )
