"""A validator as a process of its own, and workers that dial it, so that either can be killed."""

import base64
import contextlib
import json
import os
import queue
import subprocess
import threading
import time

import requests
from msgspec.structs import replace
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from engine.jobs.blobs import BlobCache, BlobRef
from engine.jobs.kind import JobLimits
from engine.jobs.registry import load_kinds
from engine.poc_protocol.decoder import Decoder
from engine.poc_protocol.frames import FROM_VALIDATOR, OpenedLeaves, ResultData, encode
from engine.validator.job_kinds import InstalledKinds
from engine.validator.store.database import Store
from kernels.devices import open_device
from node_client.keys import PrivateKey
from tests.engine.validator.arena import Worker
from tests.processes import ENGINE, PATIENCE_SECONDS, end, free_port, wait_until

CHAIN = "cpc-test-1"


class LiveValidator:
    """`cpc-engine validator serve` in a directory, at a port that stays the same."""

    def __init__(self, directory, *options, place=None):
        """`place`: the URL of its database, where it is not a file in the directory."""
        self.directory = directory
        self.options = options if place is None else (*options, "--store", place)
        self.place = place or directory / "validator.sqlite"
        self.port = free_port()
        self.process = None
        self.engine = ENGINE

    @property
    def http(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.port}/worker"

    def start(self):
        self.process = subprocess.Popen(
            [
                *self.engine, "validator", "serve", "--port", str(self.port), "--chain-id", CHAIN,
                "--directory", str(self.directory), "--device", "reference", "--json", *self.options,
            ],
            stdout=self._log().open("a"),
            stderr=subprocess.STDOUT,
            env=os.environ
            | {"OPENBLAS_NUM_THREADS": "1", "CPC_KEYS": str(self.directory / "keys")},
        )  # fmt: skip
        wait_until(self._answers, lambda: f"the validator to answer: {self.log()[-2000:]}")

    def _answers(self):
        assert self.process.poll() is None, self.log()[-2000:]
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(f"{self.http}/tasks", timeout=PATIENCE_SECONDS).ok
        return False

    def kill(self):
        """kill -9, and its children die with it."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        try:
            self.process.terminate()
            assert self.process.wait(PATIENCE_SECONDS) == 0, self.log()[-2000:]
        finally:
            end(self.process)

    def log(self):
        return self._log().read_text()

    def _log(self):
        return self.directory / f"log{self.port}"

    def store(self):
        return Store.open(self.place)

    def customer(self, name="alice", units=10**21):
        with self.store() as store:
            token = store.customers.add(name)
            store.customers.deposit(name, units, "test")
        return {"authorization": f"Bearer {token}"}

    def post(self, headers, payload, reward="1.5", seconds=600.0):
        answer = requests.post(
            f"{self.http}/tasks",
            headers=headers,
            timeout=PATIENCE_SECONDS,
            json={
                "challenge_type": payload["challenge_type"],
                "payload": payload,
                "reward": reward,
                "deadline": time.time() + seconds,
            },
        )
        assert answer.status_code == 201, answer.text
        return answer.json()["task_id"]

    def total(self, status=""):
        url = f"{self.http}/tasks?status={status}&limit=1"
        return requests.get(url, timeout=PATIENCE_SECONDS).json()["total"]


class LiveWorker(threading.Thread):
    """An honest worker over a real WebSocket, which dials again whenever it is cut off."""

    def __init__(self, url, directory, *, key=None, delay=0.0):
        super().__init__(daemon=True)
        self.key = key or PrivateKey.generate()
        self.kinds = InstalledKinds(load_kinds(), JobLimits(), BlobCache(directory, 2**24))
        self.device = open_device("reference")
        self.url, self.delay = url, delay
        self.mind = Worker(self, self.key, 0, url=url)
        self.mind.hello, self.mind.work, self.mind.open = self._hello, self._work, self._open
        self.stopping = threading.Event()
        self.connections = 0
        self.frames = queue.SimpleQueue()

    def _hello(self):
        from engine.poc_protocol.digests import hello_digest
        from engine.poc_protocol.frames import Hello

        digest = hello_digest(self.mind.nonce, CHAIN, self.url, self.key.address)
        return [
            Hello(
                worker_address=self.key.address,
                pub_key=self.key.public_key,
                signature=self.key.sign_digest(digest),
                capabilities=self.mind.capabilities,
                version="test",
            )
        ]

    def _work(self, job):
        work = self.kinds.job(job.payload)
        done = work.run(self.device)
        self.mind.jobs[job.job_id] = (work, done.result_hash)
        result = self.mind.result(job, done.result_hash.hex(), done.proof)
        if not work.returns_data:
            return [result]
        ref, inline = BlobRef.of(done.data), base64.b64encode(done.data).decode()
        data = ResultData(sha256=ref.sha256, size=ref.size, inline=inline)
        return [replace(result, data=data)]

    def _open(self, asked):
        work, result_hash = self.mind.jobs[asked.job_id]
        opened = work.opening(result_hash, asked.leaves).run(self.device)
        siblings = opened.data.hex()
        return [OpenedLeaves(job_id=asked.job_id, leaves=asked.leaves, siblings=siblings)]

    def run(self):
        while not self.stopping.is_set():
            try:
                with connect(self.url, compression=None, max_size=2**25) as connection:
                    self.connections += 1
                    self._talk(connection)
            except (OSError, ConnectionClosed, TimeoutError):
                self.stopping.wait(0.1)

    def _talk(self, connection):
        decoder = Decoder(FROM_VALIDATOR)
        while not self.stopping.is_set():
            try:
                text = connection.recv(timeout=0.2)
            except TimeoutError:
                continue
            frame = decoder.decode(text)
            self.frames.put(frame)
            for answer in self.mind.take(frame):
                time.sleep(self.delay)
                connection.send(encode(answer))

    def stop(self):
        self.stopping.set()
        self.join(PATIENCE_SECONDS)
        self.device.close()


def events(log):
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]
