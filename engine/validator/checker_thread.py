"""The thread that has claims checked in a process, many to an order, and which that process dies with.

    finding = await checks.check(claim)

Claims wait while the process is at others, or is being replaced. Where it was lost over several, each
is tried by itself; where over one, nothing is known of that. Its life: `engine/pool/checkers.py`.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from gettext import gettext as _
from itertools import chain

from engine.pool.checkers import Checkers
from engine.pool.executor import Inbox, readable
from engine.pool.job_queue import new_ticket
from engine.validator.checker_process import (
    FINDING_BYTES,
    Batch,
    Claim,
    Findings,
    checks_main,
    findings_of,
)
from engine.validator.market.actions import Finding

PATIENCE_SECONDS = 60.0
MOST_TOGETHER = 64
"""Claims that go to a process together."""
COST_TOGETHER = 2**27
"""Multiply-adds of the jobs that are checked together: beyond it, the first would wait for the last."""
_TICK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Waiting:
    claim: Claim
    future: asyncio.Future[Finding]
    alone: bool = False


class CheckerThread:
    """One order at a time. `close` waits for the process to end."""

    def __init__(
        self,
        entry: Callable[..., None] = checks_main,
        *,
        patience: float = PATIENCE_SECONDS,
        waits: float = PATIENCE_SECONDS,
    ) -> None:
        """`entry`: what the process runs; another one only in tests of faults.

        `patience`: seconds for the smallest order; `waits`: until there is a process to take one.
        """
        self._checkers = Checkers(entry, Findings, 1, patience)
        self._waits, self._give_up_at = waits, time.monotonic() + waits
        self._inbox: Inbox[list[_Waiting]] = Inbox()
        self._waiting: deque[_Waiting] = deque()
        self._found: list[tuple[asyncio.Future[Finding], Finding]] = []
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="checks", daemon=True)
        self._thread.start()

    def warm(self) -> None:
        """Start the process, which may have to compile its operations. From any thread."""
        self._inbox.put([])

    def check(self, claim: Claim) -> asyncio.Future[Finding]:
        """Have it checked, for the running event loop; `right` is None where that fails."""
        future: asyncio.Future[Finding] = asyncio.get_running_loop().create_future()
        self._inbox.put([_Waiting(claim, future)])
        return future

    def close(self) -> None:
        """End process and thread; what still waits is left."""
        self._closing = True
        self._inbox.put([])
        self._thread.join()
        self._inbox.close()

    def _run(self) -> None:
        inbox = self._inbox.fileno()
        while not self._closing:
            ready = readable([inbox, *self._checkers.sources()], _TICK_SECONDS)
            now = time.monotonic()
            self._checkers.read(ready, now)
            if inbox in ready:
                self._waiting += chain.from_iterable(self._inbox.take())
            if inbox in ready or self._waiting:
                self._checkers.want(now)
            while self._waiting and self._checkers.free:
                self._send(self._next(), now)
            self._lose_patience(now)
            if self._found:
                with suppress(RuntimeError):  # the loop has ended: nobody waits any more
                    self._found[0][0].get_loop().call_soon_threadsafe(_settle, self._found)
                self._found = []
        self._checkers.stop()

    def _lose_patience(self, now: float) -> None:
        """Give up what waits, where there has been no process for it for too long."""
        del self._checkers.lost[:-1]
        if not self._waiting or self._checkers.ready:
            self._give_up_at = now + self._waits
        elif now >= self._give_up_at:
            why = Finding(None, "".join(self._checkers.lost) or _("it ended, or hung"))
            self._found += [(one.future, why) for one in self._waiting]
            self._waiting.clear()

    def _next(self) -> list[_Waiting]:
        batch = [self._waiting.popleft()]
        cost = batch[0].claim.job.cost
        while (
            self._waiting
            and not (batch[0].alone or self._waiting[0].alone)
            and len(batch) < MOST_TOGETHER
            and (cost := cost + self._waiting[0].claim.job.cost) <= COST_TOGETHER
        ):
            batch.append(self._waiting.popleft())
        return batch

    def _send(self, batch: list[_Waiting], now: float) -> None:
        order = Batch(new_ticket(), tuple(one.claim for one in batch))

        def ended(said: Findings | str) -> bool:
            findings: list[Finding] | None = [Finding(None, str(said))]
            if isinstance(said, Findings):
                findings = findings_of(order, said)
            elif len(batch) > 1:
                self._waiting.extendleft(replace(one, alone=True) for one in reversed(batch))
                return True
            futures = [one.future for one in batch]
            self._found += zip(futures, findings or [], strict=False)
            return findings is not None

        cost = sum(claim.job.cost for claim in order.claims)
        try:
            self._checkers.submit(order, cost, FINDING_BYTES * (1 + len(batch)), ended, now)
        except Exception as error:  # noqa: BLE001 - of a plug-in's job, which pickle does not take
            ended(f"{type(error).__name__}: {error}")


def _settle(found: list[tuple[asyncio.Future[Finding], Finding]]) -> None:
    for future, finding in found:
        if not future.cancelled():
            future.set_result(finding)
