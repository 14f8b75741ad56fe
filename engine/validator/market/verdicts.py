"""From a commitment to a verdict: what is drawn, in which order it is checked, and what follows.

    committed --(data)--> claim --> leaves --> full, or a second worker --> accepted
                            |         |          |
                            +---------+----------+--> refused: the worker is banned

Everything is drawn at once, when the commitment is on the disk, and the worker sees nothing of it but
the leaves that it is asked for; checks that were not drawn are left out. Where a worker does not do its
part after its commitment, the whole result is computed again: right, it is accepted; wrong, it is
refused. So silence does not help a cheat, and a crash costs an honest worker only some reputation.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from engine.monitor.events.validator import MarketJobEscalated, MarketJobUnchecked
from engine.poc_protocol.constants import OPEN_SECONDS
from engine.poc_protocol.frames import JobResult, Open, OpenedLeaves
from engine.poc_protocol.strict_json import is_canonical
from engine.validator.market.actions import Action, CheckResult, FetchData, Finding, HangUp, Send
from engine.validator.market.commitment import draw, fault_of
from engine.validator.market.connections import Connection, Connections
from engine.validator.market.receipts import ReceiptMaker
from engine.validator.market.settlement import Settlement, names_of
from engine.validator.store.database import Store
from engine.validator.store.jobs import JobRow
from engine.validator.store.tasks import TaskRow

SILENT = 1.0
"""Weight of a failure to deliver in a worker's reputation."""
LATE_PROOF = 2.0
"""The same after the worker's commitment."""


@dataclass(slots=True)
class _Review:
    """The stage of an open job between commitment and verdict. `until`: the worker has to act.

    `connection`: the one that its data is being fetched over.
    """

    stage: str
    until: float = float("inf")
    connection: int = 0


class Verdicts:
    """See the module. Not thread-safe. It never waits: what takes time is an action."""

    def __init__(
        self,
        store: Store,
        connections: Connections,
        chance: random.Random,
        to_second: Callable[[TaskRow, str], list[Action] | None],
        give_up: Callable[[TaskRow, str], list[Action]],
        receipts: ReceiptMaker | None = None,
    ) -> None:
        """`chance`: the system's own randomness, outside of tests. `give_up` refunds a task.

        `to_second` gives a task to another worker than the one named; None where there is none.
        """
        self._store = store
        self._connections = connections
        self._chance = chance
        self._to_second = to_second
        self._give_up = give_up
        self._reviews: dict[str, _Review] = {}
        self._settlement = Settlement(store, connections, self._forget, receipts)

    # What workers send

    def result(self, connection: Connection, job: JobRow, frame: JobResult) -> list[Action]:
        """Take a worker's result: its commitment."""
        if job.state == "committed":
            return self._again(connection, job, frame)
        fault = fault_of(self._store, connection, job, frame)
        if fault is not None:
            own = self._own_fault(job)
            return self.drop(job, fault, blame=SILENT) if own is None else own
        workers, by, stated = self._store.workers, connection.address, frame.worker_address
        known = workers.find(by) if by else workers.record_seen(stated, proven=False)
        if known is not None and known.banned_at is not None:
            return [*self.drop(job, "its worker is banned"), HangUp(connection.id, "banned")]
        task = self._store.tasks.existing(job.task_id)
        connection.took(task.requirements, job.sent_at, self._store.clock())
        job = draw(self._store, self._chance, job, task, connection, frame)
        self._reviews[job.job_id] = _Review("claim")
        if job.data is not None:
            return self._fetch(connection, job)
        if task.requirements.returns_data and not job.guest:
            return self.escalate(job, "it sent no data")
        return self._go_on(job)

    def opening(self, job: JobRow, frame: OpenedLeaves) -> list[Action]:
        """Take the opening of the leaves that a worker was asked for."""
        if not self._is_at(job.job_id, "opening"):
            return []
        if set(frame.leaves) != set(job.leaves):
            return self.escalate(job, "it opened other leaves than those asked for")
        self._reviews[job.job_id] = _Review("leaves")
        return [CheckResult(job, "leaves", bytes.fromhex(frame.siblings))]

    def fetched(self, job_id: str, *, complete: bool) -> list[Action]:
        """Go on: the bytes of a result are here, or could not be fetched."""
        job = self._at_stage(job_id, "data")
        if job is None:
            return []
        self._reviews[job_id] = _Review("claim")
        return self._go_on(job) if complete else self.escalate(job, "its data could not be fetched")

    # Outcomes of checks

    def checked(self, job_id: str, kind: str, finding: Finding) -> list[Action]:
        """Take the outcome of a check."""
        job = self._at_stage(job_id, kind)
        if job is None:
            return []
        if finding.right is None:
            return self._not_checked(job, kind, finding.reason)
        if kind == "full":
            return self._fully_checked(job, finding)
        self._settlement.note(job_id, finding)
        if not finding.right:
            return self._refuse(job, finding.reason)
        if kind == "claim":
            return self._ask_for_leaves(job)
        return self._ask_for_full(job)

    def tick(self) -> list[Action]:
        """Escalate the jobs whose workers owe something after their commitment for too long."""
        now, actions = self._store.clock(), list[Action]()
        for job_id, review in list(self._reviews.items()):
            if now >= review.until:
                job = self._at_stage(job_id, review.stage)
                actions += self.escalate(job, "it fell silent after its commitment") if job else []
        return actions

    # What follows

    def drop(
        self, job: JobRow, reason: str, *, blame: float = 0.0, counts: bool = True
    ) -> list[Action]:
        """End the job without a verdict on its result; the task waits for a worker again.

        `counts`: it is one of the attempts that a task is given.
        """
        dropped = self._settlement.drop(job, reason, blame=blame, counts=counts)
        return [*dropped, *(self._unconfirmed(job) if dropped else [])]

    def escalate(self, job: JobRow, why: str) -> list[Action]:
        """Compute the whole result here, once, as the worker does not do its part."""
        review = self._reviews.get(job.job_id)
        if review is not None and review.stage in ("full", "second", "compared"):
            return []  # the worker has done all that was asked of it
        if job.worker_address and not job.guest:
            self._store.workers.blame(job.worker_address, LATE_PROOF)
        return [MarketJobEscalated(*names_of(job), why), *self._compute(job)]

    def clear(self) -> None:
        """Forget what was going on: `resume` is told of it anew."""
        self._reviews.clear()

    def resume(self, job: JobRow) -> list[Action]:
        """Compute a job committed before a restart: its worker may be gone."""
        return self._compute(job)

    def _again(self, connection: Connection, job: JobRow, frame: JobResult) -> list[Action]:
        """Take a result once more from a worker that was disconnected, or another one."""
        if frame.result_hash != job.result_hash:
            if job.guest or frame.worker_address != job.worker_address:
                return []
            return self._refuse(job, "it changed its result after the commitment")
        review = self._reviews.get(job.job_id)
        if review is not None and review.stage == "opening":
            return self._ask_for_leaves(job)
        if review is not None and review.stage == "data" and review.connection != connection.id:
            return self._fetch(connection, job)
        return []

    def _fetch(self, connection: Connection, job: JobRow) -> list[Action]:
        """Fetch the data, once per connection: each fetch reserves room in the cache first."""
        assert job.data is not None
        assert job.data_size is not None
        self._wait(job, "data")
        self._reviews[job.job_id].connection = connection.id
        return [FetchData(connection.id, job.job_id, job.data, job.data_size)]

    def _go_on(self, job: JobRow) -> list[Action]:
        if job.data or (job.proof and not job.leaves):
            return [CheckResult(job, "claim")]
        return self._ask_for_leaves(job)  # with which the proof is checked

    def _ask_for_leaves(self, job: JobRow) -> list[Action]:
        connection = self._connections.of_job(job.job_id)
        if not job.leaves:
            return self._ask_for_full(job)
        self._wait(job, "opening")
        if connection is None:
            return []  # it may come back in time
        return [Send(connection.id, Open(job_id=job.job_id, leaves=job.leaves))]

    def _ask_for_full(self, job: JobRow) -> list[Action]:
        if job.role == "second":
            return self._compare(job)
        if job.full == "self":
            return self._compute(job)
        if job.full == "second":
            task = self._store.tasks.existing(job.task_id)
            sent = self._to_second(task, job.worker_address or "")
            if sent is None:
                return self._compute(job)
            self._reviews[job.job_id] = _Review("second")
            return sent
        return self._settlement.accept([job])

    def _compute(self, job: JobRow) -> list[Action]:
        self._reviews[job.job_id] = _Review("full")
        return [CheckResult(job, "full")]

    def _fully_checked(self, job: JobRow, finding: Finding) -> list[Action]:
        other = self._partner(job)
        if other is None or other.state != "committed":
            if finding.right:
                return self._settlement.accept([job], finding)
            return self._refuse(job, finding.reason)
        right = [one for one in (job, other) if one.result_hash == finding.result_hash]
        actions = self._settlement.accept(right, finding) if right else []
        for wrong in (job, other):
            if wrong not in right:
                actions += self._refuse(wrong, "a full computation has another result")
        return actions

    def _compare(self, second: JobRow) -> list[Action]:
        first = self._partner(second)
        if first is None or first.state != "committed":  # refused in between
            return self._compute(second)
        if first.result_hash == second.result_hash:
            return self._settlement.accept([first, second])
        self._reviews[second.job_id] = _Review("compared")
        return self._compute(first)

    def _unconfirmed(self, second: JobRow) -> list[Action]:
        """Compute the first worker's result here, as the second one did not deliver."""
        first = self._partner(second) if second.role == "second" else None
        review = None if first is None else self._reviews.get(first.job_id)
        if first is None or review is None or review.stage != "second":
            return []
        return self._compute(first)

    def _refuse(self, job: JobRow, reason: str) -> list[Action]:
        if (own := self._own_fault(job)) is not None:
            return own
        return [*self._settlement.refuse(job, reason), *self._unconfirmed(job)]

    def _own_fault(self, job: JobRow) -> list[Action] | None:
        """Give the task up where the worker may have read another payload than this machine did.

        POST keeps no such payload, but an older version's database, or a hand's, may hold one. Then
        nobody is blamed.
        """
        if is_canonical(self._store.jobs.text(job.job_id)):
            return None
        task = self._store.tasks.existing(job.task_id)
        return self._give_up(task, "the validator kept its payload in a form that can be misread")

    def _partner(self, job: JobRow) -> JobRow | None:
        """Return the open job of the other of two workers on one task."""
        if job.role == "first" and job.full != "second":
            return None  # no second worker was asked
        others = [
            one
            for one in self._store.jobs.of_task(job.task_id)
            if one.role != job.role and one.is_open
        ]
        return others[-1] if others else None

    def _not_checked(self, job: JobRow, kind: str, reason: str) -> list[Action]:
        """Drop the job without blame: this machine could not check it, and another worker may try."""
        if kind != "full":
            return self._compute(job)
        actions: list[Action] = []
        other = self._partner(job)
        for one in [job, *([other] if other is not None and other.state == "committed" else [])]:
            actions.append(MarketJobUnchecked(*names_of(one), reason))
            actions += self._settlement.send_verdict(
                one, accepted=False, reason="the validator could not check it"
            )
            actions += self.drop(one, f"it could not be checked: {reason}")
        return actions

    def _wait(self, job: JobRow, stage: str) -> None:
        self._reviews[job.job_id] = _Review(stage, self._store.clock() + OPEN_SECONDS)

    def _at_stage(self, job_id: str, stage: str) -> JobRow | None:
        """Return the job, if it is at this stage."""
        return self._store.jobs.find(job_id) if self._is_at(job_id, stage) else None

    def _is_at(self, job_id: str, stage: str) -> bool:
        return (review := self._reviews.get(job_id)) is not None and review.stage == stage

    def _forget(self, job_id: str) -> None:
        self._reviews.pop(job_id, None)
