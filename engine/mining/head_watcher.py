"""Watches the tip of the chain from a thread of its own, and puts each new one into the inbox.

Only the newest block matters for mining; `txmgr/manager.py` reads every block, for our transactions.
The watcher asks `/status` near the time a block is due (see `grid.py`), and fetches a block when the
tip moved. The client checks the block's hash, roots and proposer signature before it gets here.
"""

import contextlib
import queue
import threading
import time
from dataclasses import dataclass
from gettext import gettext as _
from typing import Any

from engine.mining.grid import SPREAD, BlockGrid
from engine.monitor.troubles import Troubles
from engine.runtime.errors import Crashed
from node_client.block import Block
from node_client.errors import InvalidData, NodeError, NotFound
from node_client.rpc import NodeClient

_PAUSE_AFTER_TROUBLE = (0.25, 5.0)  # seconds: first and longest
_LOOK_AGAIN = 0.1  # seconds: until a device is ready


@dataclass(frozen=True, slots=True)
class NewTip:
    """A block that was not the tip before. `seen_at` in Unix seconds."""

    height: int
    block_hash: str
    seen_at: float
    block_time: float
    """Seconds, as measured so far."""


class HeadWatcher(threading.Thread):
    """Start it; set `stopping` to end it. New tips go into the inbox, a crash as well."""

    def __init__(
        self,
        client: NodeClient,
        inbox: "queue.SimpleQueue[Any]",
        troubles: Troubles,
        *,
        chain_id: str,
        block_time: float,
        ready: threading.Event | None = None,
    ) -> None:
        """Nothing is asked before `ready`: until a device takes work a block could only be skipped."""
        super().__init__(name="watcher", daemon=True)
        self.stopping = threading.Event()
        self._ready = ready
        self._client = client
        self._inbox = inbox
        self._troubles = troubles
        self._chain_id = chain_id
        self._grid = BlockGrid(block_time)
        self._tip: tuple[int, str] | None = None
        self.turned_at = time.monotonic()
        """When the thread last began to look."""

    def run(self) -> None:
        """Look, report, wait, until told to stop."""
        try:
            self._watch()
        except Exception as error:  # noqa: BLE001 - goes on in the main thread
            self._inbox.put(Crashed(self.name, error))

    def _watch(self) -> None:
        while self._ready is not None and not self._ready.wait(_LOOK_AGAIN):
            self.turned_at = time.monotonic()
            if self.stopping.is_set():
                return
        pause = 0.0
        while not self.stopping.wait(pause):
            self.turned_at = time.monotonic()
            try:
                self._look()
            except (NodeError, InvalidData) as error:
                pause = self._after_trouble(error, pause)
            else:
                self._troubles.end("node_away")
                pause = self._grid.wait(time.monotonic())

    def _look(self) -> None:
        status = self._client.status()
        tip = (status.height, status.last_hash)
        if tip == self._tip:
            return
        block = self._client.block(status.height, expected_hash=status.last_hash)
        now, seen_at = time.monotonic(), time.time()
        if block.header.chain_id != self._chain_id:
            raise InvalidData(
                _("the node is on chain {found}, not {chain_id}").format(
                    found=block.header.chain_id, chain_id=self._chain_id
                ),
                advice=_("Point --node at a node of the chain that this key works for."),
            )
        if self._tip is None:
            self._measure(block)
        self._tip = tip
        self._grid.seen(status.height, now)
        self._inbox.put(NewTip(status.height, status.last_hash, seen_at, self._grid.block_time))

    def _measure(self, tip: Block) -> None:
        earlier = max(1, tip.height - SPREAD)
        if earlier < tip.height:
            with contextlib.suppress(NotFound):  # a node need not have old blocks
                stamp = self._client.block(earlier).header.timestamp
                self._grid.measure(tip.height, tip.header.timestamp, earlier, stamp)

    def _after_trouble(self, error: NodeError | InvalidData, pause: float) -> float:
        first, longest = _PAUSE_AFTER_TROUBLE
        if not self._troubles.lasts("node_away"):
            self._troubles.begin("node_away", str(error), error.advice)
            return first
        return min(max(first, 2 * pause), longest)
