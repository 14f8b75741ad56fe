"""Starts the engine under test, shoots at it, measures it."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.engine.node.soak.program import DEVICES
from tests.processes import PATIENCE_SECONDS, end, is_gone, spawned_children, wait_until

PAUSE_BEFORE_RESTART = 0.5
"""Seconds, in place of systemd's RestartSec."""


@dataclass
class Life:
    """One process of the engine. `samples`: (seconds of age, resident bytes, file descriptors)."""

    born: float
    samples: list = field(default_factory=list)


class Engine:
    """The program, started again whenever it ended; a context manager, which leaves nothing running."""

    def __init__(self, directory, urls):
        """`urls`: of the nodes, with commas in between."""
        self.urls = urls
        self.environment = os.environ | {
            "CPC_SOAK": str(directory),
            "CPC_KEYS": str(directory / "keys"),
            "CPC_STATE": str(directory / "state"),
        }
        self.log_path = directory / "mine.log"
        self.log = self.log_path.open("a", encoding="utf-8")
        self.process = None
        self.lives = []
        self.shared_memory = set()  # semaphores and the like that any of its processes ever had
        self.exits = []  # exit codes, but for those of our own SIGKILLs
        self._ended_at = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.log.close()
        end(*filter(None, [self.process]), *self.left_over())

    def left_over(self):
        """Every process that this engine ever started, and that still runs, its own included."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process):
        try:
            return (
                process.pid != os.getpid()
                and process.environ().get("CPC_SOAK") == self.environment["CPC_SOAK"]
                and process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.Error:
            return False

    def start(self, blocks=0):
        # as a string: a module that was started with -m would be imported again by each child
        program = "from tests.engine.node.soak.program import main; main()"
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, self.urls, str(blocks)],
            env=self.environment,
            stdout=self.log,
            stderr=subprocess.STDOUT,
        )
        self._ended_at = None
        self.lives.append(Life(time.time()))

    def look(self):
        """Once a second: measure, or start again what ended."""
        if self.process.poll() is None:
            self._measure()
        elif self._ended_at is None:
            self._ended_at = time.monotonic()
            self.exits.append(self.process.returncode)
        elif time.monotonic() - self._ended_at > PAUSE_BEFORE_RESTART:
            self.start()

    def children(self):
        """Device children that live now."""
        return spawned_children(self.process.pid)

    def kill(self):
        """SIGKILL, and another one in its place at once. Its children must be gone by themselves."""
        children = self.children()
        self.process.kill()
        self.process.wait()
        self.start()
        wait_until(
            lambda: all(is_gone(child.pid) for child in children),
            lambda: f"children to end with their parent: {[child.pid for child in children]}",
        )

    def end(self):
        """SIGTERM; gives the seconds until it was gone."""
        wait_until(self._runs, "the engine to be started again")
        self._wait_for(lambda event: event["event"] == "block", since=self.lives[-1].born)
        asked = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=PATIENCE_SECONDS)
        assert code == 0, self.last_words()
        return time.monotonic() - asked

    def settle(self):
        """Answer one more block, and stay until every result is final or given up."""
        self.start(blocks=1)
        code = self.process.wait(timeout=2 * PATIENCE_SECONDS)
        assert code == 0, self.last_words()

    def wait_for_block(self):
        self._wait_for(lambda event: event["event"] == "block")

    def events(self):
        self.log.flush()
        for line in self.log_path.read_text(encoding="utf-8").splitlines():
            if line.startswith('{"event"') and line.endswith("}"):
                yield json.loads(line)

    def last_words(self):
        return self.log_path.read_text(encoding="utf-8")[-2000:]

    def _runs(self):
        self.look()
        return self.process.poll() is None

    def _wait_for(self, wanted, since=0.0):
        wait_until(
            lambda: any(event["time"] >= since and wanted(event) for event in self.events()),
            lambda: f"an event: {self.last_words()}",
            every=0.2,
        )

    def _measure(self):
        life = self.lives[-1]
        try:
            process = psutil.Process(self.process.pid)
            with process.oneshot():
                sample = (process.memory_info().rss, process.num_fds())
        except psutil.Error:
            return
        life.samples.append((time.time() - life.born, *sample))
        for pid in (self.process.pid, *(child.pid for child in self.children())):
            self.shared_memory |= _shared_memory_of(pid)


def _shared_memory_of(pid):
    """Names of what this process has open in /dev/shm, named semaphores among it (Linux)."""
    try:
        maps = Path(f"/proc/{pid}/maps").read_text()
    except OSError:
        return set()
    return {line.rsplit("/", 1)[1] for line in maps.splitlines() if "/dev/shm/" in line}


def healthy_devices(events, shots):
    """Function of a moment: which devices have a child that works, as far as anybody could know.

    From the engine's own events, and from the shots that it had not noticed yet.
    """
    changes = []
    for event in events:
        match event["event"]:
            case "start":
                changes += [(event["time"], device, False) for device in DEVICES]
            case "ready":
                changes.append((event["time"], event["device"], True))
            case "child_killed" | "child_ended" | "out_of_service":
                changes.append((event["time"], event["device"], False))
    changes += [(shot.at, shot.device, False) for shot in shots if shot.device]
    changes.sort()

    def at(moment):
        states = {}
        for when, device, well in changes:
            if when > moment:
                break
            states[device] = well
        return {device for device, well in states.items() if well}

    return at
