"""The worker against validators of the test's own, over real sockets."""

import asyncio
import base64
import hashlib
import json
import socket
import threading
import time

import numpy as np
import pytest
import websockets

from engine.jobs.blobs import BlobRef
from engine.jobs.matmul import decode
from engine.poc_protocol import frames
from engine.poc_protocol.digests import hello_digest, is_signed_by, result_digest
from engine.poc_worker.connection import Patience
from kernels.check import check_leaves, check_proof
from kernels.devices import open_device
from kernels.task import Task
from tests.engine.poc_worker.conftest import Validator, job, receive, send, synthetic
from tests.processes import PATIENCE_SECONDS, wait_until

NONCE = "5a" * 32
SEED = b"\1" * 31 + b"\2"


def root_of(size=32, seed=SEED, iterations=1):
    with open_device("reference") as device:
        return device.compute(Task(seed, size, iterations)).root.hex()


def test_a_validator_of_twenty_lines_that_knows_the_guides_two_messages_only(start):
    seen, jobs = [], {f"job-{n}": synthetic(seed=bytes([n]) * 20) for n in range(8)}

    async def guide_validator(started):
        async def serve_worker(connection):
            for job_id, payload in jobs.items():
                frame = {"type": "job", "job_id": job_id, "task_id": f"t-{job_id}"}
                await connection.send(json.dumps(frame | {"payload": payload}))
            async for message in connection:
                answer = json.loads(message)
                assert set(answer) == {"type", "job_id", "worker_address", "result_hash", "proof"}
                assert answer["type"] == "job_result"
                seen.append(answer)

        async with websockets.serve(serve_worker, "127.0.0.1", 0) as server:
            started.set_result(server.sockets[0].getsockname()[1])
            while len(seen) < len(jobs):
                await asyncio.sleep(0.01)

    def run(loop, started):
        asyncio.set_event_loop(loop)
        loop.run_until_complete(guide_validator(started))
        loop.close()

    loop = asyncio.new_event_loop()
    started = loop.create_future()
    thread = threading.Thread(target=run, args=(loop, started))
    thread.start()
    wait_until(started.done)
    running = start(f"ws://127.0.0.1:{started.result()}/worker")
    thread.join(PATIENCE_SECONDS)
    assert {answer["job_id"] for answer in seen} == set(jobs)
    assert {answer["worker_address"] for answer in seen} == {running.context.key.address}
    for answer in seen:
        n = int(answer["job_id"].partition("-")[2])
        seed = hashlib.sha256(bytes([n]) * 20).digest()
        assert answer["result_hash"] == root_of(seed=seed)
        check_proof(
            Task(seed, 32),
            bytes.fromhex(answer["result_hash"]),
            answer["proof"],
            least_openings=16,
        )


def test_a_hello_names_the_worker_and_a_result_is_signed(start, validator, key):
    start(validator.url)
    connection, hello = validator.accept(challenge=NONCE)
    assert hello["type"] == "hello"
    assert hello["worker_address"] == key.address
    assert {"matmul", "synthetic"} <= set(hello["capabilities"]["kinds"])
    assert hello["capabilities"]["matrix_size"] == 512
    digest = hello_digest(NONCE, "chain", validator.url, key.address)
    assert is_signed_by(hello["pub_key"], key.address, digest, hello["signature"])
    send(connection, job())
    result = receive(connection)
    digest = result_digest(
        NONCE,
        job_id="job-1",
        task_id="task",
        payload=synthetic(),
        worker_address=key.address,
        result_hash=root_of(),
        proof=result["proof"],
    )
    assert is_signed_by(hello["pub_key"], key.address, digest, result["signature"])


def test_a_validator_of_another_chain_gets_no_hello_but_its_results(start, validator):
    running = start(validator.url, chain_id="ours")
    connection, _ = validator.accept()
    send(connection, frames.Challenge(protocol=1, chain_id="theirs", nonce=NONCE))
    send(connection, job())
    assert "signature" not in receive(connection)
    assert len(running.events("validator_refused")) == 1


def test_a_job_is_computed_once_however_often_it_comes(start, validator, executor, key):
    first = start(validator.url)
    connection, _ = validator.accept(challenge=NONCE)
    for _ in range(3):
        send(connection, job())
    results = [receive(connection)]
    send(connection, job())
    results.append(receive(connection))
    assert results[0] == results[1]
    send(connection, job(payload=synthetic(seed=b"other")))
    assert receive(connection)["code"] == "invalid_payload"
    first.stop()
    start(validator.url)  # with the ledger of the first
    connection, _ = validator.accept(challenge="66" * 32)
    send(connection, job())
    again = receive(connection)
    assert again["result_hash"] == results[0]["result_hash"]
    assert again["signature"] != results[0]["signature"]
    assert len(executor.ran) == 1


def cut_off_at_work(start, validator, executor, **more):
    """A worker that lost its connection with a job at a device, which is held up."""
    executor.gate.clear()
    running = start(validator.url)
    connection, _ = validator.accept(challenge=NONCE)
    send(connection, job(**more))
    wait_until(lambda: running.events("job_taken"))
    connection.socket.close()
    return running


def test_a_result_that_came_while_cut_off_waits_for_its_job(start, validator, executor):
    running = cut_off_at_work(start, validator, executor)
    connection, _ = validator.accept(challenge=NONCE)
    executor.gate.set()
    wait_until(lambda: running.events("job_done"))
    with pytest.raises(TimeoutError):
        receive(connection, timeout=0.2)
    send(connection, job())
    assert receive(connection)["result_hash"] == root_of()
    assert len(executor.ran) == 1


def test_a_job_that_fails_while_cut_off_is_told_of_here(start, validator, executor):
    running = cut_off_at_work(start, validator, executor, deadline=time.time() + 0.5)
    (told,) = wait_until(lambda: running.events("job_declined"))
    assert (told["job_id"], told["code"]) == ("job-1", "deadline")


def test_a_job_that_comes_again_while_at_work_is_answered_where_it_came(start, validator, executor):
    cut_off_at_work(start, validator, executor)
    connection, _ = validator.accept(challenge=NONCE)
    send(connection, job())
    send(connection, frames.Challenge(protocol=1, chain_id="chain", nonce="77" * 32))
    assert receive(connection)["type"] == "hello"  # so that the job was read
    executor.gate.set()
    assert receive(connection)["result_hash"] == root_of()
    assert len(executor.ran) == 1


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"challenge_type": "weather"}, "unsupported"),
        ({}, "invalid_payload"),
        (synthetic(size=513), "too_large"),
        (synthetic(size=512, iterations=3), "too_large"),
        (synthetic(size=8, iterations=5), "too_large"),
        (synthetic(size=0), "invalid_payload"),
        (synthetic(size=2**70), "invalid_payload"),
        (synthetic(seed=bytes(32)), "invalid_payload"),
    ],
)
def test_what_a_worker_does_not_take(start, validator, executor, payload, code):
    start(validator.url)
    connection, _ = validator.accept(challenge=NONCE)
    send(connection, job(payload=payload))
    error = receive(connection)
    assert (error["type"], error["code"]) == ("job_error", code)
    assert executor.ran == []


def test_no_more_jobs_at_once_than_it_said(start, validator, executor):
    executor.gate.clear()
    start(validator.url, jobs=2)
    connection, _ = validator.accept(challenge=NONCE)
    for n in range(3):
        send(connection, job(f"job-{n}"))
    error = receive(connection)
    assert (error["job_id"], error["code"]) == ("job-2", "busy")
    executor.gate.set()
    assert {receive(connection)["job_id"], receive(connection)["job_id"]} == {"job-0", "job-1"}
    send(connection, job("job-2"))
    assert receive(connection)["result_hash"] == root_of()


def test_deadline_and_cancel(start, validator, executor):
    executor.gate.clear()
    start(validator.url, jobs=3)
    connection, _ = validator.accept(challenge=NONCE)
    send(connection, job("late", deadline=time.time() - 1))
    error = receive(connection)
    assert (error["job_id"], error["code"]) == ("late", "deadline")
    send(connection, job("short", deadline=time.time() + 0.3))
    error = receive(connection)
    assert (error["job_id"], error["code"]) == ("short", "deadline")
    send(connection, job("unwanted"))
    send(connection, frames.Cancel(job_id="unwanted"))
    send(connection, frames.Cancel(job_id="never heard of"))
    error = receive(connection)
    assert (error["job_id"], error["code"]) == ("unwanted", "cancelled")
    executor.gate.set()
    send(connection, job("unwanted"))  # wanted again, after all
    assert receive(connection)["result_hash"] == root_of()


def test_openings_are_what_the_validator_draws(start, validator):
    start(validator.url)
    connection, _ = validator.accept(challenge=NONCE)
    send(connection, frames.Open(job_id="job-1", leaves=(1,)))
    assert receive(connection)["code"] == "expired"
    send(connection, job(payload=synthetic(size=300)))
    root = bytes.fromhex(receive(connection)["result_hash"])
    for leaves in ((599, 3, 4), (0,), (5,), tuple(range(600))):
        send(connection, frames.Open(job_id="job-1", leaves=leaves))
        opening = receive(connection)
        assert tuple(opening["leaves"]) == leaves
        check_leaves(Task(SEED, 300), root, leaves, bytes.fromhex(opening["siblings"]))
    send(connection, frames.Open(job_id="job-1", leaves=(9,)))
    assert receive(connection)["code"] == "invalid_payload"  # the fifth
    send(connection, job("job-2", payload=synthetic(size=300)))
    assert receive(connection)["type"] == "job_result"
    send(connection, frames.Open(job_id="job-2", leaves=(600,)))
    assert receive(connection)["code"] == "invalid_payload"
    send(connection, frames.Verdict(job_id="job-2", accepted=True))
    send(connection, frames.Open(job_id="job-2", leaves=(1,)))
    assert receive(connection)["code"] == "expired"


def test_a_small_tree_is_opened_without_a_device(start, validator, executor):
    start(validator.url)
    connection, _ = validator.accept(challenge=NONCE)
    send(connection, job(payload=synthetic(size=64)))
    root = bytes.fromhex(receive(connection)["result_hash"])
    executor.gate.clear()  # from here on no device does anything
    send(connection, frames.Open(job_id="job-1", leaves=(63, 0, 7)))
    opening = receive(connection)
    check_leaves(Task(SEED, 64), root, (63, 0, 7), bytes.fromhex(opening["siblings"]))
    send(connection, frames.Open(job_id="job-1", leaves=(64,)))
    assert receive(connection)["code"] == "invalid_payload"


def test_a_verdict_is_written_down_once(start, validator):
    running = start(validator.url)
    connection, _ = validator.accept(challenge=NONCE)
    send(connection, frames.Verdict(job_id="job-1", accepted=True))
    send(connection, job())
    receive(connection)
    send(connection, frames.Verdict(job_id="job-1", accepted=False, reason="\x1b[2J wrong"))
    send(connection, frames.Verdict(job_id="job-1", accepted=True))
    wait_until(lambda: running.events("result_rejected"))
    known = running.context.ledger.find(validator.url, "job-1")
    assert known.accepted is False
    assert running.context.ledger.counts() == {
        "taken": 1,
        "computed": 1,
        "accepted": 0,
        "rejected": 1,
    }


def matrix(rows, columns):
    values = np.random.default_rng(5).integers(-128, 128, (rows, columns), np.int8)
    return values.tobytes()


def test_data_goes_both_ways_in_chunks(start, validator, executor):
    """A product whose operands the worker fetches, and whose result the validator fetches."""
    start(validator.url)
    connection, _ = validator.accept(challenge=NONCE)
    m, n, k = 400, 300, 200
    blobs = {BlobRef.of(data).sha256: data for data in (matrix(m, k), matrix(k, n))}
    a, b = ({"sha256": sha, "size": len(data)} for sha, data in blobs.items())
    payload = {"challenge_type": "matmul", "m": m, "k": k, "n": n, "a": a, "b": b}
    payload["return_data"] = True
    send(connection, job(payload=payload))
    while (frame := receive(connection))["type"] == "blob_request":
        data = blobs[frame["sha256"]][frame["offset"] :][: frame["length"]]
        send(
            connection,
            frames.BlobChunk(
                job_id=frame["job_id"],
                sha256=frame["sha256"],
                offset=frame["offset"],
                data=base64.b64encode(data).decode(),
            ),
        )
    assert frame["type"] == "job_result"
    raw = b""
    while len(raw) < frame["data"]["size"]:
        send(
            connection,
            frames.BlobRequest(
                job_id="job-1", sha256=frame["data"]["sha256"], offset=len(raw), length=100_000
            ),
        )
        raw += base64.b64decode(receive(connection)["data"])
    A, B = (np.frombuffer(data, np.int8).astype(np.int32) for data in blobs.values())
    assert (decode(payload, raw) == A.reshape(m, k) @ B.reshape(k, n)).all()
    other = frames.BlobRequest(job_id="job-1", sha256=a["sha256"], offset=0, length=10)
    send(connection, other)  # the customer's operand is not the validator's to have
    assert receive(connection)["data"] is None


def test_data_that_does_not_come_or_comes_wrong_fails_the_job(start, validator):
    start(validator.url)
    connection, _ = validator.accept(challenge=NONCE)
    ref = {"sha256": "ab" * 32, "size": 4}
    payload = {"challenge_type": "matmul", "m": 2, "n": 2, "k": 2, "a": ref, "b": ref}
    for n, data in enumerate((None, "AAAAAA==", "####", "AAAA", "")):
        send(connection, job(f"job-{n}", payload=payload))
        request = receive(connection)
        assert request["type"] == "blob_request"
        send(
            connection,
            frames.BlobChunk(job_id=f"job-{n}", sha256="ab" * 32, offset=0, data=data),
        )
        answer = receive(connection)
        if data == "AAAA":  # three of four bytes: it asks for the fourth
            assert answer["offset"] == 3
            send(
                connection,
                frames.BlobChunk(job_id=f"job-{n}", sha256="ab" * 32, offset=3, data="AA=="),
            )
            answer = receive(connection)
        assert (answer["type"], answer["code"]) == ("job_error", "failed"), (data, answer)


def test_two_validators_at_once(start, validator):
    other = Validator()
    try:
        start(validator.url, other.url)
        first, _ = validator.accept(challenge=NONCE)
        second, _ = other.accept(challenge=NONCE)
        send(first, job())
        send(second, job(payload=synthetic(size=16)))  # the same id means another job elsewhere
        assert receive(first)["result_hash"] == root_of()
        assert receive(second)["result_hash"] == root_of(16)
    finally:
        other.close()


def test_a_worker_without_any_validator_says_so_until_one_is_back(start):
    patience = Patience(first=0.05, most=0.1, away=0.3)
    with socket.socket() as nobody:  # bound, and not listening
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        running = start(f"ws://127.0.0.1:{port}/worker", patience=patience)
        (told,) = wait_until(lambda: running.events("trouble"), "the worker to say so")
        assert (told["kind"], told["stops"]) == ("validator_away", True)
    validator = Validator(port)
    try:
        validator.accept()
        (over,) = wait_until(lambda: running.events("trouble_over"), "it to be over")
        assert over["kind"] == "validator_away"
    finally:
        validator.close()
