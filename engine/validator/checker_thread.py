"""The thread that a checking process is fed by, and dies with; started anew where the process died.

checks = CheckerThread()
findings = checks.submit(claims).result()    # raises CheckerDied
"""

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from gettext import gettext as _
from multiprocessing.connection import wait
from typing import Any

from engine.pool.job_queue import new_ticket
from engine.pool.processes import ChildProcess
from engine.runtime.errors import EngineError
from engine.validator.checker_process import (
    FINDING_BYTES,
    Batch,
    Claim,
    Findings,
    checks_main,
    decode_findings,
    findings_of,
)
from engine.validator.market.actions import Finding


class CheckerDied(EngineError):
    """The process ended, or said what it may not say, before the checks were done."""


class CheckerThread:
    """One batch at a time. Every method is for any thread, and returns at once but for `close`."""

    def __init__(self, entry: Callable[..., None] = checks_main) -> None:
        """`entry`: what the process runs; another one only in tests of faults."""
        self._entry = entry
        self._process: ChildProcess[Findings] | None = None
        self._orders: queue.SimpleQueue[tuple[Batch, Future[list[Finding]]] | None]
        self._orders = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="checks", daemon=True)
        self._thread.start()

    def submit(self, claims: Sequence[Claim]) -> "Future[list[Finding]]":
        """Have these checked; the future may raise CheckerDied, or what pickle raises."""
        future: Future[list[Finding]] = Future()
        self._orders.put((Batch(new_ticket(), tuple(claims)), future))
        return future

    def kill(self) -> None:
        """End the process, whatever it does; the next batch gets another one."""
        if (process := self._process) is not None:
            process.kill()

    def close(self) -> None:
        """End process and thread."""
        self._orders.put(None)
        self.kill()
        self._thread.join()

    def _run(self) -> None:
        while (order := self._orders.get()) is not None:
            batch, future = order
            try:
                findings: Any = self._check(batch)
            except Exception as error:  # noqa: BLE001 - the future's, whatever it is
                findings = error
            with suppress(Exception):  # nobody waits any more
                if isinstance(findings, Exception):
                    future.set_exception(findings)
                else:
                    future.set_result(findings)
        self._end()

    def _check(self, batch: Batch) -> list[Finding]:
        if self._process is None:
            self._process = ChildProcess(self._entry, (), decode_findings, "cpc-checks")
        process = self._process
        process.tasks.put(batch)
        process.frames.owed[batch.ticket] = FINDING_BYTES * (1 + len(batch.claims))
        while True:
            for said in process.read(wait(process.sources)):
                if (findings := findings_of(batch, said)) is not None:
                    return findings
                process.kill()
            if process.exitcode is not None or process.frames.ended:
                reason = process.frames.error
                self._end()
                raise CheckerDied(reason or _("the process that checked it died"))

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.join(float("inf"))
        while not process.close():
            pass
