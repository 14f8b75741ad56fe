"""What blocks read so far say about the next ones, and which nodes are not believed for it.

    evidence = Evidence()
    evidence.add(block)                # every block that was read, from whichever node
    evidence.confirm(block.hash())     # two nodes serve it: it is the chain's
    evidence.fits(next_block)

There is no light client: who may propose is nowhere proven. But nobody can sign as a proposer whose
key he has not. So a proposer is *known* from a block that two nodes serve, that the ledger knows from
before, or that a known proposer has built upon; and a node whose new blocks are all by proposers
never seen before has to be vouched for by another one.
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import NamedTuple

from node_client.block import Block

KEPT_BLOCKS = 512
KEPT_PROPOSERS = 1024
FUTURE_SECONDS = 60.0
"""A block's time stamp may be so far ahead of this machine's clock."""
DISTRUST_SECONDS = 600.0
"""A node found wrong is not followed for so long, unless a comparison clears it: longer than the
others take to start again, and not for ever, since it may be the others that were wrong."""
TOLERATED_SECONDS = 60.0
"""For so long the blocks of one unknown proposer are not compared again: old ones, which the other
nodes do not keep, may be thousands."""


class _Link(NamedTuple):
    parent: str
    proposer: str


class Evidence:
    """Blocks, proposers and nodes of one chain. Thread-safe; the chain's clients share one."""

    def __init__(
        self,
        *,
        anchor: tuple[int, str] | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`anchor`: height and hash of a block that is known to be the chain's. `clock`: Unix time."""
        self.anchor = anchor
        self.comparing = threading.Lock()
        """Held by whoever compares nodes, so that others wait for the outcome."""
        self.compared = False
        """Whether the nodes were compared for the first time."""
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._links: OrderedDict[str, _Link] = OrderedDict()
        self._confirmed: OrderedDict[str, None] = OrderedDict()
        self._proposers: OrderedDict[str, None] = OrderedDict()
        self._distrusted: dict[str, float] = {}
        self._tolerated: OrderedDict[str, float] = OrderedDict()

    @property
    def knows_proposers(self) -> bool:
        """Whether any proposer is known."""
        with self._lock:
            return bool(self._proposers)

    def add(self, block: Block) -> None:
        """Remember a block. A known proposer confirms what it builds upon."""
        block_hash, proposer = block.hash(), _proposer(block)
        with self._lock:
            _keep(self._links, block_hash, _Link(block.header.prev_hash, proposer))
            if proposer in self._proposers:
                self._confirm(block_hash)

    def confirm(self, block_hash: str) -> None:
        """This block is the chain's, and so are those below it."""
        with self._lock:
            self._confirm(block_hash)

    def fits(self, block: Block) -> bool:
        """Return whether it is the chain's, or by a known proposer and not in the future."""
        ahead, block_hash = self.is_ahead(block), block.hash()
        with self._lock:
            return not ahead and (
                _proposer(block) in self._proposers or block_hash in self._confirmed
            )

    def is_ahead(self, block: Block) -> bool:
        """Return whether the block's time is further in the future than clocks differ."""
        return block.header.timestamp > self._clock() + FUTURE_SECONDS

    def is_doubtful(self, name: str, block: Block) -> bool:
        """Return whether a block of this node is reason enough to compare the nodes."""
        fits = self.fits(block)
        with self._lock:
            if fits or not self._proposers:
                return False
            now = self._monotonic()
            if now >= self._distrusted.get(name, math.inf):
                return False  # nobody contradicted it in the time
            return now >= self._tolerated.get(_proposer(block), -math.inf)

    def tolerate(self, block: Block) -> None:
        """The nodes were compared for this block, and found no fault: not for each one like it."""
        until = self._monotonic() + TOLERATED_SECONDS
        if proposer := _proposer(block):
            with self._lock:
                _keep(self._tolerated, proposer, until)

    def judge(self, *, wrong: Iterable[str], right: Iterable[str]) -> None:
        """Distrust those nodes from now on, and these no more. Others stay as they are."""
        with self._lock:
            for name in right:
                self._distrusted.pop(name, None)
            for name in wrong:
                self._distrusted[name] = self._monotonic() + DISTRUST_SECONDS

    def suspect(self, names: Iterable[str]) -> None:
        """Distrust those for once: where nobody contradicts them in the time, they are followed."""
        with self._lock:
            for name in names:
                self._distrusted.setdefault(name, self._monotonic() + DISTRUST_SECONDS)

    def trusts(self, name: str) -> bool:
        """Return whether this node may be followed."""
        with self._lock:
            return self._monotonic() >= self._distrusted.get(name, 0.0)

    def _confirm(self, block_hash: str) -> None:
        while block_hash not in self._confirmed:
            link = self._links.get(block_hash)
            if link is None:
                return
            _keep(self._confirmed, block_hash, None)
            if link.proposer:
                _keep(self._proposers, link.proposer, None, KEPT_PROPOSERS)
            block_hash = link.parent


def _proposer(block: Block) -> str:
    """Who signed it; "" where no signature was seen, since anybody's name can stand in a header."""
    return block.header.proposer_address if block.pq_signature else ""


def _keep[T](kept: OrderedDict[str, T], key: str, value: T, most: int = KEPT_BLOCKS) -> None:
    """Put it in as the newest, and let the oldest go."""
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > most:
        kept.popitem(last=False)
