"""A reporter that remembers, and mining in a thread while the test makes trouble."""

import contextlib
import threading
import time

from engine.node.node import mine_on
from engine.runtime.errors import EngineError


class Log:
    """Events in order; `error` is what the mining ended with."""

    def __init__(self):
        self.events = []
        self.error = None
        self.summary = None

    def __call__(self, event):
        self.events.append((event.event, event.fields()))

    def all(self, name):
        return [fields for event, fields in self.events if event == name]

    def wait(self, name, count=1, seconds=20.0):
        deadline = time.monotonic() + seconds
        while len(self.all(name)) < count:
            assert self.error is None, self.error
            assert time.monotonic() < deadline, self.events
            time.sleep(0.01)

    def mining(self, ask, key, attend=contextlib.nullcontext):
        """Until the body has ended and the miner with it: the body calls `stop`."""
        return self._beside(lambda: mine_on(ask, key, self, attend))

    @contextlib.contextmanager
    def running(self, miner):
        """A miner that is stopped when the body has ended."""
        with self._beside(miner.run):
            try:
                yield
            finally:
                miner.stop()

    @contextlib.contextmanager
    def _beside(self, work):
        def run():
            try:
                self.summary = work()
            except EngineError as error:
                self.error = error

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            thread.join(timeout=60)
            assert not thread.is_alive(), self.events
