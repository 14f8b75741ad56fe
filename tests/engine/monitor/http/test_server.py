"""The server itself: a crowd of connections takes no file descriptors from the process that mines."""

import socket

from engine.monitor.http.server import MOST_CONNECTIONS, ServerThread, listen_at
from tests.processes import PATIENCE_SECONDS, wait_until


async def nothing(_scope, _receive, _send):
    raise AssertionError("nobody asks")


def is_open(connection):
    connection.settimeout(0.01)
    try:
        return connection.recv(1) != b""
    except TimeoutError:
        return True
    except OSError:
        return False


def test_connections_that_ask_for_nothing_are_no_more_than_so_many():
    listening = listen_at("127.0.0.1", 0)
    address = listening.getsockname()
    with ServerThread(listening, lambda: nothing, "test") as server:
        server.wait()
        crowd = [
            socket.create_connection(address, PATIENCE_SECONDS)
            for _ in range(MOST_CONNECTIONS + 20)
        ]
        try:
            wait_until(lambda: sum(not is_open(one) for one in crowd) >= 20, "twenty to be cut")
            assert sum(not is_open(one) for one in crowd) == 20
        finally:
            for one in crowd:
                one.close()
