"""A validator under 200 hostile connections of all kinds: its memory, and who is served meanwhile.

    python -m bench.hostile_market [SECONDS]        # prints figures; nothing is asserted

A real `cpc-engine validator serve`, hostile clients in a process of their own, an honest worker and a
customer whose jobs and requests are timed. All come from one address, the worst case for limits by it.
"""

import contextlib
import json
import multiprocessing
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import requests
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from engine.poc_protocol.constants import MAX_FRAME_BYTES
from engine.poc_protocol.digests import hello_digest
from engine.poc_protocol.frames import Capabilities, Hello, encode
from node_client.keys import PrivateKey
from tests.engine.validator.live import CHAIN, LiveValidator, LiveWorker

EACH = 25
"""Connections of each of the eight kinds."""
SECONDS = 20.0
MIB = 2**20
PATIENCE = 60.0
VALUES = b"[" + b"[]," * 260_000 + b"[]]"
ABLE = Capabilities(kinds=("matmul",), devices=(), matrix_size=1, iterations=1, product=1, jobs=1)


class Attack:
    """Hostile clients of one validator, each a thread that begins again whenever it is cut off."""

    def __init__(self, port: int, poor: str, rich: str) -> None:
        self.port, self.poor, self.rich = port, poor, rich

    def run(self, began: Any) -> None:
        """Attack until this process is ended."""
        kinds: list[Callable[[], None]] = [
            self.long_body,
            self.many_values,
            self.unfinished,
            self.slow_body,
            self.idle,
            self.idle_worker,
            self.blob,
            self.pieces,
        ]
        for kind in kinds:
            for _ in range(EACH):
                threading.Thread(target=self._again, args=(kind,), daemon=True).start()
        time.sleep(2)
        began.set()
        threading.Event().wait()

    def _again(self, kind: Callable[[], None]) -> None:
        while True:
            with contextlib.suppress(OSError, WebSocketException, EOFError, TimeoutError):
                kind()
            time.sleep(0.05)

    def long_body(self) -> None:
        """15 MiB of `[],` from a customer without credit."""
        self._send("POST", "/tasks", self.poor, 15 * MIB, b"[]," * (5 * MIB))

    def blob(self) -> None:
        """60 MiB from a customer without credit."""
        self._send("PUT", f"/blobs/{'ab' * 32}", self.poor, 60 * MIB, bytes(60 * MIB))

    def slow_body(self) -> None:
        """A customer's body that comes byte by byte."""
        with self._request("POST", "/tasks", self.rich, 15 * MIB) as sender:
            while True:
                sender.sendall(b"[")
                time.sleep(0.5)

    def idle(self) -> None:
        """A connection that says nothing."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as one:
            one.recv(1)

    def idle_worker(self) -> None:
        """A WebSocket that signs no hello."""
        with self._worker() as one:
            while True:
                one.recv(PATIENCE)

    def many_values(self) -> None:
        """Frames of 260,000 values, from nobody."""
        with self._worker() as one:
            while True:
                one.send(VALUES.decode())

    def unfinished(self) -> None:
        """A frame of 16 MiB that lacks its last byte, from whoever can make a key."""
        with self._worker() as one:
            nonce, key = json.loads(one.recv(PATIENCE))["nonce"], PrivateKey.generate()
            url = f"ws://127.0.0.1:{self.port}/worker"
            signature = key.sign_digest(hello_digest(nonce, CHAIN, url, key.address))
            one.send(
                encode(
                    Hello(
                        worker_address=key.address,
                        pub_key=key.public_key,
                        signature=signature,
                        capabilities=ABLE,
                        version="hostile",
                    )
                )
            )
            one.send("{")
            one.recv(PATIENCE)
            one.socket.sendall(b"\x81\xff" + MAX_FRAME_BYTES.to_bytes(8) + bytes(4))
            for _ in range(15):
                one.socket.sendall(bytes(MIB))
            one.recv(PATIENCE)

    def pieces(self) -> None:
        """A message in empty pieces, without end."""
        with self._worker() as one:
            one.socket.sendall(b"\x01\x80" + bytes(4))
            while True:
                one.socket.sendall((b"\x00\x80" + bytes(4)) * 1000)

    def _worker(self) -> Any:
        return connect(f"ws://127.0.0.1:{self.port}/worker", compression=None, max_size=2**25)

    def _request(self, method: str, path: str, token: str, size: int) -> socket.socket:
        sender = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        head = f"{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\n"
        sender.sendall(f"{head}content-length: {size}\r\n\r\n".encode())
        return sender

    def _send(self, method: str, path: str, token: str, size: int, body: bytes) -> None:
        with self._request(method, path, token, size) as sender:
            for offset in range(0, size, MIB):
                sender.sendall(body[offset : offset + MIB])
            sender.recv(4096)


def attack(port: int, poor: str, rich: str, began: Any) -> None:
    """Entry of the hostile process."""
    Attack(port, poor, rich).run(began)


def measure(validator: LiveValidator, headers: dict[str, str], seconds: float) -> dict[str, Any]:
    """Post jobs and ask for the list until the time is over; give latencies and the highest memory."""
    process = psutil.Process(validator.process.pid)
    most, asked, done = 0, list[float](), list[float]()
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        began = time.monotonic()
        requests.get(f"{validator.http}/tasks?limit=1", timeout=PATIENCE).raise_for_status()
        asked.append(time.monotonic() - began)
        began, number = time.monotonic(), number + 1
        payload = {"challenge_type": "synthetic", "seed": f"{number:08x}", "matrix_size": 64}
        task_id = validator.post(headers, payload)
        while True:
            answer = requests.get(f"{validator.http}/tasks/{task_id}", timeout=PATIENCE)
            most = max(most, process.memory_info().rss)
            if answer.json()["status"] == "completed":
                break
            time.sleep(0.02)
        done.append(time.monotonic() - began)
    return {
        "memory_mib": round(most / MIB),
        "request_ms": _figures(asked),
        "job_ms": _figures(done),
        "jobs": len(done),
    }


def _figures(times: list[float]) -> dict[str, float]:
    return {
        "median": round(1000 * statistics.median(times), 1),
        "most": round(1000 * max(times), 1),
    }


def main(seconds: float = SECONDS) -> dict[str, dict[str, Any]]:
    """Measure at peace, and under attack."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        validator = LiveValidator(path)
        headers, rich = validator.customer(), validator.customer("mallory")
        poor = validator.customer("nobody", units=0)
        validator.start()
        worker = LiveWorker(validator.url, path / "worker")
        context = multiprocessing.get_context("spawn")
        began = context.Event()
        tokens = (poor["authorization"], rich["authorization"])
        hostile = context.Process(target=attack, args=(validator.port, *tokens, began), daemon=True)
        try:
            worker.start()
            figures = {"peace": measure(validator, headers, seconds / 4)}
            hostile.start()
            began.wait(PATIENCE)
            figures["attack"] = measure(validator, headers, seconds)
            figures["attack"]["reconnected"] = worker.connections - 1
        finally:
            if hostile.pid is not None:
                hostile.kill()
            worker.stop()
            validator.stop()
        return figures


if __name__ == "__main__":
    print(json.dumps(main(*map(float, sys.argv[1:])), indent=2))
