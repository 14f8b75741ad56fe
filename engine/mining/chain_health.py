"""Whether the chain that a node shows can be, is up to date, and goes on; told as troubles.

health = ChainHealth(troubles)
health.refuse_absurd(status.height, block_time)      # raises InvalidData
health.see(block.header, block_time)
health.hear_nothing(blocks=12.5, seconds=62.5)
"""

import time
from collections.abc import Callable
from gettext import gettext as _
from gettext import ngettext

from engine.monitor.troubles import Troubles
from node_client.block import BlockHeader
from node_client.errors import InvalidData

SILENT_BLOCKS = 10
"""Block times without a new block, though the node answers, until that is told."""
BEHIND_BLOCKS = 10
"""Block times that the newest block may be old, besides what a clock may be wrong."""
CLOCK_SLACK_SECONDS = 30.0
_FAR_AHEAD = 100_000
"""Blocks. What a node says to be less far ahead is looked at: the block itself must be right."""


class ChainHealth:
    """Follows the newest blocks. For one thread."""

    def __init__(
        self,
        troubles: Troubles,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` gives Unix time, which may be set while we look; `monotonic` never jumps."""
        self._troubles = troubles
        self._clock = clock
        self._monotonic = monotonic
        self._began = clock() - monotonic()
        self._tip: BlockHeader | None = None
        self._is_old = False

    def refuse_absurd(self, height: int, block_time: float) -> None:
        """Raise InvalidData for a height that no chain with such a block time has by now."""
        tip_height, tip_time = (
            (0, 0) if self._tip is None else (self._tip.height, self._tip.timestamp)
        )
        blocks = height - tip_height
        if blocks > _FAR_AHEAD and blocks * block_time > max(self._times()) - tip_time:
            raise InvalidData(
                _("the node names block {height}, which cannot have been made by now").format(
                    height=height
                ),
                advice=_("It does not tell the truth: name another node with --node."),
            )

    def see(self, header: BlockHeader, block_time: float) -> None:
        """There is a new tip. Where the sender tells that the node is behind, it ends that, too."""
        self._tip = header
        self._troubles.end("chain_silent")
        # Both clocks must say so: one that was set while we ran says nothing about the node.
        age = min(self._times()) - header.timestamp
        if age <= CLOCK_SLACK_SECONDS + BEHIND_BLOCKS * block_time:
            if self._is_old:
                self._is_old = False
                self._troubles.end("node_behind")
            return
        self._is_old = True
        self._troubles.begin(
            "node_behind",
            ngettext(
                "the node is {blocks:.0f} block behind: its newest block is {age:.0f} s old",
                "the node is {blocks:.0f} blocks behind: its newest block is {age:.0f} s old",
                round(age / block_time),
            ).format(blocks=age / block_time, age=age),
            _("It may be reading old blocks still: wait, or name another node with --node."),
        )

    def hear_nothing(self, blocks: float, seconds: float) -> None:
        """The node answers, and its tip has been the same for so long: block times, seconds."""
        if blocks > SILENT_BLOCKS:
            self._troubles.begin(
                "chain_silent",
                _("no new block for {seconds:.0f} s, though the node answers").format(
                    seconds=seconds
                ),
                _(
                    "The network stands still, or the node has lost it: compare with another one"
                    " (cpc-engine query status --node URL)."
                ),
            )

    def _times(self) -> tuple[float, float]:
        """Unix time as the clock has it now, and as it would be had nobody set it since."""
        return self._clock(), self._began + self._monotonic()
