"""The supervisor's policy as a pure state machine: events and a clock in, actions out.

    supervisor = Supervisor(["cpu"], draw=draw_leaves)
    actions = supervisor.start(now=0.0)  # [Spawn("cpu", 1)]
    actions = supervisor.heard("cpu", 1, Ready("cpu", 0.8), now=1.0)

It starts no process and reads no clock: `children.py` does what the actions say, and the tests
drive this file without either. Each device has one child at a time, known by its generation, so
that a late word from a killed child is never taken for its successor's.

    STARTING --Ready--> IDLE --Work--> BUSY --Computed--> OPENING --Opened--> CHECKING --> IDLE
    any of these --exit, hang, silence, wrong result--> BACKOFF --> STARTING
    too many of those --> OUT, until the cool-down ends --> STARTING

The limits follow OTP's supervisor: at most so many restarts within a period.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from engine.messages import Beat, Computed, Failed, FromChild, Open, Opened, Ready, ToChild, Work
from kernels.task import Task


@dataclass(frozen=True, slots=True)
class Limits:
    """Patience and restart intensity. Times in seconds."""

    start: float = 180.0
    silence_starting: float = 90.0
    silence: float = 10.0
    work_margin: float = 10.0
    work_factor: float = 20.0
    slowest_rate: float = 2e7
    """Multiply-adds a second that any device reaches: the deadline before a speed is known."""
    backoff_first: float = 0.0
    backoff_most: float = 60.0
    restarts: int = 5
    period: float = 300.0
    cooldown: float = 600.0
    sleep: float = 2.0
    """A longer pause between two ticks means that this process itself stood still."""
    attempts: int = 3
    """A job that took this many children down is given up."""


@dataclass(slots=True)
class Job:
    """One task to be computed, by whichever device comes first."""

    ticket: int
    task: Task
    openings: int
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Spawn:
    """Start a child for the device."""

    device: str
    generation: int


@dataclass(frozen=True, slots=True)
class Kill:
    """End that child now, whatever it does."""

    device: str
    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class Ended:
    """That child ended by itself, or somebody else ended it; there is nothing to be done."""

    device: str
    generation: int
    reason: str


@dataclass(frozen=True, slots=True)
class Tell:
    """Put this on the child's queue."""

    device: str
    generation: int
    message: ToChild


@dataclass(frozen=True, slots=True)
class Check:
    """Check the opened leaves against the seed, then call `checked`."""

    device: str
    generation: int
    job: Job
    computed: Computed
    leaves: tuple[int, ...]
    siblings: bytes


@dataclass(frozen=True, slots=True)
class Accepted:
    """The job is done and its result was found right."""

    job: Job
    computed: Computed
    device: str


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The job is not done and will not be; `reason` is one sentence."""

    job: Job
    reason: str


@dataclass(frozen=True, slots=True)
class OutOfService:
    """The device gets no more work until its cool-down ends."""

    device: str
    reason: str


Action = Spawn | Kill | Ended | Tell | Check | Accepted | GivenUp | OutOfService


class State(Enum):
    """What a device's child is doing."""

    STARTING = auto()
    IDLE = auto()
    BUSY = auto()
    OPENING = auto()
    CHECKING = auto()
    BACKOFF = auto()
    OUT = auto()


ALIVE = frozenset({State.STARTING, State.IDLE, State.BUSY, State.OPENING, State.CHECKING})


@dataclass(slots=True)
class _Slot:
    device: str
    state: State = State.BACKOFF
    paused: bool = False
    generation: int = 0
    deadline: float = 0.0
    last_heard: float = 0.0
    job: Job | None = None
    computed: Computed | None = None
    leaves: tuple[int, ...] = ()
    seconds_per_madd: float | None = None
    falls: deque[float] = field(default_factory=deque)
    falls_in_a_row: int = 0
    wrong_results: deque[float] = field(default_factory=deque)
    reason: str = ""


class Supervisor:
    """Policy over a set of devices, one child each. Not thread-safe; call it from one thread."""

    def __init__(
        self,
        devices: list[str],
        *,
        draw: Callable[[Job, Computed], tuple[int, ...]],
        limits: Limits | None = None,
    ) -> None:
        """`draw` picks the leaves to open of a computed job, unknown to the child before."""
        self._limits = limits or Limits()
        self._draw = draw
        self._slots = {device: _Slot(device) for device in devices}
        self._pending: deque[Job] = deque()
        self._last_tick = 0.0

    @property
    def all_out(self) -> bool:
        """Whether no device is in service."""
        return all(slot.state is State.OUT for slot in self._slots.values())

    @property
    def idle(self) -> bool:
        """Whether there is neither a job that waits nor one at a device."""
        return not self._pending and all(slot.job is None for slot in self._slots.values())

    @property
    def all_paused(self) -> bool:
        """Whether every device that is in service is paused."""
        in_service = [slot for slot in self._slots.values() if slot.state is not State.OUT]
        return bool(in_service) and all(slot.paused for slot in in_service)

    def states(self) -> dict[str, tuple[State, str]]:
        """Each device's state, and the reason of its last fall ("" for none)."""
        return {name: (slot.state, slot.reason) for name, slot in self._slots.items()}

    def start(self, now: float) -> list[Action]:
        """Start every child."""
        self._last_tick = now
        return [action for slot in self._slots.values() for action in self._spawn(slot, now)]

    def submit(self, job: Job, now: float) -> list[Action]:
        """Take a job; it is done in order of submission."""
        self._pending.append(job)
        return self._hand_out(now)

    def drop_pending(self) -> list[Job]:
        """Take back what no child has begun."""
        dropped = list(self._pending)
        self._pending.clear()
        return dropped

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

    def heard(self, device: str, generation: int, message: FromChild, now: float) -> list[Action]:
        """A child said something."""
        slot = self._slots[device]
        if generation != slot.generation or slot.state not in ALIVE:
            return []
        slot.last_heard = now
        match message:
            case Beat():
                return []
            case Ready() if slot.state is State.STARTING:
                slot.state = State.IDLE
                return self._hand_out(now)
            case Computed() if slot.state is State.BUSY and self._is_for(slot, message.ticket):
                return self._on_computed(slot, message, now)
            case Opened() if slot.state is State.OPENING and self._is_for(slot, message.ticket):
                return self._on_opened(slot, message)
            case Failed():
                return self._on_failed(slot, message, now)
            case _:
                return self._fall(slot, "said something out of turn", now, kill=True)

    def exited(
        self, device: str, generation: int, exitcode: int | None, now: float
    ) -> list[Action]:
        """A child's process ended."""
        slot = self._slots[device]
        if generation != slot.generation or slot.state not in ALIVE:
            return []
        return self._fall(slot, f"its process ended ({_describe_exit(exitcode)})", now, kill=False)

    def checked(self, check: Check, error: str | None, now: float) -> list[Action]:
        """The opened leaves were checked; `error` is None where they are right."""
        slot = self._slots[check.device]
        if check.generation != slot.generation or slot.state is not State.CHECKING:
            return []
        if error is not None:
            slot.wrong_results.append(now)
            return self._fall(slot, f"computed a wrong result: {error}", now, kill=True)
        slot.falls_in_a_row = 0
        slot.seconds_per_madd = check.computed.seconds / check.job.task.multiply_adds
        self._rest(slot)
        return [Accepted(check.job, check.computed, slot.device), *self._hand_out(now)]

    def tick(self, now: float) -> list[Action]:
        """Look at the clock: deadlines, silence, ends of backoff and cool-down."""
        pause = now - self._last_tick
        self._last_tick = now
        if pause > self._limits.sleep:
            # This process slept (SIGSTOP, a suspended laptop): its children were not silent.
            for slot in self._slots.values():
                slot.last_heard += pause
                slot.deadline += pause
        actions: list[Action] = []
        for slot in self._slots.values():
            actions += self._tick_slot(slot, now)
        return actions

    def _tick_slot(self, slot: _Slot, now: float) -> list[Action]:
        limits = self._limits
        match slot.state:
            case State.BACKOFF | State.OUT if now >= slot.deadline:
                return self._spawn(slot, now)
            case State.STARTING if now >= slot.deadline:
                return self._fall(slot, f"not ready after {limits.start:.0f} s", now, kill=True)
            case State.STARTING if now - slot.last_heard > limits.silence_starting:
                return self._fall(slot, "silent while it started", now, kill=True)
            case State.BUSY | State.OPENING if now >= slot.deadline:
                return self._fall(slot, "hung: its deadline passed", now, kill=True)
            case State.IDLE | State.BUSY | State.OPENING | State.CHECKING if (
                now - slot.last_heard > limits.silence
            ):
                return self._fall(slot, f"silent for {limits.silence:.0f} s", now, kill=True)
            case _:
                return []

    def _spawn(self, slot: _Slot, now: float) -> list[Action]:
        slot.generation += 1
        slot.state = State.STARTING
        slot.deadline = now + self._limits.start
        slot.last_heard = now
        return [Spawn(slot.device, slot.generation)]

    def _hand_out(self, now: float) -> list[Action]:
        actions: list[Action] = []
        for slot in self._slots.values():
            if slot.state is State.IDLE and not slot.paused and self._pending:
                job = self._pending.popleft()
                slot.job = job
                slot.state = State.BUSY
                slot.deadline = now + self._patience(slot, job)
                work = Work(job.ticket, job.task, job.openings)
                actions.append(Tell(slot.device, slot.generation, work))
        return actions

    def _patience(self, slot: _Slot, job: Job) -> float:
        madds = job.task.multiply_adds
        if slot.seconds_per_madd is None:
            return self._limits.start + madds / self._limits.slowest_rate
        return self._limits.work_margin + self._limits.work_factor * slot.seconds_per_madd * madds

    def _is_for(self, slot: _Slot, ticket: int) -> bool:
        return slot.job is not None and slot.job.ticket == ticket

    def _on_computed(self, slot: _Slot, computed: Computed, now: float) -> list[Action]:
        assert slot.job is not None
        slot.computed = computed
        slot.leaves = self._draw(slot.job, computed)
        slot.state = State.OPENING
        slot.deadline = now + self._limits.work_margin
        return [Tell(slot.device, slot.generation, Open(computed.ticket, slot.leaves))]

    def _on_opened(self, slot: _Slot, opened: Opened) -> list[Action]:
        assert slot.job is not None
        assert slot.computed is not None
        slot.state = State.CHECKING
        return [
            Check(
                slot.device,
                slot.generation,
                slot.job,
                slot.computed,
                slot.leaves,
                opened.siblings,
            )
        ]

    def _on_failed(self, slot: _Slot, failed: Failed, now: float) -> list[Action]:
        said = f"{failed.kind}: {failed.detail}"
        if failed.ticket is None:
            permanent = failed.kind == "DeviceUnavailable"
            return self._fall(slot, said, now, kill=True, out=permanent)
        if slot.job is None or slot.job.ticket != failed.ticket:
            return []
        if failed.kind in ("TaskTooLarge", "InvalidTask"):  # another try ends the same way
            job = slot.job
            self._rest(slot)
            return [GivenUp(job, said), *self._hand_out(now)]
        return self._fall(slot, said, now, kill=True)

    def _rest(self, slot: _Slot) -> None:
        slot.state = State.IDLE
        slot.job = None
        slot.computed = None

    def _fall(
        self, slot: _Slot, reason: str, now: float, *, kill: bool, out: bool = False
    ) -> list[Action]:
        """The child is gone or must go; its job goes back to the front of the line."""
        gone = Kill if kill else Ended
        actions: list[Action] = [gone(slot.device, slot.generation, reason)]
        slot.reason = reason
        if (job := slot.job) is not None:
            job.failures.append(f"{slot.device}: {reason}")
            if len(job.failures) >= self._limits.attempts:
                actions.append(GivenUp(job, f"it took {len(job.failures)} children down; {reason}"))
            else:
                self._pending.appendleft(job)
        slot.job = None
        slot.computed = None
        actions += self._after_fall(slot, now, out=out)
        return actions + self._hand_out(now)

    def _after_fall(self, slot: _Slot, now: float, *, out: bool) -> list[Action]:
        limits = self._limits
        _forget_before(slot.falls, now - limits.period)
        _forget_before(slot.wrong_results, now - limits.period)
        slot.falls.append(now)
        slot.falls_in_a_row += 1
        if out or len(slot.falls) > limits.restarts or len(slot.wrong_results) > 1:
            slot.state = State.OUT
            slot.deadline = now + limits.cooldown
            slot.falls.clear()
            slot.wrong_results.clear()
            return [OutOfService(slot.device, slot.reason)]
        slot.state = State.BACKOFF
        slot.deadline = now + self._backoff(slot.falls_in_a_row)
        return [] if slot.deadline > now else self._spawn(slot, now)

    def _backoff(self, falls_in_a_row: int) -> float:
        if falls_in_a_row <= 1:
            return self._limits.backoff_first
        return float(min(self._limits.backoff_most, 2.0 ** (falls_in_a_row - 2)))


def _forget_before(times: deque[float], moment: float) -> None:
    while times and times[0] < moment:
        times.popleft()


def _describe_exit(exitcode: int | None) -> str:
    if exitcode is None:
        return "no exit code"
    return f"signal {-exitcode}" if exitcode < 0 else f"exit code {exitcode}"
