"""What these tests share: the recorded keys, drafts, and a server that does as it is told."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from node_client.keys import PrivateKey
from node_client.transaction import BASE_GAS, Transaction, TxType

TASK_ID = "550e8400-e29b-41d4-a716-446655440000"


@pytest.fixture(scope="session")
def keys(vectors: Any) -> list[PrivateKey]:
    return [PrivateKey.from_hex(entry["private_key"]) for entry in vectors("keys")]


@pytest.fixture(scope="session")
def key(keys: list[PrivateKey]) -> PrivateKey:
    return keys[0]


@pytest.fixture(scope="session")
def draft(keys: list[PrivateKey]) -> Callable[..., Transaction]:
    """`draft("TRANSFER", nonce=3)`: an unsigned transaction of the first key; fields override."""

    def make(tx_type: str = "SUBMIT_RESULT", **fields: Any) -> Transaction:
        kind = TxType(tx_type)
        result = {
            "task_id": TASK_ID,
            "worker_address": keys[0].address,
            "result_hash": "ab" * 32,
            "proof": "",
            "nonce": 0,
            "signature": "",
        }
        to_a_validator = {"validator": keys[1].validator_address}
        payloads = {
            TxType.TRANSFER: {},
            TxType.SUBMIT_RESULT: result,
            TxType.DELEGATE: to_a_validator,
            TxType.UNDELEGATE: to_a_validator,
        }
        usual = {
            "tx_type": kind,
            "from_address": keys[0].address,
            "to_address": keys[1].address if kind is TxType.TRANSFER else None,
            "amount": 0 if kind is TxType.SUBMIT_RESULT else 10**18,
            "nonce": 0,
            "gas_price": 1000,
            "gas_limit": BASE_GAS[kind],
            "payload": payloads.get(kind, {"pub_key": keys[0].public_key}),
        }
        return Transaction.model_validate(usual | fields)

    return make


def http(body: bytes | str | object, status: str = "200 OK", *headers: str) -> bytes:
    """A whole answer; anything but bytes and text is sent as JSON."""
    if not isinstance(body, bytes | str):
        body = json.dumps(body)
    raw = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(raw)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + raw


type Act = Callable[[socket.socket, str], None]


class Villain:
    """An HTTP server of raw bytes: `answer(request line, body)` gives bytes, or acts by itself."""

    def __init__(self) -> None:
        self.answer: bytes | Act | list[bytes | Act] = b""
        self.requests: list[str] = []
        self.bodies: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.stopping = threading.Event()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        self.stopping.set()
        for held in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)
            held.close()

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            while True:
                head = b""
                while b"\r\n\r\n" not in head:
                    if not (piece := connection.recv(65536)):
                        return
                    head += piece
                head, _, body = head.partition(b"\r\n\r\n")
                length = 0
                for line in head.split(b"\r\n"):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                while len(body) < length:
                    body += connection.recv(65536)
                self.requests.append(head.split(b"\r\n")[0].decode().removesuffix(" HTTP/1.1"))
                self.bodies.append(body)
                answer = self.answer
                if isinstance(answer, list):
                    answer = answer.pop(0) if len(answer) > 1 else answer[0]
                if callable(answer):
                    answer(connection, self.requests[-1])
                    return
                connection.sendall(answer)


@pytest.fixture
def villain() -> Iterator[Villain]:
    server = Villain()
    yield server
    server.stop()


@pytest.fixture
def villains() -> Iterator[Callable[[], Villain]]:
    made: list[Villain] = []

    def make() -> Villain:
        made.append(Villain())
        return made[-1]

    yield make
    for server in made:
        server.stop()


@pytest.fixture(scope="session")
def as_http() -> Callable[..., bytes]:
    return http


@pytest.fixture
def dead_url() -> str:
    """A URL where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
