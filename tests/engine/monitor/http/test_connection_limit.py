"""A server's connections: so many, and none that keeps its place by saying nothing."""

import asyncio
import contextlib
import socket
import threading
import time

import pytest
import uvicorn

from engine.monitor.http.connection_limit import at_most

SILENCE = 0.3
PATIENCE = 1.5
"""The silence that a server allows where it must not cut: long, for a machine with much to do."""
HEAD = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n"


async def echo(_scope, receive, send):
    """Answers with the body, after a thought that is longer than either silence."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await asyncio.sleep(1.2 * PATIENCE)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


@contextlib.contextmanager
def serving(silence):
    config = uvicorn.Config(
        echo, http=at_most(4, silence), ws="none", lifespan="off", log_config=None
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield listening.getsockname()
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="module")
def address():
    with serving(SILENCE) as address:
        yield address


@pytest.mark.parametrize("said", [b"", HEAD[:20], HEAD, HEAD + b"abc"])
def test_a_silent_connection_is_cut(address, said):
    with socket.create_connection(address, 20) as connection:
        connection.sendall(said)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""


def test_a_head_byte_by_byte_is_no_request(address):
    def drip(connection):
        for _ in range(200):
            connection.sendall(b"G")
            time.sleep(SILENCE / 8)

    with socket.create_connection(address, 20) as connection, pytest.raises(ConnectionError):
        drip(connection)


def test_who_speaks_slowly_is_heard_and_who_waits_is_answered():
    with serving(PATIENCE) as address, socket.create_connection(address, 20) as connection:
        connection.sendall(HEAD)
        for letter in b"abcd":
            time.sleep(PATIENCE / 3)
            connection.sendall(bytes([letter]))
        answer = b""
        while not answer.endswith(b"0\r\n\r\n"):  # the last chunk may come by itself
            piece = connection.recv(4096)
            assert piece
            answer += piece
        assert b"abcd" in answer
        with contextlib.suppress(ConnectionResetError):  # and then asks for nothing more
            assert connection.recv(1) == b""
