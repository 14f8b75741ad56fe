"""`cpc-engine work`, and `mine --validator`: whole processes, against validators of the test's own."""

import json
import os
import queue
import re
import subprocess
import threading
import time
import uuid

import pytest
import requests

from engine.poc_protocol import frames
from kernels.devices import open_device
from kernels.task import Task
from node_client.rpc import NodeClient
from tests.engine.poc_worker.conftest import Validator, job, receive, send, synthetic
from tests.processes import ENGINE, PATIENCE_SECONDS, end, free_port, started, wait_until

NONCE = "5a" * 32
SEED = b"\1" * 31 + b"\2"


@pytest.fixture
def validator():
    server = Validator()
    yield server
    server.close()


@pytest.fixture
def work(home):
    """`work("--validator ...")` starts a process; gives it and its events."""
    started = []

    def go(line):
        process = subprocess.Popen(
            [*ENGINE, "work", *line.split()],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.getcwd()},  # noqa: PTH109
        )
        events = queue.Queue()
        threading.Thread(
            target=lambda: [events.put(json.loads(line)) for line in process.stdout], daemon=True
        ).start()
        started.append(process)
        return process, events

    yield go
    for process in started:
        end(process)
        process.stdout.close()


def wait_for(events, name):
    while (event := events.get(timeout=PATIENCE_SECONDS))["event"] != name:
        pass
    return event


def root_of(size):
    with open_device("reference") as device:
        return device.compute(Task(SEED, size)).root.hex()


def test_a_worker_killed_in_mid_job_answers_once_after_its_restart(work, validator, keys):
    line = f"--validator {validator.url} --device reference --json"
    process, events = work(line)
    connection, _ = validator.accept(challenge=NONCE)
    send(connection, job(payload=synthetic(size=300)))
    wait_for(events, "job_taken")
    process.kill()
    process, events = work(line)
    connection, hello = validator.accept(challenge=NONCE)
    assert hello["worker_address"] == keys["worker"].address
    send(connection, job(payload=synthetic(size=300)))
    assert receive(connection, timeout=PATIENCE_SECONDS)["result_hash"] == root_of(300)
    wait_for(events, "job_done")
    send(connection, job(payload=synthetic(size=300)))
    assert receive(connection)["result_hash"] == root_of(300)
    send(connection, frames.Verdict(job_id="job-1", accepted=True))
    wait_for(events, "result_accepted")
    process.terminate()
    summary = wait_for(events, "work_summary")
    assert (summary["taken"], summary["computed"], summary["accepted"]) == (1, 1, 1)
    assert process.wait(PATIENCE_SECONDS) == 0


def submitted(node, address):
    """Task ids that the chain's blocks have results of."""
    client = NodeClient([node])
    found = []
    for height in range(client.status().height + 1):
        for tx in client.block(height).txs:
            if tx.tx_type == "SUBMIT_RESULT" and tx.from_address == address:
                found.append(tx.compute_result())
    return {result.task_id: result.result_hash for result in found}


def test_results_are_sent_to_the_chain_when_their_validator_has_accepted_them(
    work, validator, devnet, keys
):
    chain = NodeClient([devnet.url]).block(0).header.chain_id
    _, events = work(f"--validator {validator.url} --device reference --submit --json")
    connection, _ = validator.accept()
    send(connection, frames.Challenge(protocol=1, chain_id=chain, nonce=NONCE))
    assert receive(connection)["type"] == "hello"
    accepted, refused = str(uuid.uuid4()), str(uuid.uuid4())
    derived = str(uuid.uuid5(uuid.NAMESPACE_URL, "cpc:task:of a block"))
    for n, task_id in enumerate((refused, derived, "no uuid", accepted)):
        send(
            connection,
            frames.JobRequest(job_id=f"j{n}", task_id=task_id, payload=synthetic(size=16)),
        )
        assert receive(connection, timeout=PATIENCE_SECONDS)["result_hash"] == root_of(16)
        send(connection, frames.Verdict(job_id=f"j{n}", accepted=task_id != refused))
    wait_for(events, "job_not_submitted")
    wait_for(events, "job_not_submitted")
    wait_for(events, "confirmed")
    assert submitted(devnet.url, keys["worker"].address) == {accepted: root_of(16)}


def test_mine_works_for_a_validator_beside_the_blocks(cli, validator, devnet, keys):
    answers = []

    def validate():
        connection, _ = validator.accept()  # one that knows the guide's messages only
        for n in range(4):
            task_id = str(uuid.uuid4())
            send(
                connection, frames.JobRequest(job_id=f"j{n}", task_id=task_id, payload=synthetic())
            )
            answers.append((task_id, receive(connection, timeout=PATIENCE_SECONDS)["result_hash"]))

    thread = threading.Thread(target=validate)
    thread.start()
    mined = cli(
        f"mine --blocks 6 --depth 1 --device reference --json --validator {validator.url} --submit"
    )
    thread.join(PATIENCE_SECONDS)
    assert mined.code == 0, mined
    summary = json.loads(mined.out.splitlines()[-1])
    assert summary["confirmed"] > 0
    assert {root for _, root in answers} == {root_of(32)}
    sent = submitted(devnet.url, keys["worker"].address)
    of_jobs = sent.items() & set(answers)
    assert len(answers) == 4
    assert of_jobs
    assert len(sent) > len(of_jobs)  # the rest are the blocks'


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("work", "no validator"),
        ("work --validator ws://poc.example.org/worker", "not encrypted"),
        ("work --validator wss://a.example/ --validator wss://a.example/", "twice"),
        ("work --validator ws://localhost:1/ --job-kind weather", "no installed package"),
        ("work --validator ws://localhost:1/ --from nobody", "nobody"),
        ("mine --devnet --submit", "no validator is named"),
        ("mine --devnet --validator ws://10.0.0.7/worker", "not encrypted"),
    ],
)
def test_bad_input_is_one_sentence(cli, line, words):
    said = cli(line)
    assert said.code == 2
    assert words in said.err


def test_work_is_watched_paused_and_measured_as_mine_is(home, validator, keys, cli):
    url = f"http://127.0.0.1:{free_port()}"
    line = f"work --validator {validator.url} --device reference --http {url[7:]}"
    with started([*ENGINE, *line.split()], stdout=subprocess.PIPE, text=True) as process:
        connection, _ = validator.accept(challenge=NONCE)
        send(connection, job(payload=synthetic(size=40)))
        assert receive(connection, timeout=PATIENCE_SECONDS)["result_hash"] == root_of(40)
        send(connection, frames.Verdict(job_id="job-1", accepted=True))
        send(connection, job(job_id="job-2", payload={"challenge_type": "no such"}))

        def jobs():
            seen = requests.get(f"{url}/status", timeout=PATIENCE_SECONDS).json()
            return seen if seen["jobs"]["accepted"] and seen["jobs"]["declined"] else None

        seen = wait_until(jobs, "the verdict to be counted")
        assert seen["state"] == "working"
        assert seen["address"] == keys["worker"].address
        assert seen["jobs"] == {
            "validators": [validator.url],
            "taken": 1,
            "computed": 1,
            "accepted": 1,
            "rejected": 0,
            "declined": 1,
        }
        (device,) = seen["devices"]
        assert device["tasks"] == 1
        assert device["operations"] >= 2 * 40**3
        metrics = requests.get(f"{url}/metrics", timeout=PATIENCE_SECONDS).text.splitlines()
        assert 'cpc_engine_jobs_total{outcome="accepted"} 1.0' in metrics
        assert 'cpc_engine_state{state="working"} 1.0' in metrics
        assert requests.get(f"{url}/healthz", timeout=PATIENCE_SECONDS).status_code == 200
        shown = cli("status").out
        assert "working for validators" in shown
        assert validator.url in shown
        assert "paused, asked for" in cli("pause").out
        assert cli("resume").code == 0
        process.terminate()
        out, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0
    assert "Jobs computed so far: 1, 1 accepted" in out


def test_a_job_that_cannot_end_before_its_deadline_is_declined_before_it_begins(
    work, validator, keys
):
    _, events = work(f"--validator {validator.url} --device reference --json")
    connection, _ = validator.accept(challenge=NONCE)
    send(connection, job(job_id="first", payload=synthetic(size=300)))
    assert receive(connection, timeout=PATIENCE_SECONDS)["result_hash"] == root_of(300)
    large = synthetic(size=8000)
    send(connection, job(job_id="late", payload=large, deadline=time.time() + 5))
    told = wait_for(events, "job_declined")
    assert (told["job_id"], told["code"]) == ("late", "deadline")
    assert "on the fastest device here" in told["message"]
    send(connection, job(job_id="next", payload=synthetic(size=32), deadline=time.time() + 600))
    assert receive(connection, timeout=PATIENCE_SECONDS)["code"] == "deadline"
    assert receive(connection, timeout=PATIENCE_SECONDS)["result_hash"] == root_of(32)


def test_a_job_that_a_worker_process_has_no_room_for_is_declined_with_both_sizes(
    work, validator, keys
):
    _, events = work(f"--validator {validator.url} --device reference --child-memory 100M --json")
    wait_for(events, "ready")
    connection, _ = validator.accept(challenge=NONCE)
    send(connection, job(job_id="large", payload=synthetic(size=8192)))
    told = wait_for(events, "job_declined")
    said = r"it takes (\d+) MiB of memory, and reference may take (\d+) MiB"
    found = re.search(said, told["message"])
    assert found, told["message"]
    needed, room = map(int, found.groups())
    assert needed == (8192**2 + 64 * 8192 * 32) / 2**20 > room > 0
    assert receive(connection, timeout=PATIENCE_SECONDS)["code"] == told["code"] == "too_large"
    send(connection, job(job_id="next", payload=synthetic(size=64)))
    assert receive(connection, timeout=PATIENCE_SECONDS)["result_hash"] == root_of(64)


@pytest.mark.slow
def test_what_is_paid_is_seen_though_nothing_is_sent_to_the_chain(
    work, validator, devnet, keys, cli
):
    """Asked of the node: at the start, then now and then."""
    process, events = work(f"--validator {validator.url} --device reference --json")
    wait_for(events, "ready")
    wait_until(lambda: cli("status --json").json()[0]["balance"] == "1000", "the balance")
    assert cli(f"tx send {keys['worker'].address} 2.5 --from faucet --wait 30").code == 0
    assert wait_for(events, "balance_rose")["cpc"] == "2.5"
    (status,) = cli("status --json").json()
    assert status["run"]["received"] == "2.5"
    assert status["balance"] == "1002.5"
    process.terminate()
    assert wait_for(events, "work_summary")["received"] == 25 * 10**17
