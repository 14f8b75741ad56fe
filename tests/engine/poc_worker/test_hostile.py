"""Validators that flood, lie, babble, stall and send what is far too large; over real sockets."""

import base64
import contextlib
import http.server
import re
import socket
import threading

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.utils import accept_key

from engine.poc_protocol import frames
from engine.poc_protocol.constants import MAX_FRAME_BYTES
from engine.poc_protocol.urls import check_validator_url
from engine.poc_worker.connection import Patience
from engine.poc_worker.replies import MAX_HELLOS
from engine.runtime.errors import BadInput
from node_client.route import CERTIFICATES
from tests.engine.poc_worker.conftest import Validator, job, receive, send
from tests.processes import PATIENCE_SECONDS, wait_until
from tests.tls import own_authority

NONCE = "5a" * 32


def test_garbage_is_refused_and_the_connection_lives_on(start, validator):
    running = start(validator.url)
    connection, _ = validator.accept(challenge=NONCE)
    for garbage in ("", "{", "[" * 5000, '"job"', '{"type": 7}', b"\0\1", '{"type": "open"}'):
        connection.send(garbage)
        assert receive(connection)["type"] == "protocol_error"
    for ignored in ('{"type": "weather"}', '{"type": "job_result", "job_id": "x"}'):
        connection.send(ignored)
    connection.send('{"type": "cancel", "job_id": "x", "whim": 1}')
    connection.send('{"type": "open", "job_id": "x", "leaves": [-1]}')
    error = receive(connection)
    assert (error["job_id"], error["code"]) == ("x", "invalid_payload")
    send(connection, job())
    assert receive(connection)["type"] == "job_result"
    assert len(running.events("validator_up")) == 1
    connection.close()
    wait_until(lambda: running.events("validator_down"))
    (counted,) = running.events("validator_down")
    assert (counted["unknown_types"], counted["unknown_fields"], counted["refused"]) == (2, 1, 8)


def test_a_validator_that_asks_for_hellos_without_end_is_told_of(start, validator):
    running = start(validator.url)
    connection, _ = validator.accept(challenge=NONCE)
    for _ in range(MAX_HELLOS):
        send(connection, frames.Challenge(protocol=1, chain_id="chain", nonce=NONCE))
    (told,) = wait_until(lambda: running.events("validator_refused"))
    assert told["reason"] == f"it asked for more than {MAX_HELLOS} on one connection"


def test_lines_that_are_left_out_are_counted(start, validator):
    running = start(validator.url)
    connection, _ = validator.accept()
    for _ in range(300):
        connection.send("{")

    def left_out():
        connection.send("{")
        return running.events("lines_dropped")

    (told, *_) = wait_until(left_out, every=0.1)
    assert told["count"] >= 1
    assert told["url"] == validator.url


def test_a_silent_validators_garbage_is_not_answered(start, validator):
    start(validator.url)
    connection, _ = validator.accept()
    connection.send("{")
    connection.send('{"type": "open", "job_id": "x", "leaves": [1]}')
    connection.send('{"type": "job", "job_id": "y", "task_id": "t", "payload": {}}')
    send(connection, job())
    assert receive(connection)["type"] == "job_result"


def test_frames_over_16_mib_are_refused_whole_or_in_pieces(start, validator):
    running = start(validator.url)
    connection, _ = validator.accept(challenge=NONCE)
    piece = "x" * (MAX_FRAME_BYTES // 2 + 1)
    for message in (piece * 2, [piece] * 3, ["{"] + [""] * 5000):
        connection.send(message)
        assert receive(connection) == {"type": "protocol_error", "code": "too_large"}
    send(connection, job())
    assert receive(connection)["type"] == "job_result"
    assert len(running.events("validator_up")) == 1


def test_a_frame_that_would_fill_the_memory_ends_the_connection(start, validator):
    running = start(validator.url)
    connection, _ = validator.accept(challenge=NONCE)
    # The length of a frame that never comes: 2^40 bytes of text.
    connection.socket.sendall(b"\x81\x7f" + (2**40).to_bytes(8))
    with pytest.raises(ConnectionClosed):
        connection.recv(timeout=PATIENCE_SECONDS)
    connection, _ = validator.accept(challenge=NONCE)
    send(connection, job())
    assert receive(connection)["type"] == "job_result"
    assert len(running.events("validator_up")) == 2


def test_a_message_without_end_ends_the_connection(start, validator):
    start(validator.url)
    connection, _ = validator.accept(challenge=NONCE)
    megabyte = "x" * 2**20

    def forever():
        while True:
            yield megabyte

    with pytest.raises(ConnectionClosed):
        connection.send(forever())
    connection, _ = validator.accept(challenge=NONCE)
    send(connection, job())
    assert receive(connection)["type"] == "job_result"


def test_a_flood_delays_its_sender_only(start, validator):
    other = Validator()
    try:
        running = start(validator.url, other.url)
        flooding, _ = validator.accept(challenge=NONCE)
        flood = threading.Thread(target=pour, args=(flooding, job(payload={}), 3000))
        flood.start()
        honest, _ = other.accept(challenge=NONCE)
        for n in range(5):
            send(honest, job(f"job-{n}"))
            assert receive(honest)["type"] == "job_result"
        assert len(running.told) < 400  # nor does it fill the log
        flooding.socket.shutdown(socket.SHUT_RDWR)
        flood.join(PATIENCE_SECONDS)
    finally:
        other.close()


def pour(connection, frame, count):
    try:
        for _ in range(count):
            send(connection, frame)
    except (ConnectionClosed, OSError):
        return


def test_who_does_not_read_loses_the_connection(start):
    """A result's data of 600 KB is asked for again and again, and none of it is read."""
    validator = Validator(max_queue=(1, 0))
    try:
        running = start(validator.url, patience=Patience(first=0.05, most=0.1, sending=0.3))
        connection, _ = validator.accept(challenge=NONCE)
        side = 400
        zeros = {"inline": base64.b64encode(bytes(side * side)).decode()}
        payload = {"challenge_type": "matmul", "a": zeros, "b": zeros, "return_data": True}
        send(connection, job(payload=payload | dict.fromkeys("mkn", side)))
        data = receive(connection)["data"]
        request = frames.BlobRequest(
            job_id="job-1", sha256=data["sha256"], offset=0, length=data["size"]
        )
        threading.Thread(target=pour, args=(connection, request, 1000), daemon=True).start()
        wait_until(lambda: running.events("validator_down"))
        assert "does not read" in running.events("validator_down")[0]["reason"]
    finally:
        validator.close()


def test_a_frame_that_comes_too_slowly_ends_the_connection(start, validator):
    patience = Patience(first=0.05, most=0.1, silence=0.3)
    running = start(validator.url, patience=patience)
    connection, _ = validator.accept(challenge=NONCE)
    connection.socket.sendall(b"\x81\x7e\x10\x00{")  # one byte of 4,096
    wait_until(lambda: running.events("validator_down"))
    connection, _ = validator.accept(challenge=NONCE)


def test_somebody_who_accepts_and_says_nothing(start):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        patience = Patience(first=0.05, most=0.1, opening=0.3)
        running = start(f"ws://127.0.0.1:{deaf.getsockname()[1]}/worker", patience=patience)
        wait_until(lambda: running.events("validator_down"))
        assert "did not answer" in running.events("validator_down")[0]["reason"]


def test_a_redirect_is_not_followed(start, validator):
    class Elsewhere(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(302)
            self.send_header("Location", validator.url)
            self.end_headers()

        def log_message(self, *_):
            return

    with http.server.HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running = start(f"ws://127.0.0.1:{server.server_address[1]}/worker")
        wait_until(lambda: running.events("validator_down"))
        assert running.events("validator_up") == []
        server.shutdown()


def test_one_that_gets_too_many_requests_is_left_alone_for_as_long_as_it_asks(start):
    asked = []

    class Busy(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            asked.append(self.path)
            self.send_response(429)
            self.send_header("Retry-After", "90")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            return

    with http.server.HTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running = start(f"ws://127.0.0.1:{server.server_address[1]}/worker")
        wait_until(lambda: running.events("validator_down"))
        (told,) = running.events("validator_down")
        assert told["seconds"] == 90
        assert asked == ["/worker"]
        server.shutdown()


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_certificate_is_checked(variable, start, tmp_path, monkeypatch):
    for name in CERTIFICATES:
        monkeypatch.delenv(name, raising=False)
    own = own_authority(tmp_path / "tls")
    validator = Validator(ssl=own.server)
    url = validator.url.replace("ws://127.0.0.1", "wss://localhost")
    try:
        distrustful = start(url, fresh=True)
        wait_until(lambda: distrustful.events("validator_down"))
        assert "certificate" in distrustful.events("validator_down")[0]["reason"]
        assert distrustful.events("validator_up") == []
        distrustful.stop()
        monkeypatch.setenv(variable, str(own.authority))
        start(url, fresh=True)
        _connection, hello = validator.accept(challenge=NONCE)
        assert hello["type"] == "hello"
    finally:
        validator.close()


@pytest.mark.parametrize(
    "url",
    [
        "ws://poc.example.org:8080/worker",
        "ws://10.0.0.7/worker",
        "ws://localhost.example.org/",
        "http://localhost:8080/worker",
        "localhost:8080",
        "wss://",
        "wss://user:secret@example.org/",
        "wss://example.org/#top",
        "wss://example.org:0/",
        "wss://example.org:99999/",
        "wss://[::1/",
        "wss://example.org/" + "x" * 300,
        "wss://ex\nample.org/",
        "",
    ],
)
def test_which_validators_are_not_dialled(url):

    with pytest.raises(BadInput):
        check_validator_url(url)


@pytest.mark.parametrize(
    "url", ["ws://127.0.0.1:8080/worker", "ws://[::1]:9/", "wss://poc.example.org/worker"]
)
def test_which_are(url):
    assert check_validator_url(url) == url


def test_unfinished_frames_of_several_validators_are_bounded_in_sum(start):
    """Of six frames that lack a byte each, one after the other has to go, and work goes on."""
    validators = [Validator() for _ in range(6)]
    try:
        running = start(*(one.url for one in validators))
        connections = [one.accept(challenge=NONCE)[0] for one in validators]
        for connection in connections[:5]:
            connection.socket.sendall(b"\x81\x7f" + MAX_FRAME_BYTES.to_bytes(8))
            pour_bytes(connection.socket, MAX_FRAME_BYTES - 1)
        wait_until(lambda: running.events("validator_down"))
        send(connections[5], job())
        assert receive(connections[5])["type"] == "job_result"
    finally:
        for one in validators:
            one.close()


def pour_bytes(stream, size):
    with contextlib.suppress(OSError):  # cut: its frame is the one that had to go
        stream.sendall(bytes(size))


def test_many_values_and_keys_twice_are_refused_before_they_are_parsed(start, validator):
    running = start(validator.url)
    connection, _ = validator.accept(challenge=NONCE)
    for text in (
        "[" + "[]," * 2**18 + "[]]",
        "[" * 2**16,
        '{"type": "cancel", "job_id": "x", "job_id": "y"}',
        '{"type": "job", "job_id": "x", "task_id": "t", "payload": {"x": Infinity}}',
    ):
        connection.send(text)
        assert receive(connection) == {"type": "protocol_error", "code": "not_json"}
    connection.send(
        f'{{"type": "challenge", "protocol": 1, "chain_id": "a b", "nonce": "{NONCE}"}}'
    )
    assert receive(connection)["code"] == "invalid_field"
    send(connection, job())
    assert receive(connection)["type"] == "job_result"
    assert len(running.events("validator_up")) == 1


def test_pings_whose_answers_nobody_reads_end_the_connection(start):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        start(f"ws://127.0.0.1:{listening.getsockname()[1]}/worker")
        connection, _ = listening.accept()
        with connection:
            asked = connection.recv(2**16).decode()
            key = re.search("Sec-WebSocket-Key: (.*)\r\n", asked)[1]
            lines = ("101 x", "Upgrade: websocket", f"Sec-WebSocket-Accept: {accept_key(key)}")
            answer = "\r\n".join(
                ["HTTP/1.1 " + lines[0], "Connection: Upgrade", *lines[1:], "", ""]
            )
            connection.sendall(answer.encode())
            with pytest.raises(OSError, match=r"reset|pipe"):
                pour_pings(connection)


def pour_pings(stream):
    ping = b"\x89\x7d" + bytes(125)
    for _ in range(2**10):
        stream.sendall(ping * 1000)
