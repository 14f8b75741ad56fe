"""Signs results that wait, in groups, and says what of it is still to arrive.

    outbox.sign_waiting(view)
    refused = outbox.delivery.send_due(view)
    outbox.tell_signed()

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
from engine.txmgr.delivery import Delivery, View
from engine.txmgr.funding import advice_to_fund
from engine.txmgr.ledger import Ledger
from engine.txmgr.nonces import Nonces
from engine.txmgr.pricing import Price
from engine.txmgr.signer import RESULT_GAS, SenderSettings, Signer
from node_client import errors
from node_client.keys import PrivateKey
from node_client.networks import MAX_QUEUED_NONCES, format_cpc
from node_client.rpc import NodeClient

MAX_IN_FLIGHT = MAX_QUEUED_NONCES // 2


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
        self._signer = Signer(key, settings.network)
        self._price = Price(settings.gas_price, settings.max_gas_price)
        self._told: list[events.ResultSigned] = []
        self.nonces = Nonces(client, ledger, key.address, troubles)
        self.delivery = Delivery(
            client,
            ledger,
            self._signer,
            self._price,
            report,
            troubles,
            stopping,
            self._advice_to_fund,
        )

    def sign_waiting(self, view: View) -> errors.NodeClientError | None:
        """Sign what waits, as far as the balance goes. Gives what a person has to fix.

        An older view is as good: each of its nonces is taken here, or spent, or free still.
        """
        tip, account = view.tip, view.account
        in_flight = self._ledger.in_flight()
        spendable = account.balance - sum(live.tx.fee for live in in_flight)
        price = self._price.now(tip.height)
        self._tell_balance(spendable, price)
        waiting = [one for one in self._ledger.to_sign() if not self.delivery.is_aside(one, tip)]
        free = self.nonces.next_free(account.nonce, tip.height)
        if free is None or not waiting or spendable < RESULT_GAS * price:
            return None
        pending = self.ask_pending() if view.pending is None else view.pending
        room = MAX_IN_FLIGHT - len(in_flight)
        highest = in_flight[-1].tx.nonce if in_flight else -1
        deep = tip.height - self._settings.depth
        refused: errors.NodeClientError | None = None
        signed: list[events.ResultSigned] = []
        with span("sign", results=len(waiting)), self._ledger.together():
            nonces, proven = self.nonces.for_group(free, pending, deep), self._ledger.proven()
            for result in waiting:
                nonce = nonces.of(result)
                if nonce is None or (room <= 0 and nonce > highest):  # below it fills a gap
                    continue
                if spendable < RESULT_GAS * price:
                    break
                try:
                    tx = self._signer.sign(
                        result, nonce, price, first_unspent=proven, spendable=spendable
                    )
                except errors.AmbiguousTransaction as error:
                    refused = self._on_ambiguous(error, free) or refused
                    continue
                self._ledger.record_signed(result.task_id, tx)
                nonces.take(nonce)
                room -= 1
                spendable -= tx.fee
                signed.append(events.ResultSigned(result.task_id, tx.hash(), tx.nonce))
        self._told += signed  # now that they are on the disk
        return refused

    def ask_pending(self) -> int:
        """Ask for the next free nonce, the node's mempool counted in. Raises NodeError."""
        return self._client.nonce(self._signer.address)

    def tell_signed(self) -> None:
        """Report what was signed since the last call: after sending, which need not wait for it."""
        told, self._told = self._told, []
        for event in told:
            self._report(event)

    def next_hash(self) -> str | None:
        """Return the hash of the transaction that is the next to get into a block, if any waits."""
        return next((live.tx.hash() for live in self._ledger.in_flight()), None)

    def waits(self) -> bool:
        """Whether a result waits that no node says it has."""
        return bool(self._ledger.to_sign()) or not all(
            live.is_delivered for live in self._ledger.in_flight()
        )

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
