"""Waits for a node that does not answer when the engine starts, as the engine does once it runs.

    look = await_node(partial(look_at_node, request, address), troubles, turn, waits=True)

The node is asked in a thread of its own: one that takes long must hold up neither the page nor the
watchdog nor the end. What waiting cannot mend (another chain, no coins) ends it at once.
"""

import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from gettext import gettext as _

from engine.monitor.troubles import Troubles
from node_client.errors import NodeNotReady, NodeUnreachable

TURN_SECONDS = 0.1
_PAUSE = (0.5, 5.0)
"""Seconds between two looks: first and longest."""


def await_node[T](
    look: Callable[[], T], troubles: Troubles, turn: Callable[[], bool], *, waits: bool
) -> T | None:
    """Return what `look` gives, asked again while no node answers; None where `turn` returns False.

    `turn` is called a few times a second, in the caller's thread. An error of `look` is raised, unless
    it `waits` and the error is that no node answers.
    """
    pause, longest = _PAUSE
    while True:
        answers: queue.SimpleQueue[T | Exception] = queue.SimpleQueue()
        threading.Thread(target=_ask, args=(look, answers), name="first look", daemon=True).start()
        found: T | Exception | None = None
        while found is None:
            if not turn():
                return None
            with suppress(queue.Empty):
                found = answers.get(timeout=TURN_SECONDS)
        if not isinstance(found, Exception):
            troubles.end("node_away")
            return found
        if not waits or not isinstance(found, (NodeUnreachable, NodeNotReady)):
            raise found
        message = _("waiting for the node: {error}").format(error=found)
        advice = _("Mining begins when it answers; --no-wait ends instead.")
        troubles.begin("node_away", message, f"{advice} {found.advice}")
        until = time.monotonic() + pause
        while time.monotonic() < until:
            if not turn():
                return None
            time.sleep(TURN_SECONDS)
        pause = min(2 * pause, longest)


def _ask[T](look: Callable[[], T], answers: "queue.SimpleQueue[T | Exception]") -> None:
    try:
        answers.put(look())
    except Exception as error:  # noqa: BLE001 - raised again in the thread that waits
        answers.put(error)
