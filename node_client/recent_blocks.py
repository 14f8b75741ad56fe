"""The blocks that were read last, by their hashes: one thread reads a tip, and another looks into it.

    recent = RecentBlocks()
    recent.add(block)
    recent.get(block_hash)      # None where it was not read lately, or not in full

A hash names its block whoever served it, and what is here was checked: signature, roots, no fault.
"""

import threading
from collections import OrderedDict

from node_client.block import Block

KEPT = 2
"""Blocks: the tip, and the one before while the tip is read."""


class RecentBlocks:
    """Thread-safe. Blocks with a fault are not kept: another node may have them in full."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._blocks: OrderedDict[str, Block] = OrderedDict()

    def add(self, block: Block) -> None:
        """Keep this one, and forget the oldest."""
        if block.fault:
            return
        with self._lock:
            self._blocks[block.hash()] = block
            while len(self._blocks) > KEPT:
                self._blocks.popitem(last=False)

    def get(self, block_hash: str) -> Block | None:
        """Return the block of this hash, None where it is not here."""
        with self._lock:
            return self._blocks.get(block_hash)
