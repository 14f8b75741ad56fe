"""Watches the tip of the chain from a thread of its own, and puts each new one into the inbox.

Only the newest block matters for mining; `txmgr/manager.py` reads every block, for our transactions.
The watcher asks `/status` near the time a block is due (see `grid.py`), and fetches a block when the
tip moved. The client checks the block's hash and proposer signature before it gets here; what
the chain looks like over time is judged in `chain_health.py`. A tip that is refused changes nothing:
the next look begins where this one did.

Blocks that catch up come one a second. One that is no longer the newest when it is looked for is
left out, and counted as missed: its task's time would be better spent on its successor.
"""

import contextlib
import queue
import threading
import time
from dataclasses import dataclass
from gettext import gettext as _
from typing import Any

from engine.mining.chain_health import ChainHealth
from engine.mining.grid import SPREAD, BlockGrid
from engine.monitor.troubles import Troubles
from engine.runtime.errors import Crashed
from engine.runtime.right_of_way import RightOfWay
from node_client.errors import InvalidData, NodeError, NodeNotReady, NodeUnreachable
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
    parent: str = ""
    """Hash of the block before it."""


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
        way: RightOfWay | None = None,
    ) -> None:
        """Nothing is asked before `ready`: until a device takes work a block could only be skipped.

        `way` is taken for each new tip.
        """
        super().__init__(name="watcher", daemon=True)
        self.stopping = threading.Event()
        self._ready = ready
        self._way = way or RightOfWay()
        self._client = client
        self._inbox = inbox
        self._troubles = troubles
        self._health = ChainHealth(troubles)
        self._chain_id = chain_id
        self._grid = BlockGrid(block_time)
        self._tip: tuple[int, str] | None = None
        self._failed = self._refused = False  # the last look
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
                self._troubles.end("tip_refused")
                self._failed = self._refused = False
                pause = self._grid.wait(time.monotonic())

    def _look(self) -> None:
        asked = time.monotonic()
        status = self._client.status()
        if (status.height, status.last_hash) == self._tip:
            self._grid.looked(asked=asked)
            blocks = self._grid.blocks_since(asked)
            self._health.hear_nothing(blocks, blocks * self._grid.block_time)
            return
        self._way.take()
        seen_at = time.monotonic()
        self._health.refuse_absurd(status.height, self._grid.block_time)
        block = self._client.block(status.height, expected_hash=status.last_hash)
        fetched_at = time.time()
        if block.header.chain_id != self._chain_id:
            raise InvalidData(
                _("the node is on chain {found}, not {chain_id}").format(
                    found=block.header.chain_id, chain_id=self._chain_id
                ),
                advice=_("Point --node at a node of the chain that this key works for."),
            )
        if self._tip is None:
            self._look_back(status.height)
        self._tip = (status.height, status.last_hash)
        self._grid.seen(block.header, now=seen_at)
        self._inbox.put(
            NewTip(*self._tip, fetched_at, self._grid.block_time, block.header.prev_hash)
        )
        self._health.see(block.header, self._grid.block_time)

    def _look_back(self, height: int) -> None:
        """Bear the block time out with an earlier block's time stamp."""
        earlier = max(1, height - SPREAD)
        if earlier < height:
            with contextlib.suppress(NodeError):  # a node need not have old blocks: it goes without
                self._grid.know(self._client.block(earlier).header)

    def _after_trouble(self, error: NodeError | InvalidData, pause: float) -> float:
        """Tell whether the node is away, or what it says is refused; return the pause after it.

        One refusal alone is the end of no block: it was rolled back between two requests.
        """
        first, longest = _PAUSE_AFTER_TROUBLE
        away = isinstance(error, (NodeUnreachable, NodeNotReady))
        if away:
            self._troubles.begin("node_away", str(error), error.advice)
        else:
            self._troubles.end("node_away")
            with contextlib.suppress(NodeError):
                self._client.compare()  # of several nodes, one whose tip holds is asked next
            if self._refused:
                self._troubles.begin("tip_refused", str(error), error.advice)
        pause = min(max(first, 2 * pause), longest) if self._failed else first
        self._failed, self._refused = True, not away
        return pause
