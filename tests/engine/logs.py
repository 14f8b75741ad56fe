"""A reporter that remembers, and a node in a thread while the test makes trouble."""

import contextlib
import queue
import threading

from engine.node.node import run_node
from engine.runtime.errors import EngineError
from tests.processes import PATIENCE_SECONDS, wait_until


class Log:
    """Events in order; `error` is what the node ended with, `summary` what it did."""

    def __init__(self):
        self.events = []
        self.error = None
        self.summary = None

    def __call__(self, event):
        self.events.append((event.event, event.fields()))

    def all(self, name, **wanted):
        """The fields of the events of that name that have these among them."""
        return [
            fields
            for event, fields in self.events
            if event == name and fields.items() >= wanted.items()
        ]

    def wait(self, name, count=1, **wanted):
        """Until there were so many events of that name."""

        def came():
            assert self.error is None, self.error
            return len(self.all(name, **wanted)) >= count

        wait_until(came, lambda: f"{count} x {name} {wanted} after {str(self.events[-8:])[-1500:]}")

    @contextlib.contextmanager
    def mining(self, request, key, *attending, report=None, **options):
        """A node that runs while the body does, and is stopped at its end. Gives the node.

        `report`: what the node reports to, where it is not this log itself.
        """
        nodes = queue.SimpleQueue()

        @contextlib.contextmanager
        def attend(node):
            nodes.put(node)
            yield

        def run():
            try:
                self.summary = run_node(request, key, report or self, attend, *attending, **options)
            except EngineError as error:
                self.error = error

        thread = threading.Thread(target=run)
        thread.start()
        node = nodes.get(timeout=PATIENCE_SECONDS)
        try:
            yield node
        finally:
            node.stop()
            thread.join(timeout=PATIENCE_SECONDS)
            assert not thread.is_alive(), self.events[-20:]
