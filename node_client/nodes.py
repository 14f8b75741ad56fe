"""Puts questions to the nodes of one chain: to the one that is followed, or to each of them.

    nodes = Nodes([HttpNode(...)], limit=2**23, genesis=None, evidence=Evidence())
    nodes.ask(get_status)
    nodes.each(get_status)         # {name: NodeStatus}

Every node is vetted by its first block before it is asked anything else. With `evidence`, a block by
a proposer never seen before makes the nodes be compared, and a node that is found wrong is passed
over (`comparison.py`); without it, or with one node, blocks are taken as they come.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from gettext import gettext as _

from node_client.block import Block
from node_client.comparison import Comparer, Comparison
from node_client.errors import BadResponse, NodeError, NotFound, WrongChain
from node_client.evidence import Evidence
from node_client.failover import NodeSet, Retries
from node_client.panel import Panel
from node_client.queries import get_block, get_status
from node_client.transport import HttpNode


class Nodes:
    """All nodes of one client. Thread-safe."""

    def __init__(
        self,
        nodes: Sequence[HttpNode],
        *,
        limit: int,
        genesis: str | None = None,
        evidence: Evidence | None = None,
        retries: Retries | None = None,
        stale_after: float = math.inf,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`limit`: bound of a block's JSON in bytes; the rest is as for NodeClient."""
        self._genesis = genesis
        self._limit = limit
        self._retries = retries or Retries()
        self._sleep = sleep
        several = len({node.name for node in nodes}) > 1
        self._evidence = evidence if several else None
        self._set = NodeSet(
            list(nodes),
            vet=self._vet,
            height=lambda node: get_status(node).height,
            trusts=self._trusts,
            stale_after=stale_after,
        )
        self._panel = Panel(nodes, self._set.check)
        self._comparer: Comparer | None = None
        if self._evidence is not None:
            self._comparer = Comparer(self._panel, self._evidence, limit=limit)

    def __iter__(self) -> Iterator[HttpNode]:
        return iter(self._set)

    @property
    def current(self) -> HttpNode:
        """The node that is asked."""
        return self._set.current

    @property
    def are_compared(self) -> bool:
        """Whether there are several, and what they say is compared."""
        return self._comparer is not None

    def check(self, node: HttpNode) -> None:
        """Vet a node that was not vetted since it failed. Raises NodeError."""
        self._set.check(node)

    def leave(self, node: HttpNode) -> None:
        """This node failed: go on to the next."""
        self._set.leave(node)

    def ask[T](self, query: Callable[[HttpNode], T]) -> T:
        """Put one question to the nodes in turn, in rounds with a pause in between.

        NotFound is an answer, where no other node has what was asked for.
        """
        if self._evidence is not None and not self._evidence.compared:
            self.compare()
        failure: NodeError | None = None
        began = time.monotonic()
        for done in range(self._retries.rounds):
            if done:
                if time.monotonic() - began > self._retries.within:
                    break
                self._sleep(self._retries.pause(done, failure))
            missing: NotFound | None = None
            for node in self._set.turns():
                try:
                    self._set.check(node)
                    return query(node)
                except NotFound as error:
                    missing = missing or error
                except NodeError as error:
                    if failure is None or not isinstance(error, WrongChain):
                        failure = error
                    self._set.leave(node)
            if missing is not None:
                raise missing
        assert failure is not None
        raise failure

    def each[T](self, query: Callable[[HttpNode], T]) -> dict[str, T]:
        """Ask every node that is believed at once; return the answers by name, failures left out."""
        said = self._panel.ask(query)
        return {name: answer for name, answer in said.items() if self._believes(name)} or said

    def find_higher_node(self) -> None:
        """Look for a higher node where no new block came for long."""
        self._set.find_higher_node()

    def saw(self, node: HttpNode, height: int) -> None:
        """This node's tip is at this height."""
        self._set.saw(node, height)

    def compare(self, height: int | None = None) -> Comparison | None:
        """Compare what the nodes serve, at `height` too; None where there is nothing to compare."""
        if self._comparer is None or self._evidence is None:
            return None
        with self._evidence.comparing:
            found = self._comparer.compare(height)
            self._evidence.compared = True
        return found

    def block(self, height: int) -> Block:
        """Return the block at `height`, from a node that may be followed.

        Where it has a fault, the other nodes are asked for the same block.
        """
        served_by: list[HttpNode] = []

        def read(node: HttpNode) -> Block:
            served_by[:] = [node]
            block = get_block(node, height, limit=self._limit)
            self._weigh(node, block)
            return block

        block = self.ask(read)
        if not block.fault or len(list(self._set)) < 2:
            return block
        for other in self.each(partial(get_block, height=height, limit=self._limit)).values():
            if not other.fault and other.hash() == block.hash():
                self.leave(served_by[0])
                return other
        return block

    def first_block(self, node: HttpNode) -> Block | None:
        """Return the first block that the node has, 0 or 1; None where it begins later."""
        for height in (0, 1):
            with suppress(NotFound):
                return get_block(node, height, limit=self._limit)
        return None

    def is_pinned(self, first: Block) -> bool:
        """Return whether this first block is that of the pinned chain."""
        return self._genesis in (first.hash(), parent_of_first(first))

    def _weigh(self, node: HttpNode, block: Block) -> None:
        """Raise BadResponse for a block by nobody known, of a node that the others contradict."""
        evidence = self._evidence
        if evidence is None:
            return
        evidence.add(block)
        if not evidence.is_doubtful(node.name, block):
            return
        self.compare(block.height)
        if not evidence.trusts(node.name):
            raise BadResponse(
                _(
                    "{name}: block {height} is by a proposer never seen before, and no other node"
                    " serves it"
                ).format(name=node.name, height=block.height),
                advice=_("Another node is asked; check this one, or leave it out of --node."),
            )
        evidence.tolerate(block)

    def _vet(self, node: HttpNode) -> None:
        """Raise WrongChain where this node's first block is not the pinned one."""
        if self._genesis is None:
            return
        first = self.first_block(node)
        if first is not None and not self.is_pinned(first):
            raise WrongChain(
                _(
                    "{name} serves another chain: its first block is {found:.16}..., and ours"
                    " {genesis:.16}..."
                ).format(name=node.name, found=first.hash(), genesis=self._genesis)
            )

    def _trusts(self, node: HttpNode) -> bool:
        return self._believes(node.name)

    def _believes(self, name: str) -> bool:
        return self._evidence is None or self._evidence.trusts(name)


def parent_of_first(block: Block) -> str | None:
    """Return the hash of block 0 as block 1 names it: some nodes do not serve block 0."""
    return block.header.prev_hash if block.height == 1 else None
