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

PAUSE_BEFORE_RESTART = 0.5
"""Seconds, in place of systemd's RestartSec."""


@dataclass
class Life:
    """One process of the engine. `samples`: (seconds of age, resident bytes, file descriptors)."""

    born: float
    samples: list = field(default_factory=list)


class Engine:
    """The program, started again whenever it ended."""

    def __init__(self, directory, url):
        self.url = url
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

    def start(self, blocks=0):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.engine.node.soak.program", self.url, str(blocks)],
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
        try:
            return [
                child
                for child in psutil.Process(self.process.pid).children()
                if "spawn_main" in " ".join(child.cmdline())
            ]
        except psutil.Error:
            return []

    def kill(self):
        """SIGKILL, and another one in its place at once. Its children must be gone by themselves."""
        children = self.children()
        self.process.kill()
        self.process.wait()
        self.start()
        _, alive = psutil.wait_procs(children, timeout=5)
        assert not alive, "children outlived their parent"

    def end(self):
        """SIGTERM; gives the seconds until it was gone."""
        while self.process.poll() is not None:
            time.sleep(0.1)
            self.look()
        self._wait_for(lambda event: event["event"] == "block", since=self.lives[-1].born)
        asked = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=30)
        assert code == 0, self.last_words()
        return time.monotonic() - asked

    def settle(self):
        """Answer one more block, and stay until every result is final or given up."""
        self.start(blocks=1)
        code = self.process.wait(timeout=120)
        assert code == 0, self.last_words()

    def wait_for_block(self):
        self._wait_for(lambda event: event["event"] == "block")

    def events(self):
        self.log.flush()
        for line in self.log_path.read_text(encoding="utf-8").splitlines():
            if line.startswith('{"event"') and line.endswith("}"):
                yield json.loads(line)

    def last_words(self):
        return self.log_path.read_text(encoding="utf-8")[-4000:]

    def _wait_for(self, wanted, since=0.0, seconds=90.0):
        deadline = time.monotonic() + seconds
        while not any(event["time"] >= since and wanted(event) for event in self.events()):
            assert time.monotonic() < deadline, self.last_words()
            time.sleep(0.2)

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
