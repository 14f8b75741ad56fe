"""Hands signed transactions to the nodes, in nonce order, and does what their answers mean.

    delivery.send_due(view)      # the last answer that a person has to do something about

What was never sent goes out together, several at a time, and what the node says of it is written down
together; of all of it the ledger has the signed bytes, and where more than that is lost, the same bytes
are sent again.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from gettext import gettext as _
from gettext import ngettext
from itertools import groupby

from engine.monitor.events import sending as events
from engine.monitor.reporter import Reporter
from engine.monitor.troubles import Troubles
from engine.runtime.trace import span
from engine.txmgr.ledger import Ledger
from engine.txmgr.ledger_reader import LiveTransaction, Progress
from engine.txmgr.pricing import Price
from engine.txmgr.signer import Signer
from node_client import errors
from node_client.rpc import Account, NodeClient, NodeStatus

SEND_AGAIN_BLOCKS = 2
DROPPED_AFTER = 6
"""A transaction that a node took as new so often, and that no block holds, is being dropped."""
STUCK_AFTER_BLOCKS = 4
"""A transaction that could have been in so many blocks, and is in none, may need a higher price."""
ASIDE_BLOCKS = 4
"""How long a result waits that was set aside: twice as long each time, up to ASIDE_MOST_BLOCKS."""
ASIDE_MOST_BLOCKS = 256

_NEVER_ACCEPTED = (
    errors.GasLimitTooLow,
    errors.FeeTooLow,
    errors.InvalidSignature,
    errors.MissingSignature,
    errors.PublicKeyMismatch,
    errors.Malformed,
)


@dataclass(frozen=True, slots=True)
class View:
    """What the node said when every block was read: its tip, the account, its next free nonce.

    `pending` None: not asked yet. `sent_at`: the newest height that is known, for when to send again.
    """

    tip: NodeStatus
    account: Account
    pending: int | None
    sent_at: int


class Delivery:
    """One account's; for the sender's thread."""

    def __init__(
        self,
        client: NodeClient,
        ledger: Ledger,
        signer: Signer,
        price: Price,
        report: Reporter,
        troubles: Troubles,
        stopping: threading.Event,
        advice_to_fund: Callable[[], str],
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._signer = signer
        self._price = price
        self._report = report
        self._troubles = troubles
        self._stopping = stopping
        self._advice_to_fund = advice_to_fund
        self._next_up: tuple[str, int] | None = None
        self._aside: dict[str, tuple[int, int]] = {}  # task: how often, and until which height
        self.all_read = False
        """Whether every block up to the tip was read: an older one may hold what is sent again."""
        self.moved = False
        """Whether a node took anything since this was last set to False."""

    def is_aside(self, result: Progress, tip: NodeStatus) -> bool:
        """Whether nodes would not have this result, and it waits to be signed again."""
        return result.task_id in self._aside and tip.height < self._aside[result.task_id][1]

    def send_due(self, view: View, *, fresh: bool = False) -> errors.NodeClientError | None:
        """Send what is due. Gives the last answer that a person has to do something about.

        `fresh`: only what was never sent.
        """
        due = [
            live
            for live in self._ledger.in_flight()
            if live.sent_height is None
            or (not fresh and view.tip.height - live.sent_height >= SEND_AGAIN_BLOCKS)
        ]
        trouble: errors.NodeClientError | None = None
        try:
            for is_new, lives in groupby(due, _is_new):
                send = self._send_new if is_new else self._send_each
                trouble = send(list(lives), view) or trouble
        except errors.NodeUnreachable as error:
            if error.nothing_sent:
                raise
            return error
        except errors.BadResponse as error:
            return error
        return trouble

    def _send_each(self, lives: list[LiveTransaction], view: View) -> errors.NodeClientError | None:
        trouble: errors.NodeClientError | None = None
        free = self._ledger.proven()
        for live in lives:
            if self._stopping.is_set():
                break
            is_next = self.all_read and live.tx.nonce in (free, view.account.nonce)
            with span("send", nonce=live.tx.nonce):
                trouble = self._send(live, view, is_next=is_next) or trouble
        return trouble

    def _send_new(self, lives: list[LiveTransaction], view: View) -> errors.NodeClientError | None:
        """Send these in their order, and write down together which of them were taken."""
        if self._stopping.is_set():
            return None
        with span("send", first=lives[0].tx.nonce, count=len(lives)):
            said, failure = self._client.send_all([live.tx for live in lives])
        refused = [
            (live, answer)
            for live, answer in zip(lives, said, strict=False)
            if isinstance(answer, errors.Refused)
        ]
        answered = zip(lives, said, strict=False)
        self._on_taken([live for live, answer in answered if isinstance(answer, str)], view)
        trouble: errors.NodeClientError | None = None
        for live, refusal in refused:
            several = len(self._client.urls) > 1 and not isinstance(refusal, errors.AlreadyInPool)
            answer = self._broadcast(live) if several else refusal
            trouble = self._on_answer(answer, live, view) or trouble
        if failure is not None:
            raise failure
        return trouble

    def _send(
        self, live: LiveTransaction, view: View, *, is_next: bool
    ) -> errors.NodeClientError | None:
        """Send one again. Gives the refusal that a person has to do something about."""
        if is_next and live.is_delivered and self._is_stuck(live, view.tip):
            price = self._price.above(live.tx.gas_price)
            if price is not None:
                live = self._at_price(live, price, view.account) or live
        if is_next and live.received >= DROPPED_AFTER:
            dropped = errors.UnknownRefusal(
                ngettext(
                    "taken {times} time, and in no block",
                    "taken {times} times, and in no block",
                    live.received,
                ).format(times=live.received)
            )
            self._set_aside(live, dropped.reason, view.tip)
            return dropped
        return self._on_answer(self._broadcast(live), live, view)

    def _broadcast(self, live: LiveTransaction) -> errors.Refused | None:
        """Offer it to all nodes: again, or before a refusal is the last word."""
        try:
            self._client.broadcast(live.tx)
        except errors.Refused as refusal:
            return refusal
        return None

    def _on_answer(
        self, answer: errors.Refused | None, live: LiveTransaction, view: View
    ) -> errors.NodeClientError | None:
        """Give the refusal that a person has to do something about."""
        match answer:
            case None:
                self._on_taken([live], view)
                return None
            case errors.GasPriceTooLow():
                return self._on_price(answer, live, view)
            case errors.AlreadyInPool() | errors.NonceTooLow():
                # In the pool, in a block not read yet, or another transaction waits with this
                # nonce: the blocks will tell.
                self.moved |= isinstance(answer, errors.AlreadyInPool)
                self._ledger.record_sent(live.tx.hash(), answer.reason, view.sent_at)
                return None
        if isinstance(answer, _NEVER_ACCEPTED):
            self._set_aside(live, answer.reason, view.tip)
            return answer
        self._ledger.record_sent(live.tx.hash(), answer.reason, view.sent_at)
        if isinstance(answer, errors.InsufficientBalance):
            answer.advice = self._advice_to_fund()
        return answer

    def _on_taken(self, lives: list[LiveTransaction], view: View) -> None:
        if not lives:
            return
        with self._ledger.together():
            for live in lives:
                self._ledger.record_sent(live.tx.hash(), "received", view.sent_at)
        self.moved = True
        if not all(self._price.is_raised(live.tx.gas_price) for live in lives):
            self._troubles.end("gas_price")

    def _on_price(
        self, error: errors.GasPriceTooLow, live: LiveTransaction, view: View
    ) -> errors.NodeClientError | None:
        """No node took it at this price: pay more, as far as allowed, or wait until one does."""
        price = live.tx.gas_price
        least = error.least or 0
        if error.given == price and least > price:
            demanded = self._price.demand(least, price, view.tip.height)
            dearer = None if demanded is None else self._at_price(live, demanded, view.account)
            if dearer is not None:
                self._tell_raised(dearer.tx.gas_price, least)
                return self._send_new([dearer], view)
        self._ledger.record_sent(live.tx.hash(), error.reason, view.sent_at)
        self._troubles.begin(
            "gas_price",
            _("the node takes no result at {price} units a gas: {reason}").format(
                price=price, reason=error.reason
            ),
            _(
                "Results wait, until their tasks expire. Where the network's price did rise, start"
                " again with a higher --gas-price or --max-gas-price; else name another --node."
            ),
        )
        return None

    def _tell_raised(self, price: int, least: int) -> None:
        self._troubles.begin(
            "gas_price",
            _(
                "nodes want {least} units a gas: results are signed at {price} now, and it rises step"
                " by step within --max-gas-price"
            ).format(least=least, price=price),
            _(
                "One node alone may lie: name others with --node. It falls back to your own price"
                " when nodes take that again."
            ),
            stops=False,
        )

    def _is_stuck(self, live: LiveTransaction, tip: NodeStatus) -> bool:
        """Whether this one, the next to get into a block, was that for so many blocks already."""
        tx_hash = live.tx.hash()
        if self._next_up is None or self._next_up[0] != tx_hash:
            self._next_up = (tx_hash, tip.height)
        return tip.height - self._next_up[1] >= STUCK_AFTER_BLOCKS

    def _at_price(
        self, live: LiveTransaction, price: int, account: Account
    ) -> LiveTransaction | None:
        """The same result at a higher price, written down; None where it cannot be signed."""
        others = sum(other.tx.fee for other in self._ledger.in_flight()) - live.tx.fee
        try:
            tx = self._signer.at_price(
                live.tx,
                price,
                first_unspent=self._ledger.proven(),
                spendable=account.balance - others,
            )
        except errors.InvalidTransaction:  # ambiguous, or its nonce is proven spent meanwhile
            return None
        self._ledger.record_signed(live.task_id, tx, replaces=live.tx.hash())
        self._report(events.ResultRepriced(live.task_id, tx.hash(), tx.gas_price))
        return LiveTransaction(tx, live.task_id, "signed")

    def _set_aside(self, live: LiveTransaction, answer: str, tip: NodeStatus) -> None:
        times = self._aside.get(live.task_id, (0, 0))[0]
        until = tip.height + min(ASIDE_BLOCKS * 2**times, ASIDE_MOST_BLOCKS)
        self._aside[live.task_id] = (min(times + 1, 16), until)
        self._ledger.set_aside(live.task_id, answer)


def _is_new(live: LiveTransaction) -> bool:
    """Whether no node was offered it, as far as is written down."""
    return live.sent_height is None and live.received < DROPPED_AFTER
