"""Which of several nodes is asked: the one that answered last, unless it fails or stands still.

A node is vetted before it is first asked anything, and again after it failed or its height fell:
by then another chain may be served there. One that is not believed (`comparison.py`) is passed over
as long as there is another. To who reads blocks, a change to a node on another branch is a roll-back
like any other.
"""

import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from node_client.errors import NodeBusy, NodeError
from node_client.transport import HttpNode


@dataclass(frozen=True, slots=True)
class Retries:
    """How often every node is asked a question, and how long to pause in between, in seconds."""

    rounds: int = 3
    first_pause: float = 0.2
    longest_pause: float = 5.0
    within: float = 10.0
    """No further round begins so long after the question: nodes that hang were waited for enough."""

    def pause(self, done: int, failure: NodeError | None = None) -> float:
        """After `done` rounds: twice as long each time, less up to a half by chance.

        A node that asked to be left alone gets that time, where it is no longer than the longest.
        """
        if isinstance(failure, NodeBusy) and failure.seconds <= self.longest_pause:
            return failure.seconds
        pause: float = min(self.longest_pause, self.first_pause * 2 ** (done - 1))
        return pause * random.uniform(0.5, 1)  # noqa: S311


class NodeSet:
    """The nodes of one chain, for several threads."""

    def __init__(
        self,
        nodes: list[HttpNode],
        *,
        vet: Callable[[HttpNode], None],
        height: Callable[[HttpNode], int],
        trusts: Callable[[HttpNode], bool] = lambda _node: True,
        stale_after: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`vet` raises NodeError for a node not to be asked; `height` gives a node's height.

        `trusts` says whether a node may be followed.
        `stale_after`: seconds without a new block after which the highest node is looked for.
        """
        self._nodes = nodes
        self._vet = vet
        self._height = height
        self._trusts = trusts
        self._stale_after = stale_after
        self._clock = clock
        self._lock = threading.Lock()
        self._current = 0
        self._vetted: set[HttpNode] = set()
        self._followed: HttpNode | None = None
        self._highest = self._last = -1
        self._rose_at = clock()

    def __iter__(self) -> Iterator[HttpNode]:
        return iter(self._nodes)

    @property
    def current(self) -> HttpNode:
        """The node to ask: the first that is believed, from the one that answered last."""
        return self.turns()[0]

    def turns(self) -> list[HttpNode]:
        """The nodes that are believed, from the one that answered last on; all if none is."""
        start = self._current
        turns = self._nodes[start:] + self._nodes[:start]
        return [node for node in turns if self._trusts(node)] or turns

    def check(self, node: HttpNode) -> None:
        """Vet a node that was not vetted since it failed. Raises NodeError."""
        if node not in self._vetted:
            self._vet(node)
            with self._lock:
                self._vetted.add(node)

    def leave(self, node: HttpNode) -> None:
        """This node failed: go on to the next, unless another thread has done so already."""
        with self._lock:
            self._vetted.discard(node)
            if self.current is node:
                self._current = (self._nodes.index(node) + 1) % len(self._nodes)

    def saw(self, node: HttpNode, height: int) -> None:
        """This node's tip is at this height. One that fell is vetted again."""
        with self._lock:
            if node is not self._followed:  # what another node said of its height does not count
                self._followed = node
                self._highest = self._last = -1
            if height < self._last:
                self._vetted.clear()
            self._last = height
            if height > self._highest:
                self._highest = height
                self._rose_at = self._clock()

    def find_higher_node(self) -> None:
        """Where no new block was seen for too long, go on with the highest of the other nodes."""
        with self._lock:
            if len(self._nodes) < 2 or self._clock() - self._rose_at < self._stale_after:
                return
            self._rose_at = self._clock()  # not again before the same time has passed
            best, highest = self._nodes.index(self.current), self._highest
        for place, node in enumerate(self._nodes):
            if not self._trusts(node):
                continue
            try:
                self.check(node)
                height = self._height(node)
            except NodeError:
                continue
            if height > highest:
                best, highest = place, height
        with self._lock:
            self._current = best
