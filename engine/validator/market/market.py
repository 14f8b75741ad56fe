"""The market as a state machine: messages of customers and workers and a clock in, actions out.

    market = Market(store, kinds, Address("cpc-devnet-1", "ws://127.0.0.1:8080/worker"))
    actions = market.connected(1)               # [Send(1, Challenge(...))]
    actions = market.received(1, hello)            # and then jobs for it
    actions = market.offer()                    # after a message, or several
    actions = market.tick()                     # a few times a second

Its only I/O is the database's; `service.py` performs the actions. Read from top to bottom, it tells
what becomes of a task:

    posted -> offered to the best worker -> its result is judged (`verdicts.py`) -> closed
                   ^-- the worker fell silent, declined, or was wrong --'

A job belongs to the connection that it was sent on. When that is lost, the worker has `grace` seconds
to come back and sign a hello: then it gets the same job again. All of it survives a crash: a job that
was out then waits for its worker in the same way, and a committed one is computed here.
"""

import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from gettext import gettext as _
from gettext import ngettext

from engine.monitor.events.validator import HelloRefused, MarketTaskFailed, WorkerCame, WorkerGone
from engine.poc_protocol import frames
from engine.poc_protocol.constants import PROTOCOL
from engine.poc_protocol.digests import hello_digest, is_signed_by
from engine.poc_protocol.strict_json import canonical, parse
from engine.validator.market.actions import Action, Finding, HangUp, Send
from engine.validator.market.connections import GUEST_CAPABILITIES, Connection, Connections
from engine.validator.market.dispatch import Dispatch, Timeouts
from engine.validator.market.receipts import ReceiptMaker
from engine.validator.market.verdicts import SILENT, Verdicts
from engine.validator.policy.chance import SystemChance
from engine.validator.store.database import Store
from engine.validator.store.jobs import JobRow
from engine.validator.store.requirements import Kinds
from engine.validator.store.tasks import TaskDraft, TaskRow, new_task_id


@dataclass(frozen=True, slots=True)
class Address:
    """What a hello is signed for: the chain, and this validator's URL as workers dial it."""

    chain_id: str
    url: str


class Market:
    """See the module. Not thread-safe."""

    def __init__(
        self,
        store: Store,
        kinds: Kinds,
        address: Address,
        *,
        timeouts: Timeouts | None = None,
        guests: bool = True,
        receipts: ReceiptMaker | None = None,
        chance: random.Random | None = None,
        nonce: Callable[[], str] = lambda: secrets.token_hex(32),
        job_id: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        """`guests`: whether workers without a hello get jobs. `receipts`: None: none are made."""
        self._store = store
        self._kinds = kinds
        self._address = address
        self._timeouts = timeouts or Timeouts()
        self._guests = guests
        chance = chance or SystemChance()
        self._nonce = nonce
        self.connections = Connections()
        self._dispatch = Dispatch(
            store, kinds, self.connections, timeouts=self._timeouts, chance=chance, job_id=job_id
        )
        second = self._dispatch.to_second
        self._verdicts = Verdicts(store, self.connections, chance, second, self._give_up, receipts)
        self._orphans: dict[str, float] = {}  # jobs whose connection was lost, and when

    def restore(self) -> list[Action]:
        """Resume what an earlier run left open. Call it once, before anything else."""
        return self._give_up_unreadable() + self._take_over("the validator was restarted")

    def begin_anew(self) -> list[Action]:
        """Forget everything that is not in the database, all connections too, and resume."""
        self.connections.clear()
        self._orphans.clear()
        self._verdicts.clear()
        self._store.jobs.forget()
        self._store.tasks.forget()
        return self.restore()

    def _take_over(self, why: str) -> list[Action]:
        """Resume what has no validator any more."""
        actions: list[Action] = []
        for job_id in self._store.validators.take_over():
            job = self._store.jobs.find(job_id)
            if job is None or not job.is_open:
                continue
            if job.state == "committed":
                actions += self._verdicts.resume(job)
            elif job.guest:
                actions += self._verdicts.drop(job, why, counts=False)
            else:
                self._orphans[job.job_id] = self._store.clock()
        return actions

    def _give_up_unreadable(self) -> list[Action]:
        """Refund the tasks of an older version whose payload workers would read differently."""
        actions: list[Action] = []
        for task in self._store.tasks.open():
            try:
                text = canonical(parse(kept := self._store.tasks.text(task.task_id)))
            except ValueError as error:
                actions += self._give_up(task, str(error))
            else:
                if text != kept:
                    self._store.tasks.set_text(task.task_id, text)
        return actions

    # Customers

    def post(self, draft: TaskDraft) -> TaskRow:
        """Add a task, its reward taken from the credit. Raises NoCredit."""
        task_id, self.connections.changed = new_task_id(), True
        with self._store.database.write():
            self._store.customers.pay_escrow(draft.customer, draft.reward, task_id)
            return self._store.tasks.add(task_id, draft)

    # Workers

    def connected(self, connection_id: int) -> list[Action]:
        """Ask a worker that has connected who it is."""
        nonce = self._nonce()
        self.connections.add(Connection(connection_id, nonce, self._store.clock()))
        challenge = frames.Challenge(
            protocol=PROTOCOL, chain_id=self._address.chain_id, nonce=nonce
        )
        return [Send(connection_id, challenge)]

    def disconnected(self, connection_id: int) -> list[Action]:
        """Take note that a connection is gone."""
        connection = self.connections.remove(connection_id)
        actions: list[Action] = []
        if connection is None:
            return actions
        now = self._store.clock()
        for job_id in connection.jobs:
            job = self._store.jobs.find(job_id)
            if job is None or not job.is_open:
                continue
            if not job.guest:
                self._orphans[job_id] = now
            elif job.state == "out":
                actions += self._verdicts.drop(job, "its worker is gone")
        if connection.address is not None:
            actions.append(WorkerGone(connection.address))
            actions += self._send_again(connection.address)
        return actions

    def received(self, connection_id: int, frame: frames.Frame) -> list[Action]:
        """Act on a worker's frame."""
        connection = self.connections.find(connection_id)
        if connection is None:
            return []
        if isinstance(frame, frames.Hello):
            return self._on_hello(connection, frame)
        job_id = getattr(frame, "job_id", None)
        job = self._store.jobs.find(job_id) if job_id in connection.jobs else None
        if job is None:
            return self._stale(connection, frame)
        match frame:
            case frames.JobResult():
                actions = self._verdicts.result(connection, job, frame)
            case frames.JobError():
                actions = self._on_error(connection, job, frame)
            case frames.OpenedLeaves():
                actions = self._verdicts.opening(job, frame)
            case _:
                return []
        return actions

    def fetched(self, job_id: str, *, complete: bool) -> list[Action]:
        """Go on: the bytes of a result came, or did not."""
        return self._verdicts.fetched(job_id, complete=complete)

    def checked(self, job_id: str, kind: str, finding: Finding) -> list[Action]:
        """Take the outcome of a check."""
        return self._verdicts.checked(job_id, kind, finding)

    def size_for(self, connection_id: int, job_id: str, sha256: str) -> int | None:
        """Return the size of a blob if a worker may have it: if a job of its own names it."""
        connection = self.connections.find(connection_id)
        if connection is None or job_id not in connection.jobs:
            return None
        job = self._store.jobs.find(job_id)
        if job is None:
            return None
        return dict(self._store.tasks.existing(job.task_id).requirements.blobs).get(sha256)

    def tick(self) -> list[Action]:
        """Act on what is due by the clock."""
        with self._store.workers.one_outage():
            return self._tick()

    def _tick(self) -> list[Action]:
        self.connections.changed = True  # by time, or by another validator
        now, actions = self._store.clock(), self._verdicts.tick()
        if self._store.validators.beat():
            actions += self._take_over("its validator is gone")
        for connection in self.connections:
            silent = connection.address is None and not connection.guest
            if silent and now - connection.since >= self._timeouts.hello:
                connection.guest = True
                connection.capabilities = GUEST_CAPABILITIES if self._guests else None
        actions += self._drop_orphans(now)
        for job in self._store.jobs.late():
            actions += self._drop(job, "its worker took too long")
        for task in self._store.tasks.overdue():
            actions += self._give_up(task, _("its deadline passed"), blame=SILENT / 2)
        return actions

    def _on_hello(self, connection: Connection, hello: frames.Hello) -> list[Action]:
        if connection.address is not None:
            return []  # a nonce counts once
        digest = hello_digest(
            connection.nonce, self._address.chain_id, self._address.url, hello.worker_address
        )
        if not is_signed_by(hello.pub_key, hello.worker_address, digest, hello.signature):
            reason = "the hello's signature does not fit this validator's URL"
            return [HelloRefused(hello.worker_address), HangUp(connection.id, reason)]
        worker = self._store.workers.record_seen(hello.worker_address, proven=True)
        if worker.banned_at is not None:
            return [HangUp(connection.id, f"this worker is banned: {worker.ban_reason}")]
        self.connections.changed = True
        connection.address, connection.public_key = hello.worker_address, hello.pub_key
        connection.guest, connection.capabilities = False, hello.capabilities
        connection.models |= set(hello.capabilities.models)
        came = WorkerCame(connection.address, frames.one_line(hello.version, 80))
        return [came, *self._send_again(connection.address)]

    def _on_error(
        self, connection: Connection, job: JobRow, error: frames.JobError
    ) -> list[Action]:
        if job.state == "committed":
            return self._verdicts.escalate(job, f"it says {error.code} after its commitment")
        if error.code == "busy":
            connection.rests_until = self._store.clock() + self._timeouts.rest
            return self._verdicts.drop(job, "the worker is busy", counts=False)
        blame = {"failed": SILENT / 2, "deadline": SILENT / 4}.get(error.code, 0.0)
        return self._verdicts.drop(
            job, f"the worker says {error.code}: {frames.one_line(error.message)}", blame=blame
        )

    def _stale(self, connection: Connection, frame: frames.Frame) -> list[Action]:
        """Answer a frame about a job that is not, or no longer, this connection's."""
        if isinstance(frame, frames.JobResult) and connection.address is not None:
            reason = "this job is not, or no longer, this connection's"
            verdict = frames.Verdict(job_id=frame.job_id, accepted=False, reason=reason)
            return [Send(connection.id, verdict)]
        return []

    def _drop_orphans(self, now: float) -> list[Action]:
        """Drop the jobs whose workers did not come back in time."""
        actions: list[Action] = []
        for job_id, cut_at in list(self._orphans.items()):
            job = self._store.jobs.find(job_id)
            if job is None or job.state != "out":
                if job is None or not job.is_open:
                    del self._orphans[job_id]
                continue
            worker = self._store.workers.find(job.worker_address or "")
            gone = worker is None or worker.banned_at is not None
            if gone or now - cut_at >= self._timeouts.grace:
                actions += self._drop(job, "its worker did not come back")
        return actions

    def _drop(self, job: JobRow, reason: str, blame: float = SILENT) -> list[Action]:
        connection = self.connections.of_job(job.job_id)
        self._orphans.pop(job.job_id, None)
        dropped = self._verdicts.drop(job, reason, blame=blame)
        if connection is None or connection.guest:
            return dropped
        return [Send(connection.id, frames.Cancel(job_id=job.job_id)), *dropped]

    def _give_up(self, task: TaskRow, reason: str, blame: float = 0.0) -> list[Action]:
        """Fail the task, and give its reward back."""
        actions: list[Action] = []
        with self._store.database.write() as db:
            closed = self._store.tasks.close(db, task.task_id, "failed", job_id=None, reason=reason)
            if closed is None:
                return []
            why = "the task failed"
            self._store.customers.refund(task.customer, task.reward, why, task.task_id)
            for job in self._store.jobs.of_task(task.task_id):
                if job.is_open:
                    actions += self._drop(job, reason, blame)
        return [*actions, MarketTaskFailed(task.task_id, reason)]

    def offer(self) -> list[Action]:
        """Give pending tasks to free workers, where anything has changed. Call it after all else."""
        with self._store.database.write():
            actions, exhausted = self._dispatch.offer()
            for task in self._store.tasks.lock(exhausted) if exhausted else ():
                reason = ngettext(
                    "no worker did it in {n} attempt",
                    "no worker did it in {n} attempts",
                    task.attempts,
                ).format(n=task.attempts)
                actions += self._give_up(task, reason)
            return actions

    def _send_again(self, address: str) -> list[Action]:
        """Send a worker that is back the jobs that it had when it was disconnected."""
        connection = self.connections.of_worker(address)
        if connection is None:
            return []
        actions: list[Action] = []
        for job_id in list(self._orphans):
            job = self._store.jobs.find(job_id)
            if job is None or not job.is_open:
                del self._orphans[job_id]
            elif job.worker_address == address:
                del self._orphans[job_id]
                actions += self._dispatch.send_again(job, connection)
        return actions
