"""What goes out: signs results that wait, sends their transactions in nonce order, and again when due.

    outbox.sign_waiting(tip, account)
    refused = outbox.send_due(tip, account)      # the last that a person has to do something about

No result is given up for what a node says of it: a refusal may be a lie, and waits to be passed on to
another node, or for its task to expire. A transaction that nodes will not have at all is set aside:
its nonce goes to the next result, and its own is signed again, for the same nonce until that is spent.
"""

import threading
from gettext import gettext as _

from engine.monitor.events import sending as events
from engine.monitor.reporter import Reporter
from engine.monitor.troubles import Troubles
from engine.runtime.trace import span
from engine.txmgr.funding import advice_to_fund
from engine.txmgr.ledger import Ledger
from engine.txmgr.ledger_reader import LiveTransaction, Progress
from engine.txmgr.nonces import Nonces
from engine.txmgr.pricing import Price
from engine.txmgr.signer import RESULT_GAS, SenderSettings, Signer
from node_client import errors
from node_client.keys import PrivateKey
from node_client.networks import MAX_QUEUED_NONCES, format_cpc
from node_client.rpc import Account, NodeClient, NodeStatus
from node_client.transaction import Transaction

SEND_AGAIN_BLOCKS = 2
MAX_IN_FLIGHT = MAX_QUEUED_NONCES // 2
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


class Outbox:
    """One account's; for the sender's thread."""

    def __init__(
        self,
        client: NodeClient,
        ledger: Ledger,
        key: PrivateKey,
        settings: SenderSettings,
        report: Reporter,
        troubles: Troubles,
        stopping: threading.Event,
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._settings = settings
        self._report = report
        self._troubles = troubles
        self._stopping = stopping
        self._signer = Signer(key, settings.network)
        self._price = Price(settings.gas_price, settings.max_gas_price)
        self._next_up: tuple[str, int] | None = None
        self._aside: dict[str, tuple[int, int]] = {}  # task: how often, and until which height
        self.nonces = Nonces(client, ledger, key.address, troubles)
        self.all_read = False
        """Whether every block up to the tip was read: an older one may hold what is sent again."""
        self.moved = False
        """Whether a node took anything since this was last set to False."""

    def sign_waiting(self, tip: NodeStatus, account: Account) -> errors.NodeClientError | None:
        """Sign what waits, as far as the balance goes. Gives what a person has to fix."""
        in_flight = self._ledger.in_flight()
        spendable = account.balance - sum(live.tx.fee for live in in_flight)
        price = self._price.now(tip.height)
        self._tell_balance(spendable, price)
        waiting = [one for one in self._ledger.to_sign() if not self._is_aside(one, tip)]
        free = self.nonces.next_free(account.nonce, tip.height)
        if free is None or not waiting or spendable < RESULT_GAS * price:
            return None
        pending = self._client.nonce(self._signer.address)
        room = MAX_IN_FLIGHT - len(in_flight)
        highest = in_flight[-1].tx.nonce if in_flight else -1
        deep = tip.height - self._settings.depth
        refused: errors.NodeClientError | None = None
        signed: list[events.ResultSigned] = []
        with span("sign", results=len(waiting)), self._ledger.together():
            for result in waiting:
                nonce = self.nonces.for_result(result, free, pending, deep)
                if nonce is None or (room <= 0 and nonce > highest):  # below it fills a gap
                    continue
                if spendable < RESULT_GAS * price:
                    break
                try:
                    tx = self._sign(result, nonce, price, spendable)
                except errors.AmbiguousTransaction as error:
                    refused = self._on_ambiguous(error, free) or refused
                    continue
                room -= 1
                spendable -= tx.fee
                signed.append(events.ResultSigned(result.task_id, tx.hash(), tx.nonce))
        for event in signed:  # on the disk by now, in one sync for all of them
            self._report(event)
        return refused

    def send_due(self, tip: NodeStatus, account: Account) -> errors.NodeClientError | None:
        """Send what is due. Gives the last answer that a person has to do something about."""
        trouble: errors.NodeClientError | None = None
        free = self._ledger.proven()
        for live in self._ledger.in_flight():
            due = live.sent_height is None or tip.height - live.sent_height >= SEND_AGAIN_BLOCKS
            if not due or self._stopping.is_set():
                continue
            is_next = self.all_read and live.tx.nonce in (free, account.nonce)
            try:
                with span("send", nonce=live.tx.nonce):
                    trouble = self._send(live, tip, account, is_next=is_next) or trouble
            except errors.NodeUnreachable as error:
                if error.nothing_sent:
                    raise
                return error
            except errors.BadResponse as error:
                return error
        return trouble

    def next_hash(self) -> str | None:
        """Return the hash of the transaction that is the next to get into a block, if any waits."""
        return next((live.tx.hash() for live in self._ledger.in_flight()), None)

    def waits(self) -> bool:
        """Whether a result waits that no node says it has."""
        return bool(self._ledger.to_sign()) or not all(
            live.is_delivered for live in self._ledger.in_flight()
        )

    def _sign(self, result: Progress, nonce: int, price: int, spendable: int) -> Transaction:
        first_unspent = self._ledger.proven()
        tx = self._signer.sign(
            result, nonce, price, first_unspent=first_unspent, spendable=spendable
        )
        self._ledger.record_signed(result.task_id, tx)
        return tx

    def _on_ambiguous(
        self, error: errors.AmbiguousTransaction, free: int
    ) -> errors.NodeClientError | None:
        """Wait: once the nonces below are spent, nothing reads as one of them."""
        proven = self._ledger.proven()
        if free > proven:  # as a node says, and no block shows it
            self.nonces.refuse(
                _(
                    "the next result's digits can be read as another transaction, unless the nonces"
                    " from {proven} to {last} are proven spent"
                ).format(proven=proven, last=free - 1)
            )
            return None
        return None if error.waiting_helps else error

    def _send(
        self, live: LiveTransaction, tip: NodeStatus, account: Account, *, is_next: bool
    ) -> errors.Refused | None:
        """Send once. Gives the refusal that a person has to do something about."""
        tx = live.tx
        if is_next and live.is_delivered and self._is_stuck(live, tip):
            price = self._price.above(tx.gas_price)
            if price is not None:
                live = self._at_price(live, price, account) or live
                tx = live.tx
        if is_next and live.received >= DROPPED_AFTER:
            dropped = errors.UnknownRefusal(
                _("taken {times} times, and in no block").format(times=live.received)
            )
            self._set_aside(live, dropped.reason, tip)
            return dropped
        try:
            self._offer(live)
        except errors.GasPriceTooLow as error:
            return self._on_price(error, live, tip, account)
        except _NEVER_ACCEPTED as error:
            self._set_aside(live, error.reason, tip)
            return error
        except (errors.AlreadyInPool, errors.NonceTooLow) as error:
            # In the pool, in a block not read yet, or another transaction waits with this nonce:
            # the blocks will tell.
            self.moved |= isinstance(error, errors.AlreadyInPool)
            self._ledger.record_sent(tx.hash(), error.reason, tip.height)
            return None
        except errors.Refused as error:
            self._ledger.record_sent(tx.hash(), error.reason, tip.height)
            if isinstance(error, errors.InsufficientBalance):
                error.advice = self._advice_to_fund()
            return error
        self._ledger.record_sent(tx.hash(), "received", tip.height)
        self.moved = True
        if not self._price.is_raised(tx.gas_price):
            self._troubles.end("gas_price")
        return None

    def _offer(self, live: LiveTransaction) -> None:
        """To one node at first; to all of them again, and before a refusal is the last word."""
        if live.sent_height is None:
            try:
                self._client.send(live.tx)
            except errors.AlreadyInPool:
                raise
            except errors.Refused:
                if len(self._client.urls) == 1:
                    raise
            else:
                return
        self._client.broadcast(live.tx)

    def _on_price(
        self, error: errors.GasPriceTooLow, live: LiveTransaction, tip: NodeStatus, account: Account
    ) -> errors.Refused | None:
        """No node took it at this price: pay more, as far as allowed, or wait until one does."""
        price = live.tx.gas_price
        least = error.least or 0
        if error.given == price and least > price:
            demanded = self._price.demand(least, price, tip.height)
            dearer = None if demanded is None else self._at_price(live, demanded, account)
            if dearer is not None:
                self._tell_raised(dearer.tx.gas_price, least)
                return self._send(dearer, tip, account, is_next=False)
        self._ledger.record_sent(live.tx.hash(), error.reason, tip.height)
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

    def _is_aside(self, result: Progress, tip: NodeStatus) -> bool:
        return result.task_id in self._aside and tip.height < self._aside[result.task_id][1]

    def _set_aside(self, live: LiveTransaction, answer: str, tip: NodeStatus) -> None:
        times = self._aside.get(live.task_id, (0, 0))[0]
        until = tip.height + min(ASIDE_BLOCKS * 2**times, ASIDE_MOST_BLOCKS)
        self._aside[live.task_id] = (min(times + 1, 16), until)
        self._ledger.set_aside(live.task_id, answer)

    def _tell_balance(self, spendable: int, price: int) -> None:
        if spendable >= RESULT_GAS * price:
            self._troubles.end("balance_low")
            return
        message = _("insufficient balance: {spendable} CPC are free, and a result costs {fee}")
        self._troubles.begin(
            "balance_low",
            message.format(
                spendable=format_cpc(max(0, spendable)), fee=format_cpc(RESULT_GAS * price)
            ),
            self._advice_to_fund(),
        )

    def _advice_to_fund(self) -> str:
        network = self._settings.network.name
        return advice_to_fund(self._signer.address, network, self._client.urls[0])
