"""Which node is followed where several disagree about the newest blocks.

    found = Comparer(panel, evidence, limit=MAX_BLOCK_BODY).compare()
    found.best, found.differing

Each node is asked for its tip, and for its block at one height that most of them have. In this order
a node is believed because

1. it serves the block that the ledger knows (`Evidence.anchor`);
2. its tip is by a known proposer, and no other chain that two nodes share has left it behind;
3. another node serves the same block;
4. its tip is the newest, is not in the future, and its height is possible at all.

One that is behind the best is passed over, though nothing it serves is wrong. Where nothing is known
yet and the nodes disagree, they are asked for older blocks, in growing steps, until two agree: what
they share says who proposes. All steps have bounds.
"""

from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import partial

from node_client.block import Block
from node_client.errors import BadResponse, NodeError, NotFound
from node_client.evidence import Evidence
from node_client.panel import Panel
from node_client.queries import get_block, get_status
from node_client.transport import HttpNode

LEARNED_BLOCKS = 16
"""So many blocks are read below one that is the chain's, for their proposers."""
STEPS_BACK = 12
"""The last one goes 2048 blocks back."""
BEHIND_SECONDS = 120
"""A tip so much older than one that two nodes share is not believed for its proposer."""
MOST_BLOCKS_A_SECOND = 20
"""No network has a block time under 5 s; tests have."""
CLOCKS_DIFFER_SECONDS = 60
LAG_BLOCKS = 3
"""A node so far behind the one that is believed is passed over, too: it syncs, or holds blocks back."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the nodes say of the newest blocks.

    `tips`: the block that each node names as its tip, None where it does not show it. `best`: the
    node that is believed, None where none answers. `differing`: those with another block at a height
    that both have, or with a tip that they do not show.
    """

    tips: Mapping[str, Block | None]
    best: str | None
    differing: tuple[str, ...]


class Comparer:
    """Compares all nodes of one client, and tells the evidence which of them to distrust."""

    def __init__(self, panel: Panel, evidence: Evidence, *, limit: int) -> None:
        """`limit`: bound of a block's JSON, in bytes."""
        self._panel = panel
        self._evidence = evidence
        self._limit = limit

    def compare(self, height: int | None = None) -> Comparison:
        """Ask all nodes; `height`: where to look for another block, the tips' median if None."""
        tips = self._panel.ask(self._tip)
        heights = sorted(tip.height for tip in tips.values() if tip is not None)
        if not heights:
            return Comparison(tips, None, tuple(tips) if len(tips) > 1 else ())
        if height is None:
            height = heights[(len(heights) - 1) // 2]
        there = self._blocks_at(height, tips)
        if not self._evidence.knows_proposers:
            self._learn(height, there)
        anchored = self._anchored(tips)
        served = Counter(block.hash() for block in there.values() if block is not None)
        best = max(tips, key=partial(self._rank, tips, there, served, anchored))
        chosen = there.get(best)
        shared = chosen is not None and served[chosen.hash()] > 1
        if shared and chosen is not None:
            self._evidence.confirm(chosen.hash())
        differing = tuple(
            name for name, tip in tips.items() if tip is None or _differ(there.get(name), chosen)
        )
        self._judge(tips, best, shared, differing)
        return Comparison(tips, best, differing)

    def _judge(
        self, tips: Mapping[str, Block | None], best: str, shared: bool, differing: tuple[str, ...]
    ) -> None:
        fitting = {name for name, tip in tips.items() if tip and self._evidence.fits(tip)}
        if best in fitting:
            wrong = (set(tips) - fitting | set(differing)) - {best}
        elif self._evidence.knows_proposers and not shared:
            self._evidence.suspect(tips)  # known ones made the blocks so far, and now none of them
            return
        else:
            wrong = set(differing) - {best}
        top = tips[best]
        behind = {
            name
            for name, tip in tips.items()
            if top is not None and tip is not None and top.height - tip.height >= LAG_BLOCKS
        }
        self._evidence.judge(wrong=wrong | behind, right=set(tips) - wrong - behind)

    def _rank(
        self,
        tips: Mapping[str, Block | None],
        there: Mapping[str, Block | None],
        served: Counter[str],
        anchored: set[str],
        name: str,
    ) -> tuple[bool, int, int, bool, int, int]:
        """How far this node is believed: the largest is the best."""
        tip, at_height = tips[name], there.get(name)
        if tip is None:
            return False, -1, 0, False, 0, 0
        support = served[at_height.hash()] if at_height is not None else 0
        shared = [
            other.header.timestamp
            for who, other in tips.items()
            if other is not None and not self._evidence.is_ahead(other)
            if (block := there.get(who)) is not None and served[block.hash()] > 1
        ]
        behind = bool(shared) and tip.header.timestamp < max(shared) - BEHIND_SECONDS
        stamp = -1 if self._evidence.is_ahead(tip) else tip.header.timestamp
        known = 1 if self._evidence.fits(tip) and not behind else 0
        possible = all(_is_possible(tip, other) for other in tips.values() if other is not None)
        return name in anchored, known, support, possible, stamp, tip.height

    def _tip(self, node: HttpNode) -> Block | None:
        """The block that the node names as its tip; None where it serves none, twice."""
        for _turn in range(2):  # the tip may move, or be replaced, in between
            status = get_status(node)
            try:
                block = get_block(node, status.height, limit=self._limit)
            except (NotFound, BadResponse):
                continue
            if block.hash() == status.last_hash:
                self._evidence.add(block)
                return block
        return None

    def _blocks_at(self, height: int, among: Container[str]) -> dict[str, Block | None]:
        def block(node: HttpNode) -> Block | None:
            try:
                found = get_block(node, height, limit=self._limit)
            except NotFound:
                return None
            self._evidence.add(found)
            return found

        return self._panel.ask(block, among=among)

    def _anchored(self, among: Container[str]) -> set[str]:
        """The nodes that serve the block which the ledger knows."""
        anchor = self._evidence.anchor
        if anchor is None:
            return set()
        there = self._blocks_at(anchor[0], among)
        return {name for name, block in there.items() if block and block.hash() == anchor[1]}

    def _learn(self, height: int, there: Mapping[str, Block | None]) -> None:
        """Find a block that is the chain's, and who proposed it and those below."""
        anchor = self._evidence.anchor
        if anchor is not None and self._learn_below(*anchor, there):
            return
        for back in (0, *(2**step for step in range(STEPS_BACK))):
            at = max(height - back, 1)
            blocks = there if back == 0 else self._blocks_at(at, there)
            served = Counter(block.hash() for block in blocks.values() if block is not None)
            if served and (most := served.most_common(1)[0])[1] > 1:
                self._learn_below(at, most[0], blocks)
                return
            if at == 1 or len(blocks) < 2:
                return

    def _learn_below(self, height: int, block_hash: str, among: Container[str]) -> bool:
        """Read blocks that link to this one, from any node; whether one has it."""

        def read(node: HttpNode) -> list[Block]:
            found: list[Block] = []
            wanted = block_hash
            for at in range(height, max(height - LEARNED_BLOCKS, 0), -1):
                try:
                    block = get_block(node, at, limit=self._limit)
                except NodeError:
                    break
                if block.hash() != wanted:
                    break
                found.append(block)
                wanted = block.header.prev_hash
            return found

        longest = max(self._panel.ask(read, among=among).values(), key=len, default=[])
        for block in longest:
            self._evidence.add(block)
        self._evidence.confirm(block_hash)
        return bool(longest)


def _differ(one: Block | None, other: Block | None) -> bool:
    return one is not None and other is not None and one.hash() != other.hash()


def _is_possible(tip: Block, other: Block) -> bool:
    """Whether a chain can have grown from the one height to the other in the time between."""
    seconds = tip.header.timestamp - other.header.timestamp + CLOCKS_DIFFER_SECONDS
    return tip.height - other.height <= MOST_BLOCKS_A_SECOND * max(seconds, 0)
