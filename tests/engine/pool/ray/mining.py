"""`cpc-engine mine --ray` as a user runs it, on an embedded devnet, read by its JSON lines."""

import json
import queue
import signal
import subprocess
import threading

from tests.processes import ENGINE, PATIENCE_SECONDS, end


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
        end(self.process)

    def wait_for(self, fits, *, since=None):
        """The first event that fits, of those from number `since` on [those not read yet].

        However long it takes, as long as there are events: mining goes on until it is ended.
        """
        seen = len(self.events) if since is None else since
        while True:
            for event in self.events[seen:]:
                if fits(event):
                    return event
            seen = len(self.events)
            try:
                line = self._lines.get(timeout=PATIENCE_SECONDS)
            except queue.Empty:
                line = None
            assert line is not None, f"no more events after {str(self.events[-5:])[-1500:]}"
            self.events.append(json.loads(line))

    def finish(self):
        """SIGTERM; gives the summary."""
        self.process.send_signal(signal.SIGTERM)
        summary = self.wait_for(lambda event: event["event"] == "summary")
        assert self.process.wait(timeout=PATIENCE_SECONDS) == 0
        return summary

    def of(self, name):
        return [event for event in self.events if event["event"] == name]

    def _read(self):
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)
