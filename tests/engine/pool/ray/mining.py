"""`cpc-engine mine --ray` as a user runs it, on an embedded devnet, read by its JSON lines."""

import json
import queue
import subprocess
import sys
import threading
import time

ENGINE = [sys.executable, "-c", "from engine.cli import main; main()"]


class Mining:
    """Context manager; `wait_for` gives the next event that fits, `events` has all of them."""

    def __init__(self, address, *arguments):
        self._command = [*ENGINE, "mine", "--devnet", "--json", "--ray", address, *arguments]
        self.events = []
        self._lines = queue.SimpleQueue()

    def __enter__(self):
        self.process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, daemon=True).start()
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def wait_for(self, fits, patience=60.0):
        deadline = time.monotonic() + patience
        while True:
            left = deadline - time.monotonic()
            assert left > 0, self.events[-20:]
            try:
                line = self._lines.get(timeout=left)
            except queue.Empty:
                continue
            assert line is not None, self.events[-20:]
            self.events.append(json.loads(line))
            if fits(self.events[-1]):
                return self.events[-1]

    def of(self, name):
        return [event for event in self.events if event["event"] == name]

    def _read(self):
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)
