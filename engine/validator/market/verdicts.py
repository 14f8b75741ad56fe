"""From a commitment to a verdict: what is drawn, in which order it is checked, and what follows.

    committed --(data)--> claim --> leaves --> full, or a second worker --> accepted
                            |         |          |
                            +---------+----------+--> refused: the worker is out

What is not drawn is left out. Everything is drawn at once, when the commitment is on the disk, and
nothing of it shows but the leaves that are asked for. Where the worker does not deliver what it owes
after its commitment, the whole result is computed again: right, it is accepted; wrong, it is refused.
So silence is no way out, and a crash costs an honest worker nothing but its good name, a little.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from engine.monitor.events.validator import MarketJobEscalated, MarketJobUnchecked
from engine.poc_protocol.constants import OPEN_SECONDS
from engine.poc_protocol.digests import is_signed_by, result_digest
from engine.poc_protocol.frames import JobResult, Open, Opening
from engine.validator.market.actions import Action, FetchData, Finding, HangUp, Inspect, Send, Tell
from engine.validator.market.connections import Link, Links
from engine.validator.market.settlement import Endings, named
from engine.validator.store.database import Books
from engine.validator.store.jobs import JobRow
from engine.validator.store.tasks import TaskRow
from node_client.address import is_address

SILENT = 1.0
"""How much it counts against a worker that it did not deliver."""
LATE_PROOF = 2.0
"""The same after its commitment."""


@dataclass(slots=True)
class _Trial:
    """Where an open job stands between commitment and verdict. `until`: the worker has to act.

    `link`: the connection that its data is being fetched over.
    """

    stage: str
    until: float = float("inf")
    link: int = 0


class Verdicts:
    """See the module. Not thread-safe, and it never waits: whatever takes time is an action."""

    def __init__(
        self,
        books: Books,
        links: Links,
        chance: random.Random,
        to_second: Callable[[TaskRow, str], list[Action] | None],
    ) -> None:
        """`chance` draws: outside of tests the system's own randomness.

        `to_second` gives a task to another worker than the one named; None where there is none now.
        """
        self._books = books
        self._links = links
        self._chance = chance
        self._to_second = to_second
        self._trials: dict[str, _Trial] = {}
        self._endings = Endings(books, links, self._forget)

    # What workers send

    def result(self, link: Link, job: JobRow, frame: JobResult) -> list[Action]:
        """A worker hands in a result: its commitment."""
        if job.state == "committed":
            return self._again(link, job, frame)
        fault = self._fault_of(link, job, frame)
        if fault is not None:
            return self.drop(job, fault, blame=SILENT)
        worker = link.address or frame.worker_address
        known = self._books.workers.saw(worker, proven=link.address is not None)
        if known.out_at is not None:
            return [*self.drop(job, "its worker is out"), HangUp(link.id, "out")]
        job = self._draw(job, worker, frame)
        self._trials[job.job_id] = _Trial("claim")
        if job.data is not None:
            return self._fetch(link, job)
        if self._books.tasks.existing(job.task_id).facts.returns_data and not job.guest:
            return self.escalate(job, "it handed in no data")
        return self._go_on(job)

    def opening(self, job: JobRow, frame: Opening) -> list[Action]:
        """A worker opens the leaves that it was asked for."""
        trial = self._trials.get(job.job_id)
        if trial is None or trial.stage != "opening":
            return []
        if set(frame.leaves) != set(job.leaves):
            return self.escalate(job, "it opened other leaves than those asked for")
        self._trials[job.job_id] = _Trial("leaves")
        return [Inspect(job.job_id, "leaves", bytes.fromhex(frame.siblings))]

    def fetched(self, job_id: str, *, complete: bool) -> list[Action]:
        """The bytes of a result are here, or are not to be had."""
        job = self._on_trial(job_id, "data")
        if job is None:
            return []
        self._trials[job_id] = _Trial("claim")
        return self._go_on(job) if complete else self.escalate(job, "its data was not to be had")

    # What inspections find

    def found(self, job_id: str, what: str, finding: Finding) -> list[Action]:
        """An inspection has ended."""
        job = self._on_trial(job_id, what)
        if job is None:
            return []
        if finding.right is None:
            return self._not_inspected(job, what, finding.reason)
        if what == "full":
            return self._fully_checked(job, finding)
        if not finding.right:
            return self._refuse(job, finding.reason)
        if what == "claim":
            return self._ask_for_leaves(job)
        return self._ask_for_full(job)

    def tick(self) -> list[Action]:
        """Look at the clock: who owes something after its commitment?"""
        now, actions = self._books.clock(), list[Action]()
        for job_id, trial in list(self._trials.items()):
            if now >= trial.until:
                job = self._on_trial(job_id, trial.stage)
                actions += self.escalate(job, "it fell silent after its commitment") if job else []
        return actions

    # What follows

    def drop(
        self, job: JobRow, reason: str, *, blame: float = 0.0, counts: bool = True
    ) -> list[Action]:
        """The job ends without a verdict on its result; the task waits for a worker again.

        `counts`: as one of the attempts that a task is given.
        """
        dropped = self._endings.drop(job, reason, blame=blame, counts=counts)
        return [*dropped, *(self._unconfirmed(job) if dropped else [])]

    def escalate(self, job: JobRow, why: str) -> list[Action]:
        """Compute the whole result here, as the worker does not do its part; once."""
        trial = self._trials.get(job.job_id)
        if trial is not None and trial.stage in ("full", "second", "compared"):
            return []  # it has done all that was asked of it
        if job.worker_address and not job.guest:
            self._books.workers.blame(job.worker_address, LATE_PROOF)
        return [Tell(MarketJobEscalated(*named(job), why)), *self._compute(job)]

    def resume(self, job: JobRow) -> list[Action]:
        """A committed job of before a restart: its worker may be gone, so it is computed here."""
        return self._compute(job)

    def _fault_of(self, link: Link, job: JobRow, frame: JobResult) -> str | None:
        if link.address is None:
            return None if is_address(frame.worker_address) else "its address is none"
        if frame.worker_address != link.address:
            return "it names another address than its hello"
        digest = result_digest(
            link.nonce,
            job_id=job.job_id,
            task_id=job.task_id,
            payload=self._books.jobs.payload(job.job_id),
            worker_address=frame.worker_address,
            result_hash=frame.result_hash,
            proof=frame.proof,
        )
        if not is_signed_by(link.public_key, link.address, digest, frame.signature or ""):
            return "its signature does not fit"
        return None

    def _draw(self, job: JobRow, worker: str, frame: JobResult) -> JobRow:
        task, policy = self._books.tasks.existing(job.task_id), self._books.policy
        facts = task.facts
        openable = facts.leaves > 0 and not job.guest
        # A second worker's result is compared with the first's, or computed again.
        count = policy.openings_of(facts.leaves) if openable and job.role == "first" else 0
        q = policy.full_probability(
            task.reward, self._books.rewards.withheld(worker), openable=openable
        )
        full = "none"
        if job.guest:
            full = "self"
        elif job.role == "first" and self._chance.random() < q:
            share = 0.0 if facts.own_seed else policy.second_probability(q, openable=openable)
            full = "second" if self._chance.random() < share else "self"
        return self._books.jobs.commit(
            job.job_id,
            worker=worker,
            result_hash=frame.result_hash,
            proof=frame.proof,
            signature=frame.signature,
            leaves=tuple(sorted(self._chance.sample(range(facts.leaves), count))),
            full=full,
            data=(frame.data.sha256, frame.data.size)
            if frame.data and facts.returns_data
            else None,
        )

    def _again(self, link: Link, job: JobRow, frame: JobResult) -> list[Action]:
        """A worker that was cut off hands its result in once more, or another one."""
        if frame.result_hash != job.result_hash:
            if job.guest or frame.worker_address != job.worker_address:
                return []
            return self._refuse(job, "it changed its result after the commitment")
        trial = self._trials.get(job.job_id)
        if trial is not None and trial.stage == "opening":
            return self._ask_for_leaves(job)
        if trial is not None and trial.stage == "data" and trial.link != link.id:
            return self._fetch(link, job)
        return []

    def _fetch(self, link: Link, job: JobRow) -> list[Action]:
        """Once a connection: each fetch has its place in the cache taken before a byte comes."""
        assert job.data is not None
        assert job.data_size is not None
        self._wait(job, "data")
        self._trials[job.job_id].link = link.id
        return [FetchData(link.id, job.job_id, job.data, job.data_size)]

    def _go_on(self, job: JobRow) -> list[Action]:
        if job.proof or job.data:
            return [Inspect(job.job_id, "claim")]
        return self._ask_for_leaves(job)

    def _ask_for_leaves(self, job: JobRow) -> list[Action]:
        link = self._links.of_job(job.job_id)
        if not job.leaves:
            return self._ask_for_full(job)
        self._wait(job, "opening")
        if link is None:
            return []  # it may come back in time
        return [Send(link.id, Open(job_id=job.job_id, leaves=job.leaves))]

    def _ask_for_full(self, job: JobRow) -> list[Action]:
        if job.role == "second":
            return self._compare(job)
        if job.full == "self":
            return self._compute(job)
        if job.full == "second":
            task = self._books.tasks.existing(job.task_id)
            sent = self._to_second(task, job.worker_address or "")
            if sent is None:
                return self._compute(job)
            self._trials[job.job_id] = _Trial("second")
            return sent
        return self._endings.accept([job])

    def _compute(self, job: JobRow) -> list[Action]:
        self._trials[job.job_id] = _Trial("full")
        return [Inspect(job.job_id, "full")]

    def _fully_checked(self, job: JobRow, finding: Finding) -> list[Action]:
        other = self._partner(job)
        if other is None or other.state != "committed":
            return (
                self._endings.accept([job], finding)
                if finding.right
                else self._refuse(job, finding.reason)
            )
        right = [one for one in (job, other) if one.result_hash == finding.result_hash]
        actions = self._endings.accept(right, finding) if right else []
        for wrong in (job, other):
            if wrong not in right:
                actions += self._refuse(wrong, "a full computation has another result")
        return actions

    def _compare(self, second: JobRow) -> list[Action]:
        first = self._partner(second)
        if first is None or first.state != "committed":  # refused in between
            return self._compute(second)
        if first.result_hash == second.result_hash:
            return self._endings.accept([first, second])
        self._trials[second.job_id] = _Trial("compared")
        return self._compute(first)

    def _unconfirmed(self, second: JobRow) -> list[Action]:
        """The second worker did not deliver: the first's result is computed here."""
        first = self._partner(second) if second.role == "second" else None
        trial = None if first is None else self._trials.get(first.job_id)
        if first is None or trial is None or trial.stage != "second":
            return []
        return self._compute(first)

    def _refuse(self, job: JobRow, reason: str) -> list[Action]:
        return [*self._endings.refuse(job, reason), *self._unconfirmed(job)]

    def _partner(self, job: JobRow) -> JobRow | None:
        """The other one of two workers on one job."""
        others = [
            one
            for one in self._books.jobs.of_task(job.task_id)
            if one.role != job.role and one.is_open
        ]
        return others[-1] if others else None

    def _not_inspected(self, job: JobRow, what: str, reason: str) -> list[Action]:
        """This machine could not do it: nobody is to blame, and somebody else may try."""
        if what != "full":
            return self._compute(job)
        actions: list[Action] = []
        other = self._partner(job)
        for one in [job, *([other] if other is not None and other.state == "committed" else [])]:
            actions.append(Tell(MarketJobUnchecked(*named(one), reason)))
            actions += self._endings.say(
                one, accepted=False, reason="the validator could not check it"
            )
            actions += self.drop(one, f"it could not be checked: {reason}")
        return actions

    def _wait(self, job: JobRow, stage: str) -> None:
        self._trials[job.job_id] = _Trial(stage, self._books.clock() + OPEN_SECONDS)

    def _on_trial(self, job_id: str, stage: str) -> JobRow | None:
        """The job, if it stands at this stage."""
        trial = self._trials.get(job_id)
        if trial is None or trial.stage != stage:
            return None
        return self._books.jobs.find(job_id)

    def _forget(self, job_id: str) -> None:
        self._trials.pop(job_id, None)
