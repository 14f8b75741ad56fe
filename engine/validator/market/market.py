"""The market as a state machine: what customers and workers say and a clock in, actions out.

    market = Market(books, kinds, Address("cpc-devnet-1", "ws://127.0.0.1:8080/worker"))
    actions = market.connected(1)               # [Send(1, Challenge(...))]
    actions = market.heard(1, hello)            # and then the jobs that there are for it
    actions = market.tick()                     # a few times a second

It does no I/O but the database's: `server.py` carries the actions out, tests do without. Read from
top to bottom it tells what becomes of a task:

    posted -> offered to the best worker -> its result is judged (`verdicts.py`) -> closed
                   ^-- the worker fell silent, declined, or was wrong --'

A job belongs to the connection that it was sent on. When that is cut, the worker has `grace` seconds
to come back and say hello: then it gets the same job once more. All of it survives a crash; what was
out then waits for its worker in the same way, what was committed is computed here.
"""

import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from gettext import gettext as _
from typing import Any

from engine.monitor.events.validator import HelloRefused, MarketTaskFailed, WorkerCame, WorkerGone
from engine.poc_protocol.constants import PROTOCOL
from engine.poc_protocol.digests import hello_digest, is_signed_by
from engine.poc_protocol.frames import (
    Cancel,
    Challenge,
    Frame,
    Hello,
    JobError,
    JobResult,
    Opening,
    Verdict,
)
from engine.validator.market.actions import Action, Closed, Finding, HangUp, Send, Tell
from engine.validator.market.connections import GUEST_CAPABILITIES, Link, Links
from engine.validator.market.dispatch import Dispatch, Patience
from engine.validator.market.verdicts import SILENT, Verdicts
from engine.validator.store.database import Books
from engine.validator.store.jobs import JobRow
from engine.validator.store.requirements import Facts, Kinds
from engine.validator.store.tasks import TaskRow, new_task_id


@dataclass(frozen=True, slots=True)
class Address:
    """What a hello is signed for: the chain, and this validator's URL as workers dial it."""

    chain_id: str
    url: str


class Market:
    """See the module. Not thread-safe."""

    def __init__(
        self,
        books: Books,
        kinds: Kinds,
        address: Address,
        *,
        patience: Patience | None = None,
        guests: bool = True,
        chance: random.Random | None = None,
        nonce: Callable[[], str] = lambda: secrets.token_hex(32),
        job_id: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        """`guests`: whether workers get jobs that never said hello."""
        self._books = books
        self._kinds = kinds
        self._address = address
        self._patience = patience or Patience()
        self._guests = guests
        chance = chance or random.SystemRandom()
        self._nonce = nonce
        self.links = Links()
        self._dispatch = Dispatch(
            books, kinds, self.links, patience=self._patience, chance=chance, job_id=job_id
        )
        self._verdicts = Verdicts(books, self.links, chance, self._dispatch.to_second)
        self._orphans: dict[str, float] = {}  # jobs out whose connection was cut, and since when

    def restore(self) -> list[Action]:
        """Take up what a run before this one left open. Call it once, before anything else."""
        actions: list[Action] = []
        for job in self._books.jobs.open():
            if job.state == "committed":
                actions += self._verdicts.resume(job)
            elif job.guest:
                actions += self._verdicts.drop(job, "the validator was started again", counts=False)
            else:
                self._orphans[job.job_id] = self._books.clock()
        return actions

    # Customers

    def post(
        self, customer: str, payload: dict[str, Any], facts: Facts, reward: int, deadline: float
    ) -> tuple[TaskRow, list[Action]]:
        """A new task, its reward taken from the credit. `facts` are the payload's.

        Raises NoCredit.
        """
        task_id = new_task_id()
        with self._books.database.write() as db:
            self._books.customers.pay_escrow(db, customer, reward, task_id)
            task = self._books.tasks.add(task_id, customer, payload, facts, reward, deadline)
        return task, self._offer()

    # Workers

    def connected(self, link_id: int) -> list[Action]:
        """A worker has connected: ask who it is."""
        link = Link(link_id, self._nonce(), self._books.clock())
        self.links.add(link)
        challenge = Challenge(protocol=PROTOCOL, chain_id=self._address.chain_id, nonce=link.nonce)
        return [Send(link_id, challenge)]

    def left(self, link_id: int) -> list[Action]:
        """The connection is gone."""
        link = self.links.remove(link_id)
        actions: list[Action] = []
        if link is None:
            return actions
        for job_id in link.jobs:
            job = self._books.jobs.find(job_id)
            if job is None or not job.is_open:
                continue
            if not job.guest:
                self._orphans[job_id] = self._books.clock()
            elif job.state == "out":
                actions += self._verdicts.drop(job, "its worker is gone")
        if link.address is not None:
            actions.append(Tell(WorkerGone(link.address)))
            actions += self._send_again(link.address)
        return actions + self._offer()

    def heard(self, link_id: int, frame: Frame) -> list[Action]:
        """A worker said something."""
        link = self.links.find(link_id)
        if link is None:
            return []
        if isinstance(frame, Hello):
            return self._on_hello(link, frame)
        job_id = getattr(frame, "job_id", None)
        job = self._books.jobs.find(job_id) if job_id in link.jobs else None
        if job is None:
            return self._stale(link, frame)
        match frame:
            case JobResult():
                actions = self._verdicts.result(link, job, frame)
            case JobError():
                actions = self._on_error(link, job, frame)
            case Opening():
                actions = self._verdicts.opening(job, frame)
            case _:
                return []
        return actions + self._offer()

    def fetched(self, job_id: str, *, complete: bool) -> list[Action]:
        """The bytes of a result came, or did not."""
        return self._verdicts.fetched(job_id, complete=complete) + self._offer()

    def found(self, job_id: str, what: str, finding: Finding) -> list[Action]:
        """An inspection has ended."""
        return self._verdicts.found(job_id, what, finding) + self._offer()

    def size_for(self, link_id: int, job_id: str, sha256: str) -> int | None:
        """The size of these bytes, if a worker may have them: where a job of its own names them."""
        link = self.links.find(link_id)
        job = self._books.jobs.find(job_id) if link is not None and job_id in link.jobs else None
        return None if job is None else dict(self._facts(job).blobs).get(sha256)

    def tick(self) -> list[Action]:
        """Look at the clock."""
        now, actions = self._books.clock(), self._verdicts.tick()
        for link in self.links:
            silent = link.address is None and not link.guest
            if silent and now - link.since >= self._patience.hello:
                link.guest = True
                link.capabilities = GUEST_CAPABILITIES if self._guests else None
        actions += self._look_after_orphans(now)
        for job in self._books.jobs.late():
            actions += self._drop(job, "its worker took too long")
        for task in self._books.tasks.overdue():
            actions += self._give_up(task, _("its deadline passed"), blame=SILENT / 2)
        return actions + self._offer()

    def _on_hello(self, link: Link, hello: Hello) -> list[Action]:
        if link.address is not None:
            return []  # each nonce once
        digest = hello_digest(
            link.nonce, self._address.chain_id, self._address.url, hello.worker_address
        )
        if not is_signed_by(hello.pub_key, hello.worker_address, digest, hello.signature):
            told = Tell(HelloRefused(hello.worker_address))
            return [
                told,
                HangUp(link.id, "the hello's signature does not fit this validator's URL"),
            ]
        worker = self._books.workers.saw(hello.worker_address, proven=True)
        if worker.out_at is not None:
            return [HangUp(link.id, f"this worker is out: {worker.out_reason}")]
        link.address, link.public_key = hello.worker_address, hello.pub_key
        link.guest, link.capabilities = False, hello.capabilities
        told = Tell(WorkerCame(link.address, hello.version[:80]))
        return [told, *self._send_again(link.address), *self._offer()]

    def _on_error(self, link: Link, job: JobRow, error: JobError) -> list[Action]:
        if job.state == "committed":
            return self._verdicts.escalate(job, f"it says {error.code} after its commitment")
        if error.code == "busy":
            link.rests_until = self._books.clock() + self._patience.rest
            return self._verdicts.drop(job, "the worker is busy", counts=False)
        blame = {"failed": SILENT / 2, "deadline": SILENT / 4}.get(error.code, 0.0)
        return self._verdicts.drop(
            job, f"the worker says {error.code}: {error.message}", blame=blame
        )

    def _stale(self, link: Link, frame: Frame) -> list[Action]:
        """A word on a job that is not, or no more, this connection's."""
        if isinstance(frame, JobResult) and link.address is not None:
            reason = "this job is not, or no more, this connection's"
            return [Send(link.id, Verdict(job_id=frame.job_id, accepted=False, reason=reason))]
        return []

    def _look_after_orphans(self, now: float) -> list[Action]:
        """Jobs whose connection was cut: has the worker left for good?"""
        actions: list[Action] = []
        for job_id, cut_at in list(self._orphans.items()):
            job = self._books.jobs.find(job_id)
            if job is None or job.state != "out":
                if job is None or not job.is_open:
                    del self._orphans[job_id]
                continue
            worker = self._books.workers.find(job.worker_address or "")
            gone = worker is None or worker.out_at is not None
            if gone or now - cut_at >= self._patience.grace:
                actions += self._drop(job, "its worker did not come back")
        return actions

    def _drop(self, job: JobRow, reason: str, blame: float = SILENT) -> list[Action]:
        link = self.links.of_job(job.job_id)
        self._orphans.pop(job.job_id, None)
        cancel = [Send(link.id, Cancel(job_id=job.job_id))] if link and not link.guest else []
        return [*cancel, *self._verdicts.drop(job, reason, blame=blame)]

    def _give_up(self, task: TaskRow, reason: str, blame: float = 0.0) -> list[Action]:
        """The task fails, and its reward goes back."""
        actions: list[Action] = []
        with self._books.database.write() as db:
            if not self._books.tasks.close(db, task.task_id, "failed", job_id=None, reason=reason):
                return []
            self._books.customers.refund(
                db, task.customer, task.reward, "the task failed", task.task_id
            )
            for job in self._books.jobs.of_task(task.task_id):
                if job.is_open:
                    actions += self._drop(job, reason, blame)
        told = Tell(MarketTaskFailed(task.task_id, reason))
        return [*actions, Closed(task.task_id), told]

    def _offer(self) -> list[Action]:
        """Give pending tasks to free workers."""
        actions, worn_out = self._dispatch.offer()
        for task in worn_out:
            reason = _("no worker did it in {n} attempts").format(n=task.attempts)
            actions += self._give_up(task, reason)
        return actions

    def _send_again(self, address: str) -> list[Action]:
        """A worker is back: it gets the jobs that it had when it was cut off."""
        link = self.links.of_worker(address)
        if link is None:
            return []
        actions: list[Action] = []
        for job_id in list(self._orphans):
            job = self._books.jobs.find(job_id)
            if job is None or not job.is_open:
                del self._orphans[job_id]
            elif job.worker_address == address:
                del self._orphans[job_id]
                actions += self._dispatch.send_again(job, link)
        return actions

    def _facts(self, job: JobRow) -> Facts:
        return self._books.tasks.existing(job.task_id).facts
