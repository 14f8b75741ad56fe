"""A market with workers that live in the test: real store, real checks, no network and no clock.

The workers compute with numpy and sign with real keys; what they do wrong is one small class each.
"""

import random
from dataclasses import dataclass, field

from engine.jobs.blobs import BlobCache, BlobRef
from engine.jobs.kind import JobLimits
from engine.jobs.registry import load_kinds
from engine.poc_protocol.digests import hello_digest, result_digest
from engine.poc_protocol.frames import (
    Cancel,
    Capabilities,
    Challenge,
    Hello,
    JobError,
    JobRequest,
    JobResult,
    Open,
    OpenedLeaves,
    Verdict,
)
from engine.poc_protocol.strict_json import canonical
from engine.validator.checker_process import Claim, form_of, layers_of, run_check
from engine.validator.job_kinds import InstalledKinds
from engine.validator.market.actions import (
    CheckResult,
    FetchData,
    Finding,
    HangUp,
    Send,
)
from engine.validator.market.market import Address, Market
from engine.validator.market.receipts import ReceiptMaker
from engine.validator.policy.audit_policy import Policy
from engine.validator.store.database import Store
from engine.validator.store.tasks import TaskDraft
from kernels.devices import open_device
from node_client.keys import PrivateKey

URL = "ws://127.0.0.1:8080/worker"
CHAIN = "cpc-test-1"
RECEIPT_KEY = PrivateKey.generate()
NOON = 1_800_000_000.0
CAPABILITIES = Capabilities(
    kinds=("synthetic", "matmul"),
    devices=("reference",),
    matrix_size=4096,
    iterations=64,
    product=2**40,
    jobs=2,
)


class Clock:
    """A clock that is turned by hand."""

    def __init__(self, now=NOON):
        self.now = now

    def __call__(self):
        return self.now


@dataclass
class Worker:
    """An honest worker. `answers`: what to send back for a frame."""

    arena: "Arena"
    key: PrivateKey
    connection: int
    capabilities: Capabilities = CAPABILITIES
    nonce: str = ""
    url: str = URL
    jobs: dict = field(default_factory=dict)
    verdicts: list = field(default_factory=list)
    cancelled: list = field(default_factory=list)
    closed: str | None = None
    awake: bool = True

    def take(self, frame):
        """React to a frame of the validator's; gives the frames to send."""
        match frame:
            case Challenge():
                self.nonce = frame.nonce
                return self.hello()
            case JobRequest():
                return self.work(frame) if self.awake else []
            case Open():
                return self.open(frame) if self.awake else []
            case Verdict():
                self.verdicts.append(frame)
            case Cancel():
                self.cancelled.append(frame.job_id)
        return []

    def hello(self):
        digest = hello_digest(self.nonce, CHAIN, self.url, self.key.address)
        return [
            Hello(
                worker_address=self.key.address,
                pub_key=self.key.public_key,
                signature=self.key.sign_digest(digest),
                capabilities=self.capabilities,
                version="test",
            )
        ]

    def work(self, job):
        commitment = self.commit(self.arena.kinds.job(job.payload))
        self.jobs[job.job_id] = (job, commitment)
        return [self.result(job, commitment.root.hex(), self.proof(commitment))]

    def commit(self, job):
        return self.arena.device.compute(job.task)

    def proof(self, commitment):
        return commitment.proof(min(16, commitment.task.leaf_count))

    def result(self, job, result_hash, proof):
        digest = result_digest(
            self.nonce,
            job_id=job.job_id,
            task_id=job.task_id,
            payload=job.payload,
            worker_address=self.key.address,
            result_hash=result_hash,
            proof=proof,
        )
        return JobResult(
            job_id=job.job_id,
            worker_address=self.key.address,
            result_hash=result_hash,
            proof=proof,
            signature=self.key.sign_digest(digest),
        )

    def open(self, asked):
        _job, commitment = self.jobs[asked.job_id]
        siblings = commitment.siblings(asked.leaves).hex()
        return [OpenedLeaves(job_id=asked.job_id, leaves=asked.leaves, siblings=siblings)]

    def error(self, job, code):
        return JobError(
            job_id=job.job_id, worker_address=self.key.address, code=code, message="test"
        )


class Arena:
    """The market, its workers, and whoever carries actions out."""

    def __init__(
        self, path, *, policy=None, seed=1, clock=None, timeouts=None, guests=True, place=None
    ):
        self.clock = clock or Clock()
        place = place or path / "validator.sqlite"
        self.store = Store.open(place, policy or Policy(), self.clock)
        self.device = open_device("reference")
        self.kinds = InstalledKinds(
            load_kinds(), JobLimits(), BlobCache(path / "blobs", max_bytes=2**24)
        )
        self.market = Market(
            self.store,
            self.kinds,
            Address(CHAIN, URL),
            chance=random.Random(seed),
            timeouts=timeouts,
            guests=guests,
            receipts=ReceiptMaker(self.store, RECEIPT_KEY, CHAIN),
        )
        self.workers = {}
        self.told = []
        self.full_checks = 0
        self.perform(self.market.restore())

    def close(self):
        self.store.close()
        self.device.close()

    def join(self, kind=Worker, key=None, **more):
        """A worker comes."""
        connection = max(self.workers, default=0) + 1
        worker = kind(self, key or PrivateKey.generate(), connection, **more)
        self.workers[connection] = worker
        self.perform(self.market.connected(connection))
        return worker

    def leave(self, worker):
        """A worker's connection is cut."""
        del self.workers[worker.connection]
        self.perform(self.market.disconnected(worker.connection))

    def post(self, payload=None, reward=1000, seconds=3600.0, customer="alice"):
        """A customer posts a task; gives its id."""
        if customer not in [one.name for one in self.store.customers.all()]:
            self.store.customers.add(customer)
            self.store.customers.deposit(customer, 10**9, "test")
        payload = payload or {
            "challenge_type": "synthetic",
            "seed": f"{len(self.told):02x}",
            "matrix_size": 64,
        }
        requirements = self.kinds.requirements(payload)
        draft = TaskDraft(
            customer, canonical(payload), requirements, reward, self.clock() + seconds
        )
        task = self.market.post(draft)
        self.perform([])
        return task.task_id

    def task(self, task_id):
        return self.store.tasks.existing(task_id)

    def task_result(self, task_id):
        """The result hash of a completed task."""
        return self.store.jobs.find(self.task(task_id).job_id).result_hash

    def pass_time(self, seconds):
        self.clock.now += seconds
        self.perform(self.market.tick())

    def market_says(self, key):
        """What a worker of this key is told when it comes."""
        return self.join(key=key).closed or ""

    def events(self, name):
        return [fields for event, fields in self.told if event == name]

    def hear(self, worker, frames):
        for frame in frames:
            self.perform(self.market.received(worker.connection, frame))

    def perform(self, actions):
        for action in [*actions, *self.market.offer()]:
            match action:
                case Send(connection, frame):
                    if (worker := self.workers.get(connection)) is not None:
                        self.hear(worker, worker.take(frame))
                case HangUp(connection, reason):
                    if (worker := self.workers.get(connection)) is not None:
                        worker.closed = reason
                        self.leave(worker)
                case CheckResult(job, kind, siblings):
                    finding = self.check(job.job_id, kind, siblings)
                    self.perform(self.market.checked(job.job_id, kind, finding))
                case FetchData(_connection, job_id, sha256, size):
                    complete = self.kinds._blobs.has(BlobRef(sha256, size))
                    self.perform(self.market.fetched(job_id, complete=complete))
                case event:
                    self.told.append((event.event, event.fields()))

    def check(self, job_id, kind, siblings):
        row = self.store.jobs.find(job_id)
        job = self.kinds.job(self.store.jobs.payload(job_id))
        result_hash = bytes.fromhex(row.result_hash)
        if kind != "full":
            data = None
            if kind == "claim" and row.data is not None:
                data = self.kinds._blobs.data(BlobRef(row.data, row.data_size))
            return run_check(Claim(job, kind, result_hash, row.proof, data, row.leaves, siblings))
        self.full_checks += 1
        outcome = job.run(self.device)
        found, layers = outcome.result_hash.hex(), layers_of(job, outcome.data or b"")
        right = found == row.result_hash
        return Finding(right, "it is another", found, layers=layers, form=form_of(job))


def fall_silent(arena):
    """Its validator has said nothing for long, as where its process is gone."""
    with arena.store.database.write() as db:
        db.execute("UPDATE validators SET seen_at = 0")
