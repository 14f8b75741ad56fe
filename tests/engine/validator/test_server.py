"""The validator as a process: killed, started again, dialled by the guide's own client."""

import contextlib
import hashlib
import json
import os
import resource
import socket
import threading

import pytest
import requests
import websocket

from engine.cli.app import run
from engine.jobs.blobs import NoBlobs
from engine.jobs.kind import JobLimits
from engine.jobs.synthetic import KIND
from kernels.devices import open_device
from node_client.keys import PrivateKey
from tests.engine.validator.live import LiveValidator, LiveWorker
from tests.processes import ENGINE, PATIENCE_SECONDS, wait_until
from tests.variants import quick_and_slow


def synthetic(number, size=48):
    return {"challenge_type": "synthetic", "seed": f"{number:04x}", "matrix_size": size}


@pytest.fixture
def validator(tmp_path):
    one = LiveValidator(tmp_path)
    yield one
    one.stop()


@pytest.mark.parametrize("kills", quick_and_slow([1], [2]))
def test_kill_dash_nine_loses_no_task_and_pays_none_twice(validator, tmp_path, kills):
    headers = validator.customer()
    validator.start()
    workers = [LiveWorker(validator.url, tmp_path / f"w{i}", delay=0.05) for i in range(2)]
    for worker in workers:
        worker.start()
    posted = []
    for number in range(8 + 8 * kills):
        posted.append(validator.post(headers, synthetic(number)))
        if number and number % 8 == 0:  # killed with tasks waiting, out, committed and closed
            wait_until(lambda number=number: validator.total("completed") >= number // 2)
            validator.kill()
            validator.start()
    wait_until(lambda: validator.total("completed") == len(posted))
    assert all(worker.connections == 1 + kills for worker in workers)
    assert validator.total() == len(posted)
    validator.stop()  # with the workers still there
    for worker in workers:
        worker.stop()
    assert "Traceback" not in validator.log()
    with validator.store() as store:
        for task_id in posted:
            accepted = [job for job in store.jobs.of_task(task_id) if job.state == "accepted"]
            assert len(accepted) == 1
        held = sum(store.rewards.withheld(worker.key.address) for worker in workers)
        assert held == len(posted) * 15 * 10**17
        assert store.customers.credit("alice") == 10**21 - held
        assert not any(one.banned_at for one in store.workers.all())


def test_the_guides_own_client_talks_to_it(validator):
    """Its code, line by line, but for the computation that it leaves open."""
    headers = validator.customer()
    validator.start()
    task_id = validator.post(headers, synthetic(1))
    worker_address = PrivateKey.generate().address
    device = open_device("reference")
    seen = []

    def execute_job(payload):
        return KIND.parse(payload, JobLimits(), NoBlobs()).run(device).result_hash.hex()

    def on_message(ws, message):
        data = json.loads(message)
        seen.append(data["type"])
        if data["type"] == "job":
            # Получена задача
            job_id = data["job_id"]
            task_id = data["task_id"]  # noqa: F841
            payload = data["payload"]

            # Выполнить задачу
            result_hash = execute_job(payload)

            # Отправить результат
            response = {
                "type": "job_result",
                "job_id": job_id,
                "worker_address": worker_address,
                "result_hash": result_hash,
                "proof": None,
            }
            ws.send(json.dumps(response))

    ws = websocket.WebSocketApp(validator.url, on_message=on_message)
    threading.Thread(target=ws.run_forever, daemon=True).start()
    wait_until(lambda: validator.total("completed") == 1)
    ws.close()
    device.close()
    assert set(seen) == {"challenge", "job"}
    task = requests.get(f"{validator.http}/tasks/{task_id}", timeout=PATIENCE_SECONDS).json()
    assert task["result"]["worker_address"] == worker_address


def test_it_answers_while_it_verifies_and_lives_through_rubbish(validator, tmp_path):
    headers = validator.customer()
    validator.start()
    rubbish = websocket.create_connection(validator.url, timeout=PATIENCE_SECONDS)
    challenge = json.loads(rubbish.recv())
    assert challenge["type"] == "challenge"
    for frame in ("{", "[]", '{"type": 7}', '{"type": "weather"}'):
        rubbish.send(frame)
    rubbish.send_binary(b"\x00\xff")
    codes = [json.loads(rubbish.recv())["code"] for _ in range(4)]
    assert codes == ["not_json", "not_json", "invalid_field", "not_text"]
    rubbish.ping()  # the connection lives
    guest = PrivateKey.generate()
    # A guest's result is computed again in full: a second of numpy, in a process of its own.
    validator.post(headers, synthetic(3, size=1024))
    job = json.loads(rubbish.recv())
    device = open_device("reference")
    result_hash = KIND.parse(job["payload"], JobLimits(), NoBlobs()).run(device).result_hash.hex()
    device.close()
    result = {
        "type": "job_result",
        "job_id": job["job_id"],
        "worker_address": guest.address,
        "result_hash": result_hash,
        "proof": None,
    }
    rubbish.send(json.dumps(result))
    answers = 0
    while validator.total("completed") == 0:
        answers += 1
    assert answers  # a busy machine gives few
    rubbish.close()


@contextlib.contextmanager
def open_files(most):
    """What is started in here may have so many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_crowd_takes_half_of_the_files_that_the_validator_may_have(validator):
    with open_files(128):
        validator.start()
    with contextlib.ExitStack() as crowd:
        connections = [
            crowd.enter_context(
                socket.create_connection(("127.0.0.1", validator.port), PATIENCE_SECONDS)
            )
            for _ in range(150)
        ]

        def cut():
            return sum(is_cut(one) for one in connections)

        wait_until(lambda: cut() >= 150 - 64)
        assert validator.total() == 0  # a newcomer is answered: a connection that asks nothing goes
        assert not is_cut(connections[-1])
        assert cut() <= 150 - 64 + 3  # three requests before had places, too
    wait_until(lambda: validator.total() == 0)


def is_cut(connection):
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def test_one_directory_one_validator_and_a_port_that_is_taken(validator, tmp_path, capsys):
    validator.start()
    serve = ["validator", "serve", "--device", "reference"]
    assert run([*serve, "--port", "0", "--directory", str(tmp_path)]) == 2
    assert "another validator" in capsys.readouterr().err
    other = str(tmp_path / "other")
    assert run([*serve, "--port", str(validator.port), "--directory", other]) == 2
    assert "--port" in capsys.readouterr().err
    assert run([*serve, "--host", "0.0.0.0", "--port", "0", "--directory", other]) == 2
    assert "--public-url" in capsys.readouterr().err


@pytest.mark.slow
def test_a_full_disk_ends_it_with_a_sentence_and_no_task_is_lost(validator, tmp_path):
    """A real limit on what it may write, as `ulimit -f` sets it."""
    headers, posted = validator.customer(), []
    validator.options = ("--second-worker", "0")  # which may wait for another one
    validator.engine = ["bash", "-c", 'ulimit -f 400; exec "$@"', "_", *ENGINE]
    validator.start()
    body = os.urandom(2**20)
    put = requests.put(
        f"{validator.http}/blobs/{hashlib.sha256(body).hexdigest()}",
        data=body,
        headers=headers,
        timeout=PATIENCE_SECONDS,
    )
    assert (put.status_code, put.json()["detail"]) == (507, "the validator's disk is full")
    worker = LiveWorker(validator.url, tmp_path / "worker")
    worker.start()

    def post_all():
        while True:
            posted.append(validator.post(headers, synthetic(len(posted))))

    with pytest.raises((AssertionError, requests.ConnectionError)) as refused:
        post_all()
    assert "try again" in str(refused.value) or refused.type is requests.ConnectionError
    assert validator.process.wait(PATIENCE_SECONDS) == 2
    assert "Free space on the disk" in validator.log()
    assert "Traceback" not in validator.log()
    validator.engine = ENGINE
    validator.start()
    wait_until(lambda: validator.total("completed") >= len(posted), validator.log)
    worker.stop()
    with validator.store() as store:
        done = [store.tasks.task(task_id).status for task_id in posted]
    assert set(done) == {"completed"}
