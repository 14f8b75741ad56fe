"""What strangers, customers without credit and hostile workers send to a validator that runs.

Each of these once took gigabytes or half a minute; `bench/hostile_market.py` does all of them at once.
"""

import hashlib
import json
import socket

import psutil
import pytest
import requests
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from bench.hostile_market import main
from engine.poc_protocol.constants import FIRST_FRAME_BYTES, FIRST_ITEMS, MAX_FRAME_BYTES
from engine.poc_protocol.digests import hello_digest
from engine.poc_protocol.frames import Capabilities, Hello, encode
from node_client.keys import PrivateKey
from tests.engine.validator.live import CHAIN, LiveValidator, LiveWorker
from tests.processes import PATIENCE_SECONDS, wait_until

MANY_VALUES = "[" + "[]," * 260_000 + "[]]"


@pytest.fixture(scope="module")
def validator(tmp_path_factory):
    one = LiveValidator(tmp_path_factory.mktemp("validator"))
    one.headers = one.customer()
    one.poor = one.customer("bob", units=0)
    one.start()
    yield one
    one.stop()
    assert "Traceback" not in one.log()


def memory(validator):
    """Resident bytes of the validator's own process."""
    return psutil.Process(validator.process.pid).memory_info().rss


@pytest.fixture
def grows(validator):
    """How much more the validator holds at the end than before, at most this."""
    before = memory(validator)

    def check(most):
        assert memory(validator) - before < most

    return check


def dial(validator):
    return connect(validator.url, compression=None, max_size=2**25, legacy=True)


def greeted(validator):
    connection = dial(validator)
    challenge = json.loads(connection.recv(PATIENCE_SECONDS))
    key = PrivateKey.generate()
    digest = hello_digest(challenge["nonce"], CHAIN, validator.url, key.address)
    able = Capabilities(
        kinds=("matmul",), devices=(), matrix_size=1, iterations=1, product=1, jobs=1
    )
    connection.send(
        encode(
            Hello(
                worker_address=key.address,
                pub_key=key.public_key,
                signature=key.sign_digest(digest),
                capabilities=able,
                version="test",
            )
        )
    )
    assert answer(connection, "{") == "not_json"  # so the hello was read before
    return connection


def half_request(validator, method, path, size, headers):
    """A request whose body does not come; gives the socket."""
    sender = socket.create_connection(("127.0.0.1", validator.port), PATIENCE_SECONDS)
    head = [f"{method} {path} HTTP/1.1", "host: x", f"content-length: {size}"]
    head += [f"{name}: {value}" for name, value in headers.items()]
    sender.sendall("\r\n".join([*head, "", ""]).encode())
    return sender


def status_of(sender):
    with sender:
        return int(sender.recv(4096).split()[1])


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/tasks"), ("PUT", "/blobs/" + "ab" * 32)], ids=["post", "blob"]
)
def test_a_body_without_token_or_credit_is_refused_before_it_comes(validator, method, path):
    refused = [
        status_of(half_request(validator, method, path, 15 * 2**20, headers))
        for headers in ({}, {"authorization": "Bearer cpc_guess"}, validator.poor)
    ]
    assert refused == [401, 401, 402]


def test_a_body_of_many_values_is_refused_before_it_is_parsed(validator, grows):
    head = b'{"challenge_type": "synthetic", "reward": "1", "deadline": 4e9, "payload": {"x": ['
    body = head + b"[]," * (5 * 2**20) + b"[]]}}"
    answer = requests.post(
        f"{validator.http}/tasks", data=body, headers=validator.headers, timeout=PATIENCE_SECONDS
    )
    assert answer.status_code == 422
    assert "values" in answer.json()["detail"]
    grows(100 * 2**20)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_none_is_refused_with_a_sentence(validator, number):
    refuse(validator, f'"note": {number}')


def test_a_key_twice_is_refused_with_a_sentence(validator):
    refuse(validator, '"matrix_size": 128')


def refuse(validator, field):
    payload = f'{{"seed": "00ff", "matrix_size": 64, "iterations": 1, {field}}}'
    body = (
        f'{{"challenge_type": "synthetic", "payload": {payload}, "reward": "1", "deadline": 4e9}}'
    )
    before = validator.total()
    answer = requests.post(
        f"{validator.http}/tasks", data=body, headers=validator.headers, timeout=PATIENCE_SECONDS
    )
    assert answer.status_code == 422, answer.text
    assert "the body is not taken: " in answer.json()["detail"]
    assert validator.total() == before


def test_a_strangers_frames_are_short_and_have_few_values(validator, grows):
    with dial(validator) as stranger:
        json.loads(stranger.recv(PATIENCE_SECONDS))
        stranger.send("[" + "0," * FIRST_ITEMS + "0]")
        assert json.loads(stranger.recv(PATIENCE_SECONDS))["code"] == "not_json"
        with pytest.raises(ConnectionClosed) as closed:
            answer(stranger, MANY_VALUES)
        if closed.value.rcvd is not None:  # else it was cut while it still sent
            assert closed.value.rcvd.code == 1009
    grows(50 * 2**20)


def test_a_worker_that_signed_a_hello_may_send_long_frames(validator):
    with greeted(validator) as worker:
        assert answer(worker, " " * FIRST_FRAME_BYTES + "{") == "not_json"
        assert answer(worker, "x" * (MAX_FRAME_BYTES + 1)) == "too_large"
        assert answer(worker, MANY_VALUES[:-1] + ",[]" * 3000 + "]") == "not_json"
        assert answer(worker, "{") == "not_json"


def answer(worker, text):
    worker.send(text)
    return json.loads(worker.recv(PATIENCE_SECONDS))["code"]


def unfinished(validator, declared, sent):
    """A greeted worker's text frame of which only the first bytes come."""
    worker = greeted(validator)
    worker.socket.sendall(b"\x81\xff" + declared.to_bytes(8) + bytes(4) + b"x" * sent)
    return worker


def test_unfinished_frames_are_bounded_in_sum(validator, grows):
    """The oldest have to go, and whoever sends whole frames is served."""
    workers = []
    try:
        for _ in range(12):
            workers.append(unfinished(validator, MAX_FRAME_BYTES, MAX_FRAME_BYTES - 1))
        with pytest.raises(ConnectionClosed) as closed:
            workers[0].recv(PATIENCE_SECONDS)
        assert closed.value.rcvd.code == 1013
        grows(200 * 2**20)
        with greeted(validator) as honest:
            assert answer(honest, " " * FIRST_FRAME_BYTES + "{") == "not_json"
    finally:
        for worker in workers:
            worker.socket.close()


def pour(stream, content):
    for _ in range(10_000):
        stream.sendall(content)


def test_pieces_without_end_end_the_connection(validator, grows):
    with dial(validator) as stranger:
        stranger.socket.sendall(b"\x01\x80" + bytes(4))
        with pytest.raises(OSError, match=r"reset|pipe|descriptor"):
            pour(stranger.socket, (b"\x00\x80" + bytes(4)) * 1000)
        stranger.socket.close()
    grows(50 * 2**20)


def test_pings_without_end_end_the_connection(validator):
    with dial(validator) as stranger:
        with pytest.raises(OSError, match=r"reset|pipe|descriptor"):
            pour(stranger.socket, (b"\x89\xfd" + bytes(4) + bytes(125)) * 100)
        stranger.socket.close()


def test_blobs_are_bounded_by_credit(validator):
    small = validator.customer("carol", units=10**16)  # 0.01 CPC
    content = bytes(2**20)
    name = hashlib.sha256(content).hexdigest()
    sender = half_request(validator, "PUT", f"/blobs/{name}", 2**20, small)
    assert status_of(sender) == 402
    kept = requests.put(
        f"{validator.http}/blobs/{name}",
        data=content,
        headers=validator.headers,
        timeout=PATIENCE_SECONDS,
    )
    assert kept.json() == {"sha256": name, "size": 2**20}


def test_idle_strangers_make_way_for_a_worker(validator, tmp_path):
    crowd = [dial(validator) for _ in range(40)]
    worker = LiveWorker(validator.url, tmp_path)
    worker.start()
    try:
        payload = {"challenge_type": "synthetic", "seed": "0042", "matrix_size": 64}
        validator.post(validator.headers, payload)
        wait_until(lambda: validator.total("completed") == 1)
        json.loads(crowd[0].recv(PATIENCE_SECONDS))  # the challenge
        with pytest.raises(ConnectionClosed) as closed:
            crowd[0].recv(PATIENCE_SECONDS)
        assert "another worker needs the place" in closed.value.rcvd.reason
    finally:
        worker.stop()
        for one in crowd:
            one.socket.close()


@pytest.mark.long
def test_under_all_kinds_of_attacks_at_once_workers_and_customers_are_served():
    """200 hostile connections, one honest worker, one customer, and less than 1 GiB."""
    attacked = main(seconds=20.0)["attack"]
    assert attacked["memory_mib"] < 1024
    assert attacked["jobs"] >= 1
    assert attacked["reconnected"] == 0
