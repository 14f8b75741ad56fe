"""What the sender tells of: refusals, what lasts too long, blocks that cannot be read, a shared key."""

from collections.abc import Callable
from gettext import gettext as _

from engine.monitor.events import sending as events
from engine.monitor.reporter import Reporter
from engine.monitor.troubles import Troubles
from engine.tasks.defaults import TASK_LIFETIME_BLOCKS
from engine.txmgr.ledger import Ledger
from engine.txmgr.outbox import Outbox
from engine.txmgr.signer import SenderSettings
from engine.txmgr.watch import PATIENCE_BLOCKS, Watch
from node_client import errors
from node_client.rpc import NodeStatus


class Alarms:
    """One sender's; called from its thread."""

    def __init__(
        self,
        ledger: Ledger,
        outbox: Outbox,
        settings: SenderSettings,
        report: Reporter,
        troubles: Troubles,
        monotonic: Callable[[], float],
    ) -> None:
        """`monotonic`: seconds, to measure how long something lasts."""
        self._ledger = ledger
        self._outbox = outbox
        self._depth = settings.depth
        self._report = report
        self._troubles = troubles
        self._watch = Watch(troubles, settings.network.block_time, monotonic)
        self._refused: str | None = None
        self._position: tuple[int, str] | None = None
        self._next_hash: str | None = None
        self._unreadable_at: int | None = None

    def refused(self, refused: errors.NodeClientError | None) -> None:
        """Once for each kind, until a node takes something, or nothing waits any more."""
        kind = None if refused is None else type(refused).__name__
        passed = self._outbox.delivery.moved or not self._outbox.waits()
        if kind not in (None, self._refused) or (kind is None and passed):
            self._refused = kind
            self._troubles.end("not_sent")
        if refused is not None:
            self._troubles.begin("not_sent", str(refused), refused.advice)

    def what_lasts(self, failure: errors.NodeClientError | None, *, behind: bool) -> None:
        """Tell where no block could be read, or no result was taken, for long; after every step."""
        position = self._ledger.scan_position()
        stands = position == self._position and (failure is not None or behind)
        self._position = position
        why = "" if failure is None else str(failure)
        self._watch.see(
            "scan_stuck",
            stands,
            _("no further block could be read: {why}").format(why=why),
            _("Results are sent again when it goes on; see whether another --node helps."),
        )
        before, self._next_hash = self._next_hash, self._outbox.next_hash()
        lies = self._next_hash is not None and self._next_hash == before and not behind
        self._watch.see(
            "sending_stuck",
            lies or (self._outbox.waits() and not self._outbox.delivery.moved),
            _("results wait, and no node or no block has taken one for long"),
            _("See what else is wrong, and whether another --node takes them."),
            blocks=PATIENCE_BLOCKS + self._depth,
        )

    def node_behind(self, is_behind: bool) -> None:
        """Tell of a node with fewer blocks than were read."""
        self._watch.see(
            "node_behind",
            is_behind,
            _("the node has fewer blocks than were read before"),
            _("Nothing is sent until it has caught up. Name another node with --node."),
        )

    def balance_unknown(self, error: errors.NodeError | None) -> None:
        """Tell of a node that does not say the balance, and why."""
        self._watch.see(
            "balance_unknown",
            error is not None,
            _("the node does not say the account's balance: {error}").format(error=error),
            _("Nothing is sent meanwhile. Name another node with --node."),
        )

    def unreadable(self, faults: list[tuple[int, str]], tip: NodeStatus) -> None:
        """Count every block with a fault, and tell of the first; over when there was none for long."""
        for height, fault in faults:
            self._unreadable_at = height
            self._report(events.BlockUnreadable(height, fault))
            self._troubles.begin(
                "unreadable_blocks",
                fault,
                _(
                    "Mostly others' transactions do that, and nothing is to be done: blocks are"
                    " followed by their headers, and what we signed is still found where it can be"
                    " read. Another --node may show them in full."
                ),
                stops=False,
            )
        at = self._unreadable_at
        if at is None or tip.height - at >= TASK_LIFETIME_BLOCKS:
            self._troubles.end("unreadable_blocks")

    def key_shared(self, at: int | None, tip: NodeStatus) -> None:
        """Tell of another program with this key, whose transaction the block at this height has."""
        if at is None or tip.height - at >= TASK_LIFETIME_BLOCKS:
            self._troubles.end("key_shared")
            return
        self._troubles.begin(
            "key_shared",
            _("another program signs with this key: block {height} has its transaction").format(
                height=at
            ),
            _(
                "Give each engine a key of its own: two with one key compute the same results and"
                " take each other's nonces. After a single command there is nothing to do."
            ),
            stops=False,
        )
