"""Kills and cuts, one after another, as a seed has it."""

import threading
import time
from collections import Counter

KINDS = ("cut", "cut", "cut", "stall worker", "kill worker", "kill child", "kill validator")
MOST_AWAY_SECONDS = 3.0
STALL_SECONDS = 3.0


class Saboteur(threading.Thread):
    """At work while this context lasts, or for `most` faults.

    `every`: seconds from one to the next, on average.
    """

    def __init__(self, chance, *, every, proxy, validator, workers, most=None):
        super().__init__(daemon=True)
        self.faults = Counter()
        self._chance = chance
        self._every = every
        self._proxy = proxy
        self._validator = validator
        self._workers = workers
        self._most = most
        self._over = threading.Event()
        self._away = []  # (when it starts again, who)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self.join()
        for _when, party in self._away:
            party.start()

    def run(self):
        while not self._over.wait(self._chance.uniform(0.5, 1.5) * self._every):
            self._bring_back(time.monotonic())
            if self._most is None or self.faults.total() < self._most:
                kind = self._chance.choice(KINDS)
                self.faults[kind] += self._do(kind)

    def _bring_back(self, now):
        for party in [party for when, party in self._away if when <= now]:
            party.start()
        self._away = [(when, party) for when, party in self._away if when > now]

    def _do(self, kind):
        """Whether there was something to be done."""
        if kind == "cut":
            return self._proxy.cut(self._chance)
        party = self._validator if kind == "kill validator" else self._chance.choice(self._workers)
        if not party.is_running:
            return False
        if kind == "kill child":
            return party.kill_child()
        if kind == "stall worker":
            party.stall(STALL_SECONDS)
            return True
        party.kill()
        back = time.monotonic() + self._chance.uniform(0, MOST_AWAY_SECONDS)
        self._away.append((back, party))
        return True
