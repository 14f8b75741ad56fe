"""Which task goes to which worker, when, and what is sent: `matching.py` over database and links."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.poc_protocol.frames import Job
from engine.validator.market.actions import Action, Send
from engine.validator.market.connections import Link, Links
from engine.validator.market.matching import Candidate, Need, choose
from engine.validator.store.database import Books
from engine.validator.store.jobs import JobRow
from engine.validator.store.requirements import Facts, Kinds
from engine.validator.store.tasks import TaskRow

LOOK_AHEAD = 256
"""Pending tasks that are looked at when a worker is free: one that nobody can do holds none up."""

MOST_JOBS = 32
"""At once, over one connection, whatever the worker says that it takes: so that nobody takes all the
tasks that there are and sits on them, and all fit into what waits to be read (`service.Outbox`).
"""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds, and how often to try."""

    hello: float = 3.0
    """Until a worker that says no hello is taken for one that knows only the guide's messages."""
    grace: float = 30.0
    lease: float = 60.0
    """For a job, on top of what the slowest worker needs."""
    slowest_rate: float = 1e9
    """Multiply-adds a second that any worker reaches."""
    rest: float = 5.0
    """For a worker that said that it is busy."""
    again: float = 30.0
    """Before a worker that did not do a task is asked to do it once more."""
    attempts: int = 10


class Dispatch:
    """See the module."""

    def __init__(
        self,
        books: Books,
        kinds: Kinds,
        links: Links,
        *,
        patience: Patience,
        chance: random.Random,
        job_id: Callable[[], str],
    ) -> None:
        self._books = books
        self._kinds = kinds
        self._links = links
        self._patience = patience
        self._chance = chance
        self._job_id = job_id

    def offer(self) -> tuple[list[Action], list[TaskRow]]:
        """Give pending tasks to free workers. Gives also the tasks that were tried too often."""
        actions: list[Action] = []
        worn_out: list[TaskRow] = []
        candidates = self._candidates()
        for task in self._books.tasks.pending(LOOK_AHEAD) if candidates else []:
            if task.attempts >= self._patience.attempts:
                worn_out.append(task)
                continue
            chosen = self._choose(task, candidates)
            if chosen is None:
                continue
            link = self._link(chosen)
            actions += self._send(task, link, "first")
            candidates.remove(chosen)
            if (still := self._candidate(link)) is not None:
                candidates.append(still)
            elif not candidates:
                break
        return actions, worn_out

    def to_second(self, task: TaskRow, other_than: str) -> list[Action] | None:
        """Give a task to another worker too, by lot: whoever knows the first must not choose it."""
        candidates = [
            Candidate(one.link, one.capabilities, one.busy, score=0.0, rate=one.rate)
            for one in self._candidates()
            if self._link(one).address not in (None, other_than)
        ]
        chosen = self._choose(task, candidates)
        return None if chosen is None else self._send(task, self._link(chosen), "second")

    def send_again(self, job: JobRow, link: Link) -> list[Action]:
        """The worker of this job is back, on this connection."""
        task = self._books.tasks.existing(job.task_id)
        link.jobs.add(job.job_id)
        self._books.jobs.send_again(job.job_id, link.nonce, self._lease(task.facts))
        return [_send(link, job, task, self._books.jobs.payload(job.job_id))]

    def _choose(self, task: TaskRow, candidates: list[Candidate]) -> Candidate | None:
        """Somebody who has not tried this task yet, or else who tried it a while ago."""
        now = self._books.clock()
        need = _need(task.facts, task.deadline - now)
        tried = {
            job.worker_address: job.ended_at or now
            for job in self._books.jobs.of_task(task.task_id)
        }
        fresh = [one for one in candidates if self._link(one).address not in tried]
        found = choose(need, fresh, self._chance)
        if found is not None or not tried:
            return found
        rested = [
            one
            for one in candidates
            if now - tried.get(self._link(one).address, 0.0) >= self._patience.again
        ]
        return choose(need, rested, self._chance)

    def _candidates(self) -> list[Candidate]:
        found = (self._candidate(link) for link in self._links)
        return [candidate for candidate in found if candidate is not None]

    def _candidate(self, link: Link) -> Candidate | None:
        """The worker at this connection, if it may have another job now."""
        able = link.capabilities
        if able is None or link.rests_until > self._books.clock():
            return None
        if len(link.jobs) >= min(able.jobs, MOST_JOBS):
            return None
        if link.address is None:
            return Candidate(link.id, able, len(link.jobs), score=0.0, rate=None)
        worker = self._books.workers.find(link.address)
        if worker is None or worker.out_at is not None:
            return None
        score = self._books.workers.score(worker)
        if score < self._books.policy.least_score:
            return None
        return Candidate(link.id, able, len(link.jobs), score, worker.rate)

    def _send(self, task: TaskRow, link: Link, role: str) -> list[Action]:
        job_id = self._job_id()
        posted = self._books.tasks.payload(task.task_id)
        payload = self._kinds.for_worker(posted, job_id)
        job = self._books.jobs.send(
            job_id,
            task.task_id,
            own_payload=None if payload is posted else payload,
            role=role,
            worker=link.address,
            nonce=link.nonce,
            lease=self._lease(task.facts),
        )
        link.jobs.add(job_id)
        return [_send(link, job, task, payload)]

    def _lease(self, facts: Facts) -> float:
        return self._patience.lease + facts.cost / self._patience.slowest_rate

    def _link(self, candidate: Candidate) -> Link:
        link = self._links.find(candidate.link)
        assert link is not None
        return link


def _need(facts: Facts, seconds: float) -> Need:
    return Need(facts.challenge_type, facts.cost, facts.matrix_size, facts.iterations, seconds)


def _send(link: Link, job: JobRow, task: TaskRow, payload: dict[str, Any]) -> Send:
    frame = Job(job_id=job.job_id, task_id=job.task_id, payload=payload, deadline=task.deadline)
    return Send(link.id, frame)
