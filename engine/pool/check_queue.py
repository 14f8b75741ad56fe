"""The checks that the pool's thread has yet to do: those of urgent work first, then in their order.

    checks.foresee(foresee)     # of a task whose leaves are known before the child has opened them
    checks.put(check)
    for check, wrong in checks.work(ready, now): ...    # None: the answer is right

While the way is a block's (`engine/runtime/right_of_way.py`), those of other work wait. Leaves are
computed through `leaf_digests.py`; where no process is ready, or they are few, here: those of small
tasks that wait together, as numpy takes most of its time for a call and little for the numbers.
"""

import time
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from engine.pool.actions import Check, Foresee
from engine.pool.checked_leaves import Ahead, ToCheck, look_ahead, parse, why_wrong
from engine.pool.job_queue import URGENT, Job
from engine.pool.leaf_digests import LeafCheckers
from engine.runtime.right_of_way import RightOfWay
from engine.runtime.trace import span
from kernels.check_together import MOST_TOGETHER, digests_together, may_go_together
from kernels.errors import KernelError
from kernels.task import Task

WORK_SECONDS = 0.02
"""So long, and no longer, the thread is at checks before it looks what else has come."""


@dataclass(slots=True, eq=False)
class Asked:
    """What a checker was asked for. The digests may come before the check that they are for."""

    leaves: list[int]
    ahead: Ahead | None = None
    found: ToCheck | None = None
    answered: bool = False
    digests: Mapping[int, bytes] | None = None
    """None, too, where the answer is that they have to be computed here."""


class CheckQueue:
    """For the pool's thread."""

    def __init__(self, checkers: LeafCheckers, way: RightOfWay) -> None:
        self._checkers = checkers
        self._ahead: dict[int, Asked] = {}  # by the job's ticket
        self._answered: list[Asked] = []
        self._way = way
        self._urgent: deque[Check] = deque()
        self._others: deque[Check] = deque()

    def foresee(self, ahead: Foresee) -> None:
        """Have the leaves' digests computed while the child opens them, if it is worth it."""
        with suppress(KernelError):  # which the check meets again
            seen = look_ahead(ahead)
            asked = Asked(seen.leaves, seen)
            if self._digest(asked, seen.task):
                self._ahead[ahead.job.ticket] = asked

    def forget(self, job: Job) -> None:
        """The job has ended, or was given up."""
        self._ahead.pop(job.ticket, None)

    def put(self, check: Check) -> None:
        """Behind all of its kind."""
        (self._urgent if check.job.priority >= URGENT else self._others).append(check)

    def pause(self, usual: float) -> float:
        """How long the thread may wait for something else: `usual`, where no check waits."""
        if self._urgent:
            return 0.0
        return min(usual, self._way.left) if self._others else usual

    def work(self, ready: Sequence[object], now: float) -> Iterator[tuple[Check, str | None]]:
        """Give what was checked, and one sentence where it is wrong: for a few milliseconds."""
        self._checkers.read(ready, now)
        answered, self._answered = self._answered, []
        for asked in answered:
            if asked.found is not None:
                yield asked.found.check, _compare(asked.found, asked.digests)
        until = time.monotonic() + WORK_SECONDS
        small: list[ToCheck] = []
        while check := self._next():
            asked_ahead = self._ahead.get(check.job.ticket)
            try:
                found = parse(check, asked_ahead.ahead if asked_ahead else None)
            except KernelError as error:
                yield check, str(error)
                continue
            if found is None:
                yield check, why_wrong(check)
            elif self._may_wait(check) and may_go_together(found.task):
                small.append(found)
            elif (asked := self._ask(found)).answered:
                yield check, _compare(found, asked.digests)
            if len(small) == MOST_TOGETHER or time.monotonic() >= until:
                break
        yield from _compare_together(small)

    def _may_wait(self, check: Check) -> bool:
        """Whether it may be done a few checks later, with these, and nobody computes for it yet."""
        return check.job.priority < URGENT and check.job.ticket not in self._ahead

    def _ask(self, found: ToCheck) -> Asked:
        """What a checker was asked for already, or is now."""
        asked = self._ahead.pop(found.check.job.ticket, None)
        if asked is None or asked.leaves != found.leaves:
            asked = Asked(found.leaves)
            asked.answered = not self._digest(asked, found.task)
        asked.found = found
        return asked

    def _digest(self, asked: Asked, task: Task) -> bool:
        def found(digests: Mapping[int, bytes] | None) -> None:
            asked.answered, asked.digests = True, digests
            self._answered.append(asked)

        return self._checkers.digest(task, asked.leaves, found, time.monotonic())

    def _next(self) -> Check | None:
        if self._urgent:
            return self._urgent.popleft()
        return self._others.popleft() if self._others and not self._way.left else None


def _compare_together(small: Sequence[ToCheck]) -> Iterator[tuple[Check, str | None]]:
    """Compare small tasks, those of one form together."""
    alike: defaultdict[tuple[int, int], list[ToCheck]] = defaultdict(list)
    for found in small:
        alike[found.task.n, found.task.iterations].append(found)
    for together in alike.values():
        digests: Sequence[Mapping[int, bytes] | None] = [None] * len(together)
        if len(together) > 1:
            with span("digests", tickets=len(together)), suppress(MemoryError):
                digests = digests_together([(one.task, one.leaves) for one in together])
        for found, its in zip(together, digests, strict=True):
            yield found.check, _compare(found, its)


def _compare(found: ToCheck, digests: Mapping[int, bytes] | None) -> str | None:
    with span("compare" if digests else "check", ticket=found.check.job.ticket):
        wrong = found.why_wrong(digests)
    if wrong is not None and digests is not None:
        wrong = found.why_wrong()  # whoever computed them may be what is wrong
    return wrong
