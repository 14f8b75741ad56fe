"""Tells of a thread of the node that makes no progress, within a bounded time.

    watch = ThreadWatch(troubles)
    if watch.look({"sender": sender.turned_at, "watcher": watcher.turned_at}, time.monotonic()):
        manager.alive(status)

A thread says by `turned_at` when it last began a step. One that stands still is told of first; one
that stands still for so long that no node and no disk explains it hangs, and only a restart helps:
the service manager's watchdog is then fed no more.
"""

from collections.abc import Mapping
from gettext import gettext as _

from engine.monitor.troubles import Troubles

TOLD_SECONDS = 180.0
"""Longer than a block of the slowest network and a step with a node that answers at the last moment."""
HUNG_SECONDS = 600.0
"""Watcher and sender ask a node that does not answer for minutes, several of them in turn."""


class ThreadWatch:
    """Watches the threads of one node. For one thread: the main loop's."""

    def __init__(self, troubles: Troubles) -> None:
        self._troubles = troubles

    def look(self, turned_at: Mapping[str, float], now: float) -> bool:
        """Return whether no thread hangs; tell of one that stands still, and of its end.

        `turned_at`: for each thread when it last began a step; `now`: both by `time.monotonic`.
        """
        name = min(turned_at, key=turned_at.__getitem__)
        still = now - turned_at[name]
        if still < TOLD_SECONDS:
            self._troubles.end("thread_stuck")
        else:
            message = _("the {name} has made no progress for {n:.0f} s").format(name=name, n=still)
            advice = _("A node, a disk or a driver that hangs does that. If it lasts, restart it.")
            self._troubles.begin("thread_stuck", message, advice)
        return still < HUNG_SECONDS
