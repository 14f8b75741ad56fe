"""The RPC client: requests to one of several nodes, and checked responses.

    client = NodeClient(["http://localhost:8000"])
    status, tip = client.latest_block()
    client.send(signed)

Questions are asked of the node that answered last, and of the others where it fails; when all
failed, again after a pause, a few times. A node whose tip stands still is left for one that is
higher, and one whose first block is another chain's is never asked anything else (`nodes.py`). A
transaction is sent once: to the next node only where the first did not take it in (no connection,
not ready, another chain). Sending the same bytes again, to every node, is safe all the same, and is
the caller's decision.

Everything raised is a NodeClientError: InvalidData before anything is sent, NodeError for what the
node or the way to it did, Refused for what the node says no to. One client may be used from several
threads.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from gettext import gettext as _
from typing import Any

from node_client.address import check_address
from node_client.block import Block
from node_client.block_body import MAX_BLOCK_BODY
from node_client.comparison import Comparison
from node_client.errors import BadResponse, InvalidData, NodeError, NotFound, Refused
from node_client.evidence import Evidence
from node_client.failover import Retries
from node_client.nodes import Nodes, parent_of_first
from node_client.panel import EACH_SECONDS
from node_client.queries import (
    check_echo,
    get,
    get_account,
    get_block,
    get_nonce,
    get_status,
    post_transaction,
    post_transactions,
)
from node_client.recent_blocks import RecentBlocks
from node_client.responses import Account, NodeStatus, Receipt
from node_client.sending import broadcast, hand_in_to_one
from node_client.transaction import Transaction
from node_client.transport import HttpNode

__all__ = [
    "EACH_SECONDS",
    "Account",
    "NodeClient",
    "NodeStatus",
    "Receipt",
    "Retries",
    "parent_of_first",
]


class NodeClient:
    """A client of one or more nodes of the same chain."""

    def __init__(
        self,
        urls: Sequence[str],
        *,
        timeout: tuple[float, float] = (3.05, 10.0),
        total: float = 30.0,
        retries: Retries | None = None,
        max_block_body: int = MAX_BLOCK_BODY,
        genesis: str | None = None,
        stale_after: float = math.inf,
        evidence: Evidence | None = None,
        recent: RecentBlocks | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`timeout`: seconds for a connection and for each read; `total`: for a whole answer.

        `genesis`: hash of the chain's first block; a node that has another one raises WrongChain
        and is left. `stale_after`: seconds without a new block after which the highest node is
        looked for. `evidence`: with several nodes, what they serve is compared, and a node that is
        found wrong not followed; the clients of one chain share it, and may share the blocks that
        they read last (`recent`). `sleep` is given the pauses between retries. Raises InvalidData for
        an invalid URL.
        """
        if isinstance(urls, str) or not urls:
            raise InvalidData(_("at least one node's URL is needed, in a list"))
        self._nodes = Nodes(
            [HttpNode(url, timeout=timeout, total=total) for url in urls],
            limit=max_block_body,
            genesis=genesis,
            evidence=evidence,
            retries=retries,
            stale_after=stale_after,
            sleep=sleep,
        )
        self._genesis = genesis
        self._recent = recent
        self._max_block_body = max_block_body

    @property
    def urls(self) -> list[str]:
        """The nodes' URLs without user and password."""
        return [node.name for node in self._nodes]

    @property
    def exposed(self) -> list[str]:
        """Of `urls`, those of plain http to another machine."""
        return [node.name for node in self._nodes if node.is_exposed]

    def close(self) -> None:
        """Close the connections that are kept alive."""
        for node in self._nodes:
            node.close()

    def ask[T](self, query: Callable[[HttpNode], T]) -> T:
        """Put a question of the caller's to the nodes, as every other is put. Raises NodeError."""
        return self._nodes.ask(query)

    def ask_each[T](self, query: Callable[[HttpNode], T]) -> dict[str, T]:
        """Put it to every node, and return the answers by the nodes' names; see `each_status`."""
        return self._nodes.each(query)

    def genesis(self) -> str | None:
        """Return the hash of the first block that the node has, 0 or 1; None where it begins later.

        A node of the pinned chain that begins at block 1 gives the pinned hash.
        """
        first = self._nodes.ask(self._nodes.first_block)
        if first is None:
            return None
        if self._genesis is not None and self._nodes.is_pinned(first):
            return self._genesis
        return first.hash()

    def status(self) -> NodeStatus:
        """Return the tip's height and hash, and what else the node says of itself."""
        self._nodes.find_higher_node()

        def look(node: HttpNode) -> NodeStatus:
            status = get_status(node)
            self._nodes.saw(node, status.height)
            return status

        return self._nodes.ask(look)

    def compare(self) -> Comparison | None:
        """Compare what all nodes serve now; None without `evidence`, or with one node."""
        return self._nodes.compare()

    def block(self, height: int, *, expected_hash: str | None = None) -> Block:
        """Return the block at `height`, its signature its proposer's.

        `fault` says where its transactions cannot be read or do not fit its roots, which the other
        nodes were asked for, too. Who may propose is not known here: a hash that came another way
        (`expected_hash`, or the next block's `prev_hash`) is what ties a block to the chain. Raises
        NotFound, or BadResponse.
        """
        _check_height(height)
        try:
            block = self._nodes.block(height)
        except NotFound:
            if expected_hash is not None:  # a tip that is named, and not shown
                self._nodes.compare()
            raise
        if expected_hash is not None and block.hash() != expected_hash:
            self._nodes.compare()
            raise BadResponse(
                _("{name}: block {height} has hash {hash}, not {expected_hash}").format(
                    name=self._nodes.current.name,
                    height=height,
                    hash=block.hash(),
                    expected_hash=expected_hash,
                ),
                advice=_("It was rolled back in between, or the node is wrong: ask again."),
            )
        if self._recent is not None:
            self._recent.add(block)
        return block

    def known_block(self, block_hash: str) -> Block | None:
        """Return the block of this hash where a client that shares `recent` has just read all of it."""
        return None if self._recent is None else self._recent.get(block_hash)

    def latest_block(self) -> tuple[NodeStatus, Block]:
        """Return status and the block that it names as the tip; asks again once if the tip moved."""
        try:
            return self._status_and_block()
        except (BadResponse, NotFound):
            pass
        try:
            return self._status_and_block()
        except NotFound:
            raise BadResponse(
                _("{name} names a newest block that it does not have").format(
                    name=self._nodes.current.name
                ),
                advice=_("It is wrong, or has just lost blocks: ask again, or name another node."),
            ) from None

    def balance(self, address: str) -> Account:
        """Return balance, in units, and confirmed nonce; zeros for an unknown account.

        Where nodes are compared, the largest balance that any of them says: one that says too much
        costs nothing, since the others refuse what is not covered.
        """
        check_address(address)
        account = self._nodes.ask(partial(get_account, address=address))
        if not self._nodes.are_compared:
            return account
        others = self.each_balance(address).values()
        return replace(account, balance=max(account.balance, *(o.balance for o in others)))

    def nonce(self, address: str, pending: bool = True) -> int:
        """Return the next free nonce, after those waiting in the mempool, or the confirmed one."""
        check_address(address)
        return self._nodes.ask(partial(get_nonce, address=address, pending=pending))

    def each_status(self) -> dict[str, NodeStatus]:
        """Return what every node says its tip is, by the node's name in `urls`.

        As with all of `each_...`: all are asked at the same time, and whichever fails, is of
        another chain, is found wrong, or gives no answer within EACH_SECONDS is left out.
        """
        return self._nodes.each(get_status)

    def each_first_block(self) -> dict[str, Block | None]:
        """Return every node's first block, 0 or 1, None where it begins later."""
        return self._nodes.each(self._nodes.first_block)

    def each_balance(self, address: str) -> dict[str, Account]:
        """Return balance and confirmed nonce as every node says them; see `each_status`."""
        check_address(address)
        return self._nodes.each(partial(get_account, address=address))

    def each_nonce(self, address: str, pending: bool = True) -> dict[str, int]:
        """Return the next free nonce, or the confirmed one, as every node says it."""
        check_address(address)
        return self._nodes.each(partial(get_nonce, address=address, pending=pending))

    def each_block_hash(self, height: int) -> dict[str, str | None]:
        """Return the hash of every node's block at `height`, None where it says it has none."""
        _check_height(height)

        def hash_of(node: HttpNode) -> str | None:
            try:
                return get_block(node, height, limit=self._max_block_body).hash()
            except NotFound:
                return None

        return self._nodes.each(hash_of)

    def receipt(self, tx_hash: str) -> Receipt:
        """Return what the node says of a transaction; only a block proves it. Raises NotFound."""
        if len(tx_hash) != 64 or not set(tx_hash) <= set("0123456789abcdef"):
            raise InvalidData(_("a transaction's hash is 64 lower-case hex digits"))

        def parse(value: Any) -> Receipt:
            answer = Receipt.model_validate(value)
            check_echo(answer.tx_hash, tx_hash)
            return answer

        return self._nodes.ask(partial(get, path=f"/tx/{tx_hash}/receipt", parse=parse))

    def send(self, tx: Transaction) -> str:
        """Send a signed transaction and return its hash. `received` is not a promise: see NODE.md.

        Raises Refused (AlreadyInPool, which counts as success, among them), or NodeError. A
        NodeUnreachable whose `nothing_sent` is False, and a BadResponse, leave it open whether the
        transaction arrived; the same bytes can be sent again.
        """
        said, failure = hand_in_to_one(
            self._nodes, lambda node: ([post_transaction(node, tx)], None)
        )
        if failure is not None:
            raise failure
        return said[0]

    def send_all(self, txs: Sequence[Transaction]) -> tuple[list[str | Refused], NodeError | None]:
        """Send signed transactions, in this order, to one node; return what it says of each.

        That is a hash or a refusal, as far as there are answers, and the failure why there are no more.
        As with `send`, it is open then which of the others arrived.
        """
        return hand_in_to_one(self._nodes, lambda node: post_transactions(node, txs))

    def broadcast(self, tx: Transaction) -> str:
        """Send a transaction that was sent before to every node; return its hash if one accepts it.

        Else raises what says most: AlreadyInPool, then the first refusal, then a NodeError.
        """
        return broadcast(self._nodes, tx)

    def _status_and_block(self) -> tuple[NodeStatus, Block]:
        status = self.status()
        return status, self.block(status.height, expected_hash=status.last_hash)


def _check_height(height: int) -> None:
    if not 0 <= height < 2**63:
        raise InvalidData(_("{height} is not a block height").format(height=height))
