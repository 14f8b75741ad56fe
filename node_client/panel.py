"""The same question to every node at once, and what each of them says.

    panel = Panel(nodes, check)
    panel.ask(get_status)          # {"http://a:8000": NodeStatus(...), "http://b:8000": ...}

One node that does not answer, or answers very late, does not keep the others' answers: each is asked
in a thread of its own, of which a node that hangs can hold WAITING_QUESTIONS and no more.
"""

import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Container, Sequence
from contextlib import suppress

from node_client.errors import NodeError
from node_client.transport import HttpNode

EACH_SECONDS = 5.0
"""How long the answers of all nodes are waited for together."""
WAITING_QUESTIONS = 4
"""A node that owes so many answers is not asked another question."""
SLOW_SECONDS = 1.0
REST_SECONDS = 10.0
"""A node that failed after more than SLOW_SECONDS is left out for so long: no answer waits for it."""


class Panel:
    """All nodes of one client. Thread-safe."""

    def __init__(
        self,
        nodes: Sequence[HttpNode],
        check: Callable[[HttpNode], None],
        *,
        seconds: float = EACH_SECONDS,
    ) -> None:
        """`check` raises NodeError for a node that is not to be asked."""
        # By name: one node that was given twice is one witness, not two.
        self._nodes = list({node.name: node for node in nodes}.values())
        self._check = check
        self._seconds = seconds
        self._lock = threading.Lock()
        self._waiting: Counter[HttpNode] = Counter()
        self._rests_until: dict[HttpNode, float] = {}

    def ask[T](
        self, query: Callable[[HttpNode], T], *, among: Container[str] | None = None
    ) -> dict[str, T]:
        """Return each node's answer by its name, in the order of the nodes; failures left out.

        `among`: names of the nodes to ask, all if None.
        """
        said: queue.SimpleQueue[tuple[str, T] | None] = queue.SimpleQueue()
        with self._lock:
            asked = [
                node
                for node in self._nodes
                if among is None or node.name in among
                if self._waiting[node] < WAITING_QUESTIONS
                if time.monotonic() >= self._rests_until.get(node, 0.0)
            ]
            self._waiting.update(asked)
        for node in asked:
            threading.Thread(
                target=self._ask_one, args=(node, query, said), name="panel", daemon=True
            ).start()
        until = time.monotonic() + self._seconds
        found: dict[str, T] = {}
        with suppress(queue.Empty):
            for _node in asked:
                answer = said.get(timeout=max(0.0, until - time.monotonic()))
                if answer is not None:
                    found[answer[0]] = answer[1]
        return {node.name: found[node.name] for node in self._nodes if node.name in found}

    def _ask_one[T](
        self,
        node: HttpNode,
        query: Callable[[HttpNode], T],
        said: "queue.SimpleQueue[tuple[str, T] | None]",
    ) -> None:
        answer: tuple[str, T] | None = None
        started = time.monotonic()
        try:
            self._check(node)
            answer = (node.name, query(node))
        except NodeError:
            # Left out: whoever asks this node alone is told why.
            if time.monotonic() - started > SLOW_SECONDS:
                with self._lock:
                    self._rests_until[node] = time.monotonic() + REST_SECONDS
        finally:
            with self._lock:
                self._waiting[node] -= 1
            said.put(answer)
