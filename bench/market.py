"""CPU time a job that the market and its store take, without network, workers and checks.

    python -m bench.market                                    # SQLite; groups of 1, 4 and 16 changes
    python -m bench.market --store postgresql://user@host/empty --groups 4
    PYTHONPATH=../old python bench/market.py                  # an older tree's market

It is the time of the thread that decides and writes, the server's of PostgreSQL not counted: little
disturbed by what else runs. Workers sign real results of synthetic tasks of n = 64, whose hashes are
random, and each check finds them right.
"""

import argparse
import asyncio
import json
import secrets
import tempfile
import time
from functools import partial
from itertools import batched
from pathlib import Path

from engine.jobs.blobs import BlobCache
from engine.jobs.kind import JobLimits
from engine.jobs.registry import load_kinds
from engine.poc_protocol import frames
from engine.poc_protocol.digests import hello_digest, result_digest
from engine.poc_protocol.strict_json import canonical
from engine.runtime.group_commit import GroupCommit
from engine.validator.job_kinds import InstalledKinds
from engine.validator.market.actions import CheckResult, Finding, Passed, Send
from engine.validator.market.market import Address, Market
from engine.validator.market.receipts import ReceiptMaker
from engine.validator.policy.audit_policy import Policy
from engine.validator.store.database import Store
from engine.validator.store.tasks import TaskDraft
from node_client.keys import PrivateKey

ADDRESS = Address("cpc-bench-1", "ws://127.0.0.1:8080/worker")
PROOF, SIBLINGS = "ab" * 1200, "ab" * 320
JOBS_AT_ONCE = 64


class Bench:
    """One market, and workers at it."""

    def __init__(self, store, directory, workers):
        blobs = BlobCache(directory / "blobs", max_bytes=2**24)
        self.store, self.kinds = store, InstalledKinds(load_kinds(), JobLimits(), blobs)
        receipts = ReceiptMaker(store, PrivateKey.generate(), ADDRESS.chain_id)
        self.market = Market(store, self.kinds, ADDRESS, receipts=receipts)
        self.market.restore()
        self.keys = {number: PrivateKey.generate() for number in range(workers)}
        self.nonces = {}
        self.done, self.seconds = 0, 0.0
        self.waiting = [partial(self.market.connected, number) for number in self.keys]

    def post(self, count):
        self.store.customers.add("customer")
        self.store.customers.deposit("customer", count, "bench")
        for number in range(count):
            payload = {"challenge_type": "synthetic", "seed": f"{number:032x}", "matrix_size": 64}
            requirements, end = self.kinds.requirements(payload), time.time() + 3600
            self.market.post(TaskDraft("customer", canonical(payload), requirements, 1, end))

    def run(self, count, group):
        """CPU milliseconds a job."""
        with asyncio.Runner() as runner:
            while self.done < count:
                waiting, self.waiting = self.waiting, []
                for changes in batched(waiting, group):
                    for action in runner.run(self.decide(changes)):
                        self.answer(action)
        return 1000 * self.seconds / count

    async def decide(self, changes):
        """What the market decides on these, in one group, as `Service` has it."""
        actions = []

        def last():
            actions.extend(self.market.offer())
            return lambda: None

        began = time.thread_time()
        groups = GroupCommit(self.store.database, last)
        for change in changes:
            groups.add(lambda change=change: actions.extend(change()))
        groups.flush()
        self.seconds += time.thread_time() - began
        if groups.error is not None:
            raise groups.error
        return actions

    def answer(self, action):
        match action:
            case Send(connection, frames.Challenge() as frame):
                self.nonces[connection] = frame.nonce
                self.hear(connection, self.hello(connection))
            case Send(connection, frames.JobRequest() as frame):
                self.hear(connection, self.result(connection, frame))
            case Send(connection, frames.Open(job_id=job_id, leaves=leaves)):
                opened = frames.OpenedLeaves(job_id=job_id, leaves=leaves, siblings=SIBLINGS)
                self.hear(connection, opened)
            case Send(_connection, frames.Verdict()):
                self.done += 1
            case CheckResult(job, kind):
                found = Finding(True, passed=Passed("proof", leaves=job.leaves))
                self.waiting.append(partial(self.market.checked, job.job_id, kind, found))

    def hear(self, connection, frame):
        self.waiting.append(partial(self.market.received, connection, frame))

    def hello(self, connection):
        key, nonce = self.keys[connection], self.nonces[connection]
        signed = key.sign_digest(hello_digest(nonce, ADDRESS.chain_id, ADDRESS.url, key.address))
        able = frames.Capabilities(
            kinds=("synthetic",), devices=(), matrix_size=4096, iterations=64, product=2**40,
            jobs=JOBS_AT_ONCE,
        )  # fmt: skip
        return frames.Hello(
            worker_address=key.address, pub_key=key.public_key, signature=signed,
            capabilities=able, version="bench",
        )  # fmt: skip

    def result(self, connection, job):
        key = self.keys[connection]
        said = {
            "job_id": job.job_id, "worker_address": key.address,
            "result_hash": secrets.token_hex(32), "proof": PROOF,
        }  # fmt: skip
        digest = result_digest(
            self.nonces[connection], task_id=job.task_id, payload=job.payload, **said
        )
        return frames.JobResult(**said, signature=key.sign_digest(digest))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--groups", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument(
        "--store", help="URL of an empty PostgreSQL database, for one size of group"
    )
    arguments = parser.parse_args()
    for group in arguments.groups:
        with tempfile.TemporaryDirectory() as directory:
            place = arguments.store or Path(directory) / "validator.sqlite"
            with Store.open(place, Policy(least_full=0.0)) as store:
                bench = Bench(store, Path(directory), arguments.workers)
                bench.post(arguments.jobs)
                found = {"group": group, "cpu_ms": round(bench.run(arguments.jobs, group), 3)}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
