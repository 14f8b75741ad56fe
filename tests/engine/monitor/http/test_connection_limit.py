"""A server's connections: so many, and none that keeps its place by saying nothing.

The server's clock is the test's: time passes when a test says so, however busy the machine is.
"""

import asyncio
import contextlib
import queue
import socket
import threading

import pytest
import uvicorn

from engine.monitor.http.connection_limit import at_most
from tests.processes import PATIENCE_SECONDS

SILENCE = 3600.0
HEAD = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\n"


class Clock(asyncio.SelectorEventLoop):
    """An event loop whose time can be put forward from another thread."""

    ahead = 0.0

    def time(self):
        return super().time() + self.ahead

    def pass_by(self, seconds):
        """Returns when everything that was due by then has been called."""
        asyncio.run_coroutine_threadsafe(self._pass_by(seconds), self).result(PATIENCE_SECONDS)

    async def _pass_by(self, seconds):
        await asyncio.sleep(0)  # so that what was sent before is read before
        self.ahead += seconds
        await asyncio.sleep(0)


class Echo:
    """Answers with the body, after a thought that is longer than the silence."""

    def __init__(self):
        self.heard = queue.SimpleQueue()

    async def __call__(self, _scope, receive, send):
        self.heard.put(b"")
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            self.heard.put(message.get("body", b""))
            body += message.get("body", b"")
            more = message.get("more_body", False)
        await asyncio.sleep(1.2 * SILENCE)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    def wait_for(self, wanted):
        """Until the application was given this much."""
        heard = b""
        while heard != wanted:
            heard += self.heard.get(timeout=PATIENCE_SECONDS)


@pytest.fixture
def echo():
    return Echo()


class Large:
    """Answers with more than any socket holds; `sent` counts its pieces."""

    pieces = 1000
    piece = bytes(2**20)
    sent = 0

    async def __call__(self, _scope, _receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while self.sent < self.pieces:
            await send({"type": "http.response.body", "body": self.piece, "more_body": True})
            self.sent += 1
        await send({"type": "http.response.body"})


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def connection(echo, clock):
    """One to a server that runs beside the test."""
    with served(echo, clock) as connection:
        yield connection


@contextlib.contextmanager
def served(app, clock):
    config = uvicorn.Config(
        app, http=at_most(4, SILENCE), ws="none", lifespan="off", log_config=None
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            with asyncio.Runner(loop_factory=lambda: clock) as runner:
                runner.run(server.serve(sockets=[listening]))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            with socket.create_connection(listening.getsockname(), PATIENCE_SECONDS) as connection:
                yield connection
        finally:
            server.should_exit = True
            thread.join(PATIENCE_SECONDS)
        assert not thread.is_alive()


def is_cut(connection):
    connection.settimeout(0.1)
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


@pytest.mark.parametrize("said", [b"", HEAD[:20], HEAD, HEAD + b"abc"])
def test_a_silent_connection_is_cut(connection, clock, said):
    connection.sendall(said)
    while not is_cut(connection):  # more than once: it may still have been reading
        clock.pass_by(1.01 * SILENCE)


def test_a_head_byte_by_byte_is_no_request(connection, clock):
    def drip():
        for _ in range(200):
            connection.sendall(b"G")
            clock.pass_by(SILENCE / 8)

    with pytest.raises(ConnectionError):
        drip()


def test_who_speaks_slowly_is_heard_and_who_waits_is_answered(connection, echo, clock):
    connection.sendall(HEAD)
    echo.wait_for(b"")
    for letter in b"abcd":
        clock.pass_by(0.8 * SILENCE)
        connection.sendall(bytes([letter]))
        echo.wait_for(bytes([letter]))
    clock.pass_by(1.1 * SILENCE)
    assert not is_cut(connection)
    clock.pass_by(0.2 * SILENCE)
    connection.settimeout(PATIENCE_SECONDS)
    answer = b""
    while b"abcd" not in answer:
        piece = connection.recv(4096)
        assert piece
        answer += piece
    while not is_cut(connection):  # and then asks for nothing more
        clock.pass_by(SILENCE)


def test_who_does_not_read_the_answer_is_cut_and_who_reads_slowly_is_not(clock):
    app = Large()
    with served(app, clock) as connection:
        connection.sendall(HEAD + b"abcd")
        for _slow in range(30):
            before = app.sent
            while app.sent == before:  # a piece has found its place in the buffers
                connection.recv(2**16)
            clock.pass_by(0.8 * SILENCE)

        def wait():
            for _again in range(100):
                clock.pass_by(1.1 * SILENCE)
                connection.sendall(b"x")

        with pytest.raises(ConnectionError):
            wait()
