"""Begins a trouble when a condition has lasted for some block times, and ends it when it is over.

watch.see("node_behind", behind is None, message, advice)      # at every turn
"""

import time
from collections.abc import Callable

from engine.monitor.events.trouble import TroubleKind
from engine.monitor.troubles import Troubles

PATIENCE_BLOCKS = 12
"""Block times that a condition lasts before it is told: less is a late block, or a slow answer."""


class Watch:
    """One thread's conditions."""

    def __init__(
        self, troubles: Troubles, block_time: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`block_time` and `clock` in seconds."""
        self._troubles = troubles
        self._block_time = block_time
        self._clock = clock
        self._since: dict[TroubleKind, float] = {}
        self._told: set[TroubleKind] = set()

    def see(
        self,
        kind: TroubleKind,
        lasts: bool,
        message: str,
        advice: str,
        *,
        blocks: float = PATIENCE_BLOCKS,
    ) -> None:
        """Look at a condition: told when it lasts for `blocks` block times, and when it is over.

        Another thread may tell of the same kind: what it began is not ended here.
        """
        if not lasts:
            self._since.pop(kind, None)
            if kind in self._told:
                self._told.remove(kind)
                self._troubles.end(kind)
        elif self._clock() - self._since.setdefault(kind, self._clock()) >= (
            blocks * self._block_time
        ):
            self._told.add(kind)
            self._troubles.begin(kind, message, advice)
