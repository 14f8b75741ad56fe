"""A reporter that remembers, and a node in a thread while the test makes trouble."""

import contextlib
import queue
import threading
import time

from engine.node.node import run_node
from engine.runtime.errors import EngineError

PATIENCE = 90.0


class Log:
    """Events in order; `error` is what the node ended with, `summary` what it did."""

    def __init__(self):
        self.events = []
        self.error = None
        self.summary = None

    def __call__(self, event):
        self.events.append((event.event, event.fields()))

    def all(self, name):
        return [fields for event, fields in self.events if event == name]

    def wait(self, name, count=1, seconds=PATIENCE):
        deadline = time.monotonic() + seconds
        while len(self.all(name)) < count:
            assert self.error is None, self.error
            assert time.monotonic() < deadline, self.events[-20:]
            time.sleep(0.01)

    @contextlib.contextmanager
    def mining(self, request, key, **options):
        """A node that runs while the body does, and is stopped at its end. Gives the node."""
        nodes = queue.SimpleQueue()

        @contextlib.contextmanager
        def attend(node):
            nodes.put(node)
            yield

        def run():
            try:
                self.summary = run_node(request, key, self, attend, **options)
            except EngineError as error:
                self.error = error

        thread = threading.Thread(target=run)
        thread.start()
        node = nodes.get(timeout=PATIENCE)
        try:
            yield node
        finally:
            node.stop()
            thread.join(timeout=PATIENCE)
            assert not thread.is_alive(), self.events[-20:]
