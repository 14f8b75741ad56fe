"""How a job ends: accepted, refused or dropped, and what follows for task, reward and worker.

Each end is one transaction, and happens once: ending a job again gives no action.
"""

from collections.abc import Callable
from dataclasses import replace

from msgspec import structs

from engine.monitor.events.validator import MarketJobAccepted, MarketJobDropped, MarketJobRefused
from engine.poc_protocol.frames import Verdict, one_line
from engine.validator.market.actions import Action, Finding, HangUp, Passed, Send
from engine.validator.market.connections import Connections
from engine.validator.market.receipts import Evidence, ReceiptMaker
from engine.validator.store.database import Store
from engine.validator.store.jobs import JobRow
from engine.validator.store.tasks import TaskRow


class Settlement:
    """See the module."""

    def __init__(
        self,
        store: Store,
        connections: Connections,
        forget: Callable[[str], None],
        receipts: ReceiptMaker | None = None,
    ) -> None:
        """`forget` is called with each job that has ended. `receipts`: None where none are signed."""
        self._store = store
        self._connections = connections
        self._forget = forget
        self._receipts = receipts
        self._evidence: dict[str, Evidence] = {}

    def note(self, job_id: str, finding: Finding) -> None:
        """Take note of a check that a job passed, for its receipt."""
        if finding.right and self._receipts is not None:
            self._evidence.setdefault(job_id, Evidence()).add(finding)

    def accept(self, jobs: list[JobRow], finding: Finding | None = None) -> list[Action]:
        """Complete the task, and divide its reward among the workers with this result."""
        store, first = self._store, jobs[0]
        with store.database.write() as db:
            task = store.tasks.existing(first.task_id)
            for job in jobs:
                store.jobs.end(db, job.job_id, "accepted", "")
            if finding is not None and finding.data is not None:
                store.jobs.set_data(db, first.job_id, *finding.data)
            closed_at = store.tasks.close(
                db, task.task_id, "completed", job_id=first.job_id, reason=""
            )
            if closed_at is not None:
                shares = _shares(task.reward, len(jobs))
                for job, units in zip(jobs, shares, strict=True):
                    store.rewards.book(job.job_id, job.worker_address or "", task.customer, units)
                self._write_receipt(
                    structs.replace(task, closed_at=closed_at), jobs, shares, finding
                )
            for job in jobs:
                if not job.guest and job.worker_address and job.committed_at is not None:
                    pace = self._pace(job, task.requirements.cost)
                    store.workers.credit(job.worker_address, pace=pace)
        actions: list[Action] = []
        for job in jobs:
            actions += self.send_verdict(job, accepted=True, reason="")
            self._forget_job(job)
            actions.append(MarketJobAccepted(*names_of(job)))
        return actions

    def _write_receipt(
        self, task: TaskRow, jobs: list[JobRow], shares: list[int], finding: Finding | None
    ) -> None:
        """Write the receipt of a completed task, within its transaction."""
        if self._receipts is None:
            return
        evidence = self._evidence.get(jobs[0].job_id, Evidence())
        if finding is not None:  # of a full computation, which may have been of the other's job
            evidence.add(replace(finding, passed=Passed("whole")))
        found = jobs
        if finding is not None and finding.data is not None:  # which the job has now
            found = [self._store.jobs.find(job.job_id) or job for job in jobs]
        receipt = self._receipts.make(task, found, shares, evidence)
        self._store.receipts.keep(task.task_id, receipt)

    def _pace(self, job: JobRow, cost: int) -> float:
        """Return its worker's seconds a multiply-add; of this job alone where it is gone."""
        assert job.committed_at is not None
        connection = self._connections.of_job(job.job_id)
        pace = None if connection is None else connection.pace
        return max(0.0, job.committed_at - job.sent_at) / cost if pace is None else pace

    def refuse(self, job: JobRow, reason: str) -> list[Action]:
        """Refuse a wrong result: its worker is banned, and its withheld rewards go back."""
        store = self._store
        with store.database.write() as db:
            if not store.jobs.end(db, job.job_id, "refused", reason):
                return []
            store.tasks.reopen(db, job.task_id, failed_attempt=True)
            forfeited = 0
            if not job.guest and job.worker_address:
                store.workers.ban(job.worker_address, reason)
                forfeited = store.rewards.forfeit(db, job.worker_address)
        actions: list[Action] = [MarketJobRefused(*names_of(job), one_line(reason), forfeited)]
        actions += self.send_verdict(job, accepted=False, reason=reason)
        connection = self._connections.of_job(job.job_id)
        self._forget_job(job)
        for other in self._connections:
            same = other is connection or (
                other.address is not None and other.address == job.worker_address
            )
            if same and (not job.guest or other is connection):
                actions.append(HangUp(other.id, "a result was wrong"))
        return actions

    def drop(self, job: JobRow, reason: str, *, blame: float, counts: bool) -> list[Action]:
        """End the job without a verdict: the task waits for a worker again."""
        store = self._store
        with store.database.write() as db:
            if not store.jobs.end(db, job.job_id, "dropped", reason):
                return []
            store.tasks.reopen(db, job.task_id, failed_attempt=counts)
            if blame and job.worker_address and not job.guest:
                store.workers.blame(job.worker_address, blame)
        self._forget_job(job)
        return [MarketJobDropped(*names_of(job), one_line(reason))]

    def send_verdict(self, job: JobRow, *, accepted: bool, reason: str) -> list[Action]:
        """Send the verdict, to a worker that knows what one is."""
        connection = self._connections.of_job(job.job_id)
        if connection is None or connection.guest:
            return []
        verdict = Verdict(job_id=job.job_id, accepted=accepted, reason=one_line(reason, 1000))
        return [Send(connection.id, verdict)]

    def _forget_job(self, job: JobRow) -> None:
        self._forget(job.job_id)
        self._evidence.pop(job.job_id, None)
        self._connections.take_job(job.job_id)


def _shares(reward: int, count: int) -> list[int]:
    """Divide the reward equally; the first gets the remainder."""
    part, rest = divmod(reward, count)
    return [part + rest, *[part] * (count - 1)]


def names_of(job: JobRow) -> tuple[str, str, str]:
    """Return task, job and worker, as events name them."""
    return job.task_id, job.job_id, job.worker_address or "a guest"
