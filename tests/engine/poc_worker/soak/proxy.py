"""A TCP proxy that cuts connections when it is told to: what lies between a worker and a validator."""

import random
import socket
import threading
from contextlib import suppress

from tests.processes import PATIENCE_SECONDS


class Proxy:
    """Listens at `port`, forwards to `target`. A context manager."""

    def __init__(self, target):
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._pairs = set()
        self._lock = threading.Lock()

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._listening.close()
        while self.cut(random.Random(0)):
            pass

    def cut(self, chance):
        """Cut one connection in both directions; False where there is none."""
        with self._lock:
            if not self._pairs:
                return False
            pair = chance.choice(sorted(self._pairs, key=id))
            self._pairs.discard(pair)
        for end in pair:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        return True

    def _accept(self):
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(
                    ("127.0.0.1", self._target), timeout=PATIENCE_SECONDS
                )
            except OSError:
                near.close()
                continue
            pair = (near, far)
            with self._lock:
                self._pairs.add(pair)
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink, pair), daemon=True).start()

    def _pump(self, source, sink, pair):
        with suppress(OSError):
            source.settimeout(None)
            while data := source.recv(65536):
                sink.sendall(data)
        with self._lock:
            self._pairs.discard(pair)
        for end in pair:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
