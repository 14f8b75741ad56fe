"""How a job ends: accepted, refused or dropped; what that means for task, reward and worker.

Each ending is one transaction, and carried out once: an end that has come before gives no action.
"""

from collections.abc import Callable

from engine.monitor.events.validator import MarketJobAccepted, MarketJobDropped, MarketJobRefused
from engine.poc_protocol.frames import Verdict, one_line
from engine.validator.market.actions import Action, Closed, Finding, HangUp, Send, Tell
from engine.validator.market.connections import Links
from engine.validator.store.database import Books
from engine.validator.store.jobs import JobRow


class Endings:
    """See the module."""

    def __init__(self, books: Books, links: Links, forget: Callable[[str], None]) -> None:
        """`forget` is told of each job that has ended."""
        self._books = books
        self._links = links
        self._forget = forget

    def accept(self, jobs: list[JobRow], finding: Finding | None = None) -> list[Action]:
        """The task is completed, and its reward divided among those whose result it is."""
        books, first = self._books, jobs[0]
        with books.database.write() as db:
            task = books.tasks.existing(first.task_id)
            for job in jobs:
                books.jobs.end(db, job.job_id, "accepted", "")
            if finding is not None and finding.data is not None:
                books.jobs.set_data(db, first.job_id, *finding.data)
            if books.tasks.close(db, task.task_id, "completed", job_id=first.job_id, reason=""):
                for job, units in zip(jobs, _shares(task.reward, len(jobs)), strict=True):
                    books.rewards.book(
                        db, job.job_id, job.worker_address or "", task.customer, units
                    )
            for job in jobs:
                if not job.guest and job.worker_address and job.committed_at is not None:
                    seconds = max(1e-3, job.committed_at - job.sent_at)
                    books.workers.credit(job.worker_address, rate=task.facts.cost / seconds)
        actions: list[Action] = [Closed(first.task_id)]
        for job in jobs:
            actions += self.say(job, accepted=True, reason="")
            self._leave(job)
            actions.append(Tell(MarketJobAccepted(*named(job))))
        return actions

    def refuse(self, job: JobRow, reason: str) -> list[Action]:
        """The result is wrong: its worker is out, and what is withheld of its rewards goes back."""
        books = self._books
        with books.database.write() as db:
            if not books.jobs.end(db, job.job_id, "refused", reason):
                return []
            books.tasks.reopen(db, job.task_id, failed_attempt=True)
            forfeited = 0
            if not job.guest and job.worker_address:
                books.workers.put_out(job.worker_address, reason)
                forfeited = books.rewards.forfeit(db, job.worker_address)
        told = MarketJobRefused(*named(job), one_line(reason), forfeited)
        actions: list[Action] = [Tell(told)]
        actions += self.say(job, accepted=False, reason=reason)
        link = self._links.of_job(job.job_id)
        self._leave(job)
        for other in self._links:
            same = other is link or (
                other.address is not None and other.address == job.worker_address
            )
            if same and (not job.guest or other is link):
                actions.append(HangUp(other.id, "a result was wrong"))
        return actions

    def drop(self, job: JobRow, reason: str, *, blame: float, counts: bool) -> list[Action]:
        """No verdict: the task waits for a worker again."""
        books = self._books
        with books.database.write() as db:
            if not books.jobs.end(db, job.job_id, "dropped", reason):
                return []
            books.tasks.reopen(db, job.task_id, failed_attempt=counts)
            if blame and job.worker_address and not job.guest:
                books.workers.blame(job.worker_address, blame)
        self._leave(job)
        return [Tell(MarketJobDropped(*named(job), one_line(reason)))]

    def say(self, job: JobRow, *, accepted: bool, reason: str) -> list[Action]:
        """The verdict, to a worker that knows what one is."""
        link = self._links.of_job(job.job_id)
        if link is None or link.guest:
            return []
        verdict = Verdict(job_id=job.job_id, accepted=accepted, reason=one_line(reason, 1000))
        return [Send(link.id, verdict)]

    def _leave(self, job: JobRow) -> None:
        self._forget(job.job_id)
        self._links.take_job(job.job_id)


def _shares(reward: int, count: int) -> list[int]:
    """The reward in equal parts; the first gets what does not divide."""
    part, rest = divmod(reward, count)
    return [part + rest, *[part] * (count - 1)]


def named(job: JobRow) -> tuple[str, str, str]:
    """Return task, job and worker, as events name them."""
    return job.task_id, job.job_id, job.worker_address or "a guest"
