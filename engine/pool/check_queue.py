"""The checks that the pool's thread has yet to do: those of urgent work first, then in their order.

    checks.put(check)
    for check, wrong in checks.work(ready, now): ...    # None: the answer is right

While the way is a block's (`engine/runtime/right_of_way.py`), those of other work wait. Leaves are
computed by `checkers.py`; where none is ready, or there are few, here.
"""

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from engine.pool.actions import Check
from engine.pool.checked_leaves import ToCheck, parse, why_wrong
from engine.pool.checkers import Checkers
from engine.pool.job_queue import URGENT
from engine.runtime.right_of_way import RightOfWay
from engine.runtime.trace import span
from kernels.errors import KernelError

WORK_SECONDS = 0.02
"""So long, and no longer, the thread is at checks before it looks what else has come."""


class CheckQueue:
    """For the pool's thread."""

    def __init__(self, checkers: Checkers[ToCheck], way: RightOfWay) -> None:
        self._checkers = checkers
        self._way = way
        self._urgent: deque[Check] = deque()
        self._others: deque[Check] = deque()

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
        for computed, digests in self._checkers.read(ready, now):
            yield computed.check, _compare(computed, digests)
        until = time.monotonic() + WORK_SECONDS
        while check := self._next():
            try:
                found = parse(check)
            except KernelError as error:
                yield check, str(error)
                continue
            if found is None:
                yield check, why_wrong(check)
            elif not self._checkers.submit(found, found.task, found.leaves, time.monotonic()):
                yield check, _compare(found, None)
            if time.monotonic() >= until:
                return

    def _next(self) -> Check | None:
        if self._urgent:
            return self._urgent.popleft()
        return self._others.popleft() if self._others and not self._way.left else None


def _compare(found: ToCheck, digests: Mapping[int, bytes] | None) -> str | None:
    with span("compare" if digests else "check", ticket=found.check.job.ticket):
        wrong = found.why_wrong(digests)
    if wrong is not None and digests is not None:
        wrong = found.why_wrong()  # the checker may be what is wrong
    return wrong
