"""To which of several nodes a transaction goes, and what becomes of what each of them says."""

from collections.abc import Callable
from gettext import gettext as _

from node_client.errors import (
    AlreadyInPool,
    BadResponse,
    NodeClientError,
    NodeError,
    NodeUnreachable,
    Refused,
)
from node_client.nodes import Nodes
from node_client.queries import post_transaction
from node_client.transaction import Transaction
from node_client.transport import HttpNode


def hand_in_to_one[T](
    nodes: Nodes, hand_in: Callable[[HttpNode], tuple[list[T], NodeError | None]]
) -> tuple[list[T], NodeError | None]:
    """Hand in what may arrive: to the next node only where nothing was sent to the one before.

    Return what the node said, and the failure why it said no more.
    """
    said, failure = list[T](), None
    for _turn in nodes:
        node = nodes.current
        try:
            nodes.check(node)
            said, failure = hand_in(node)
        except NodeError as error:
            said, failure = [], error
        if failure is None:
            break
        nodes.leave(node)  # where the same bytes are sent again, the next is asked
        if said or _may_have_arrived(failure):
            failure.advice = _(
                "The transaction may have arrived: look for it in the next blocks, or send"
                " the same bytes again, which is safe."
            )
            break
    return said, failure


def broadcast(nodes: Nodes, tx: Transaction) -> str:
    """Send a transaction to every node; return its hash, or raise the failure that says most."""
    failures: list[NodeClientError] = []
    for node in nodes:
        try:
            nodes.check(node)
            post_transaction(node, tx)
        except (Refused, NodeError) as error:
            failures.append(error)
    if len(failures) < len(list(nodes)):
        return tx.hash()
    raise min(failures, key=_rank)


def _may_have_arrived(error: NodeError) -> bool:
    if isinstance(error, NodeUnreachable):
        return not error.nothing_sent
    return isinstance(error, BadResponse)


def _rank(failure: NodeClientError) -> int:
    """Return the rank of one node's failure by how much it says about the transaction, 0 the most."""
    if isinstance(failure, AlreadyInPool):
        return 0
    return 1 if isinstance(failure, Refused) else 2
