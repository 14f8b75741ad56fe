"""The policy for a flood of jobs: which answers are checked, and which wait for one that is.

Every block's task is checked in full, and every job unless the operator asks for less. With a share q,
an answer is checked with chance q, drawn by the parent when the answer is there, root and all. One that
is not checked is held: it is accepted when a later answer of its device was checked and found right,
and thrown away, to be computed again, when the device's child ends for whatever reason. A device starts
with every answer checked, and is back there after each end of a child.

A device that gets a share f of its answers wrong, where a check finds a wrong one with chance p, is
found within k answers with chance 1 - (1 - q f p)^k. Until then it gave (1 - q p) / (q p) wrong ones on
average, whatever f is; (1 - q) f / q of these are still held. docs/worker-trust.md has a table.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from engine.pool.job_queue import Job
from engine.pool.messages import Done

PROVING = 100
"""Answers of a device that are checked, all of them, before the share applies; twice as many after each
wrong one, up to 64 times.
"""
MOST_DOUBLINGS = 6
MOST_HELD = 256
HELD_SECONDS = 1.0
"""For so long one is held; then the next is checked, or the last, where the device is at a long job."""


@dataclass(frozen=True, slots=True)
class Held:
    """An answer that nobody has checked. `number`: of its device's answers, in their order."""

    job: Job
    answer: Done
    number: int
    since: float


@dataclass(slots=True)
class CheckShare:
    """One device's answers. `chance` gives a number of [0, 1) that the child cannot foretell."""

    share: float
    chance: Callable[[], float]
    unproven: int = PROVING
    _doublings: int = 0
    _number: int = 0
    _passed: int = 0
    _held: list[Held] = field(default_factory=list)
    _pending: dict[int, int] = field(default_factory=dict)

    @property
    def held(self) -> int:
        """How many answers wait for a later one."""
        return len(self._held)

    def holds(self, job: Job, answer: Done, now: float, *, quick: bool) -> bool:
        """Take an answer. True: it is held; else it is to be checked, and `passed` told.

        `quick`: whether the job takes so little time that its check counts.
        """
        self._number += 1
        full = len(self._held) >= MOST_HELD
        checked = not quick or self.unproven or full or self.is_late(now)
        if checked or self.chance() < self.share:
            self._pending[job.ticket] = self._number
            return False
        self._held.append(Held(job, answer, self._number, now))
        return True

    def is_late(self, now: float) -> bool:
        """Return whether one is held for so long that another has to be checked."""
        return bool(self._held) and now >= self._held[0].since + HELD_SECONDS

    def last(self, now: float, *, busy: bool) -> Held | None:
        """Where nothing is being checked, take out the last answer that is held, to be checked.

        `busy`: more answers will come, and one is taken out where they do not come soon.
        """
        if self._pending or not self._held or (busy and not self.is_late(now)):
            return None
        held = self._held.pop()
        self._pending[held.job.ticket] = held.number
        return held

    def passed(self, job: Job) -> list[Held]:
        """This answer was found right: take out what may be accepted with it."""
        number = self._pending.pop(job.ticket, 0)
        self.unproven = max(0, self.unproven - 1)
        self._passed = max(self._passed, number)
        upto = min([self._passed, *self._pending.values()])
        released = [held for held in self._held if held.number < upto]
        self._held = self._held[len(released) :]
        return released

    def lost(self, *, wrong: bool) -> None:
        """The child ended, and nothing that was held is believed. `wrong`: it gave a wrong result."""
        self._held.clear()
        self._pending.clear()
        if wrong:
            self._doublings = min(self._doublings + 1, MOST_DOUBLINGS)
        self.unproven = PROVING << self._doublings
