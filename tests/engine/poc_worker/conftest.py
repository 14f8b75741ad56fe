"""A worker over a device in this very process, and validators that do what a test tells them."""

import json
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from websockets.sync.server import serve

from engine.jobs.blobs import BlobCache
from engine.jobs.kind import JobLimits
from engine.jobs.registry import load_kinds
from engine.monitor.troubles import Troubles
from engine.poc_protocol import frames
from engine.poc_worker.connection import Patience
from engine.poc_worker.context import WorkerContext
from engine.poc_worker.job_ledger import open_job_ledger
from engine.poc_worker.worker import PocWorker
from engine.pool.executor import PoolStatus
from engine.pool.messages import Done
from kernels.devices import open_device
from node_client.keys import PrivateKey
from tests.processes import PATIENCE_SECONDS

IMPATIENT = Patience(first=0.05, most=0.2, well=60.0, opening=60.0, sending=60.0, silence=60.0)
LIMITS = JobLimits(matrix_size=512, iterations=4, multiply_adds=2**26, data_bytes=2**22)


class InProcess:
    """Does the work in a thread, on the reference device. While `gate` is clear, nothing moves."""

    def __init__(self):
        self.status = PoolStatus()
        self.gate = threading.Event()
        self.gate.set()
        self.ran = []
        self._device = open_device("reference")
        self._pool = ThreadPoolExecutor(1)

    def submit(self, work, *, name="", priority=1):
        return self._pool.submit(self._run, work, name)

    def _run(self, work, name):
        assert self.gate.wait(PATIENCE_SECONDS)
        self.ran.append(name)
        outcome = work.run(self._device)
        work.check(outcome)
        return Done(1, outcome, "reference", 0.001)

    def close(self):
        self.gate.set()
        self._pool.shutdown(cancel_futures=True)


class Validator:
    """A WebSocket server; each connection to it is given to the test."""

    def __init__(self, port=0, **options):
        self._connections = queue.Queue()
        self._over = threading.Event()
        self._server = serve(self._handle, "127.0.0.1", port, close_timeout=0.5, **options)
        self.url = f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}/worker"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def _handle(self, connection):
        self._connections.put(connection)
        self._over.wait()

    def accept(self, *, challenge=None):
        """The next connection; with a nonce, after the hello."""
        connection = self._connections.get(timeout=PATIENCE_SECONDS)
        if challenge is None:
            return connection, None
        send(connection, frames.Challenge(protocol=1, chain_id="chain", nonce=challenge))
        return connection, receive(connection)

    def close(self):
        self._over.set()
        self._server.shutdown()


def send(connection, frame):
    connection.send(frames.encode(frame) if isinstance(frame, frames.Frame) else json.dumps(frame))


def receive(connection, timeout=PATIENCE_SECONDS):
    return json.loads(connection.recv(timeout=timeout))


def synthetic(size=32, seed=b"\1" * 31 + b"\2", **more):
    return {"challenge_type": "synthetic", "seed": seed.hex(), "matrix_size": size, **more}


def job(job_id="job-1", payload=None, **more):
    payload = synthetic() if payload is None else payload
    return frames.JobRequest(job_id=job_id, task_id="task", payload=payload, **more)


@pytest.fixture
def validator():
    server = Validator()
    yield server
    server.close()


@pytest.fixture
def executor():
    inside = InProcess()
    yield inside
    inside.close()


@pytest.fixture
def key():
    return PrivateKey((7).to_bytes(32))


class Running:
    """A worker, what it told, and what it works with."""

    def __init__(self, worker, context, told, failures):
        self.worker, self.context, self.told, self.failures = worker, context, told, failures

    def events(self, name):
        return [fields for event, fields in self.told if event == name]


@pytest.fixture
def start(tmp_path, executor, key):
    """`start(url, ...)` starts a worker for these validators; every one is stopped afterwards."""
    stop = []

    def go(*urls, patience=IMPATIENT, **settings):
        told, failures = [], []
        directory = tmp_path / str(len(stop)) if settings.pop("fresh", False) else tmp_path
        resources = ExitStack()
        ledger = resources.enter_context(open_job_ledger(directory / "jobs.sqlite"))
        context = WorkerContext(
            key=key,
            executor=settings.pop("executor", executor),
            kinds=load_kinds(),
            limits=settings.pop("limits", LIMITS),
            ledger=ledger,
            blobs=BlobCache(directory / "blobs", 2**24),
            report=lambda event: told.append((event.event, event.fields())),
            devices=("reference",),
            **settings,
        )
        worker = PocWorker(urls, context, Troubles(context.report), failures.append, patience)
        worker.start()

        def end():
            worker.stop()
            resources.close()

        running = Running(worker, context, told, failures)
        running.stop = end
        stop.append(running)
        return running

    yield go
    for running in stop:
        running.stop()
        assert not running.worker.is_alive()
        assert running.failures == []
