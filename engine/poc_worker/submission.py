"""Sends results of validators' jobs to the chain, too: through the one sender that the account has.

Each costs a fee, at a validator's word. So there are only so many an hour, and where a validator says
hello and verdicts, only what it accepted is sent. No result is sent for a task of a block: those ids
can be derived by anyone, and a validator could have a wrong result for one signed.
"""

import time
import uuid
from collections import deque
from collections.abc import Callable
from gettext import gettext as _

from engine.monitor.events.poc import JobNotSubmitted
from engine.monitor.reporter import Reporter
from engine.poc_worker.job_ledger import Known
from engine.txmgr.ledger import Ledger

HOUR_SECONDS = 3600.0
DERIVED = 5
"""The version of a UUID that is derived from a name, as those of the blocks' tasks are."""


class Submission:
    """`WorkerContext.answered` of a worker that submits. From any thread."""

    def __init__(
        self, ledger: Ledger, poke: Callable[[], None], report: Reporter, *, most_an_hour: int
    ) -> None:
        """`poke` wakes the sender."""
        self._ledger = ledger
        self._poke = poke
        self._report = report
        self._times: deque[float] = deque(maxlen=most_an_hour)

    def __call__(self, known: Known) -> None:
        """Write the result down for the sender, once. Raises LedgerError."""
        offer, result = known.offer, known.result
        assert result is not None
        if self._ledger.has_result(offer.task_id):
            return
        reason = self._why_not(offer.task_id)
        if reason is not None:
            self._report(JobNotSubmitted(offer.url, offer.job_id, reason))
            return
        self._ledger.record_job(
            offer.task_id, result.result_hash, result.proof or "", result.device, result.seconds
        )
        self._poke()

    def _why_not(self, task_id: str) -> str | None:
        try:
            task = uuid.UUID(task_id)
        except ValueError:
            task = None
        if task is None or str(task) != task_id:
            return _("its task id is not a UUID, which the chain requires")
        if task.version == DERIVED:
            return _("its task id may be that of a block's task")
        now = time.monotonic()
        if len(self._times) == self._times.maxlen and now - self._times[0] < HOUR_SECONDS:
            return _("as many as --submit-most allows were sent within the hour")
        self._times.append(now)
        return None
