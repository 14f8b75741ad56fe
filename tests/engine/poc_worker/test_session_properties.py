"""Whatever frames come, in whatever order: a session raises nothing, and keeps what it promises."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.jobs.blobs import BlobCache
from engine.jobs.registry import load_kinds
from engine.monitor.troubles import Troubles
from engine.poc_protocol import frames
from engine.poc_protocol.decoder import Refusal
from engine.poc_worker.context import WorkerContext
from engine.poc_worker.job_ledger import open_job_ledger
from engine.poc_worker.session import Session
from engine.poc_worker.standing import Standing
from node_client.keys import PrivateKey
from tests.engine.poc_worker.conftest import LIMITS, InProcess, synthetic

HASH = "ab" * 32
JOBS = st.sampled_from(["a", "b", "c"])
FIELDS = st.sampled_from(["challenge_type", "seed", "matrix_size", "iterations", "m", "a"])
VALUES = (
    st.none() | st.integers(-1, 20) | st.text(max_size=4) | st.just({"sha256": HASH, "size": 4})
)
NAMES_A_BLOB = {
    "challenge_type": "matmul",
    "a": {"sha256": HASH, "size": 4},
    "b": {"inline": "AAAAAA=="},
} | dict.fromkeys("mkn", 2)
PAYLOADS = st.one_of(
    st.sampled_from([synthetic(16), synthetic(100), synthetic(33, iterations=4)]),
    st.builds(
        lambda field, value: synthetic(16) | {field: value},
        FIELDS,
        VALUES,
    ),
    st.just(NAMES_A_BLOB),
)
LEAVES = st.lists(st.integers(0, 120), min_size=1, max_size=40, unique=True)
CHALLENGE = frames.Challenge(protocol=1, chain_id="c", nonce=HASH)
WAIT_FOR_ONE_BLOB = [
    frames.JobRequest(job_id=job_id, task_id="t", payload=NAMES_A_BLOB, deadline=None)
    for job_id in "ab"
]
CAME = st.one_of(
    st.builds(
        frames.JobRequest,
        job_id=JOBS,
        task_id=st.sampled_from(["t", "u"]),
        payload=PAYLOADS,
        deadline=st.sampled_from([None, None, None, 5.0, 9e9]),
    ),
    st.just(CHALLENGE),
    st.builds(frames.Open, job_id=JOBS, leaves=LEAVES),
    st.builds(frames.Cancel, job_id=JOBS),
    st.builds(frames.Verdict, job_id=JOBS, accepted=st.booleans(), reason=st.text(max_size=5)),
    st.builds(
        frames.BlobRequest, job_id=JOBS, sha256=st.just(HASH), offset=st.just(0), length=st.just(9)
    ),
    st.builds(
        frames.BlobChunk,
        job_id=JOBS,
        sha256=st.just(HASH),
        offset=st.integers(0, 3),
        data=st.sampled_from([None, "AAAA", "AAAAAA==", "?"]),
    ),
    st.builds(
        Refusal,
        st.just("invalid_field"),
        st.none() | JOBS,
        st.just("a field of the wrong type"),
    ),
    st.sampled_from(["cut", "connect", "wait"]),
)


@given(st.lists(CAME, max_size=25))
@example([CHALLENGE, *WAIT_FOR_ONE_BLOB, "wait"])  # the second waits for what the first asked for
@example([CHALLENGE, *WAIT_FOR_ONE_BLOB])  # they begin once the connection is lost
@settings(max_examples=50, deadline=None)
def test_a_session_bears_whatever_comes(came):
    asyncio.run(live_through(came))


async def live_through(came):
    executor = InProcess()
    with (
        tempfile.TemporaryDirectory() as name,
        open_job_ledger(Path(name) / "jobs.sqlite") as ledger,
    ):
        context = WorkerContext(
            key=PrivateKey((7).to_bytes(32)),
            executor=executor,
            kinds=load_kinds(),
            limits=LIMITS,
            ledger=ledger,
            blobs=BlobCache(Path(name) / "blobs", 2**20),
            report=lambda event: told.append(event.event),
        )
        told, tasks = [], []

        def spawn(coroutine):
            tasks.append(asyncio.create_task(coroutine))
            return tasks[-1]

        standing = Standing("ws://localhost/worker", Troubles(context.report))
        session = Session("ws://localhost/worker", context, spawn, standing)
        witness = Witness(session)
        session.connected(witness.hear)
        for event in came:
            match event:
                case "cut":
                    session.lost()
                case "connect":
                    session.lost()
                    session.connected(witness.hear)
                case "wait":
                    await asyncio.sleep(0.005)
                case _:
                    session.take(event, 100)
            assert 0 <= session.room.inside <= 64
        session.lost()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
        await asyncio.sleep(0)  # what is called when a task has ended is called a moment later
        for task in tasks:
            assert task.cancelled() or task.exception() is None
        assert session.room.inside == 0
        assert "validator_bug" not in told
        executor.close()


class Witness:
    """Hears what is said. Before a hello nothing but results, and after it every result signed."""

    def __init__(self, session):
        self._session = session
        self._results = {}

    def hear(self, frame):
        if not self._session.replies.greeted:
            assert type(frame) is frames.JobResult
            assert frame.signature is None
        if isinstance(frame, frames.JobResult):
            assert (frame.signature is not None) == self._session.replies.greeted
            assert self._results.setdefault(frame.job_id, frame.result_hash) == frame.result_hash
