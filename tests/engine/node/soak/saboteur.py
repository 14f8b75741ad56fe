"""What is done to the engine's processes: one kind after the other, in a seed's order."""

import os
import random
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

KINDS = ("kill_child", "stop_child", "lie", "halve", "kill_parent")


@dataclass(frozen=True)
class Shot:
    """What was done, when (Unix time), and to which device's child, where that is known."""

    at: float
    kind: str
    device: str = ""


class Saboteur:
    """Call `look` often; it does harm when its time has come."""

    def __init__(self, engine, directory, *, seed, every):
        self.engine = engine
        self.directory = Path(directory)
        self.dice = random.Random(seed)
        self.every = every
        self.kinds = []
        self.shots = []
        self.lies_found = 0
        self.next = time.monotonic() + self._pause()

    def look(self):
        if time.monotonic() < self.next or self.engine.process.poll() is not None:
            return
        if not self._lie_is_over():
            return  # what has not been told and found out yet could be lost with its child
        if not self.kinds:
            self.kinds = self.dice.sample(KINDS, len(KINDS))
        kind = self.kinds[0]
        if self._do(kind):
            self.kinds.pop(0)
            self.next = time.monotonic() + self._pause()

    def _lie_is_over(self):
        """Whether every lie that was ordered has been told, and found out."""
        ordered = sum(shot.kind == "lie" for shot in self.shots)
        if ordered == self.lies_found:
            return True
        self.lies_found = sum(
            event["event"] == "child_killed" and "wrong result" in event["reason"]
            for event in self.engine.events()
        )
        return ordered == self.lies_found

    def _pause(self):
        return self.dice.uniform(0.5, 1.5) * self.every

    def _do(self, kind):
        """False where there is nothing to shoot at just now."""
        now = time.time()
        match kind:
            case "kill_parent":
                self.shots.append(Shot(now, kind))
                self.engine.kill()
            case "lie" | "halve":
                self.shots.append(Shot(now, kind))
                (self.directory / kind).touch()
            case "kill_child" | "stop_child":
                # One stopped while Python itself starts can outlive its parent: `child_entry.py`
                # says why. So only those that have begun.
                children = {
                    child.pid: child
                    for child in self.engine.children()
                    if self._device_of(child.pid)
                }
                if not children:
                    return False
                victim = children[self.dice.choice(sorted(children))]
                self.shots.append(Shot(now, kind, self._device_of(victim.pid)))
                number = signal.SIGKILL if kind == "kill_child" else signal.SIGSTOP
                try:
                    os.kill(victim.pid, number)
                except (ProcessLookupError, psutil.Error):
                    self.shots.pop()
                    return False
        return True

    def _device_of(self, pid):
        """As the child itself wrote down when it began."""
        try:
            return (self.directory / f"pid-{pid}").read_text()
        except FileNotFoundError:
            return ""
