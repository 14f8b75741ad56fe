"""The sender: signs results, sends them in nonce order, and follows them until they are final.

One a key, in a thread of its own. Each step reads the chain first, so that what it decides rests on
what the blocks hold:

    scan blocks -> worthless? -> final? -> sign (write ahead) -> send, or send again

Sending again is always safe: the same bytes carry the same nonce, and at most one of the
transactions of one nonce gets into a block. For the same reason a result whose nonce was lost gets
another one only when a block that is deep enough spent the first: before that, a roll-back could
let both into blocks. A higher price, where the operator allows one, is the same result at the same
nonce; the ledger knows both transactions, and whichever a block holds is the result's.

After a long absence there are thousands of blocks to read. Fresh results do not wait for that: they
are signed and sent in between, and only what rests on having read every block is put off.
"""

import threading
import time
from collections.abc import Callable
from gettext import gettext as _

from engine.monitor.events import sending as events
from engine.monitor.reporter import Reporter
from engine.monitor.troubles import Troubles
from engine.runtime.errors import LedgerError
from engine.tasks.defaults import TASK_LIFETIME_BLOCKS
from engine.txmgr.funding import advice_to_fund
from engine.txmgr.inclusion import ChainScan
from engine.txmgr.ledger import Ledger
from engine.txmgr.ledger_reader import LiveTransaction, Progress
from engine.txmgr.signer import SenderSettings, Signer
from node_client import errors
from node_client.keys import PrivateKey
from node_client.networks import MAX_QUEUED_NONCES, format_cpc
from node_client.rpc import Account, NodeClient, NodeStatus
from node_client.transaction import Transaction

SEND_AGAIN_BLOCKS = 2
MAX_IN_FLIGHT = MAX_QUEUED_NONCES // 2
DROPPED_AFTER = 6
"""A transaction that a node took as new so often, and that no block holds, is being dropped."""

PROOFS_KEPT_BLOCKS = 1000
"""Ten times as long as a task counts: no roll-back that this program could survive goes so deep."""
STUCK_AFTER_BLOCKS = 4
"""A transaction that could have been in so many blocks, and is in none, may need a higher price."""

_NEVER_ACCEPTED = (
    errors.GasLimitTooLow,
    errors.FeeTooLow,
    errors.InvalidSignature,
    errors.MissingSignature,
    errors.PublicKeyMismatch,
)


class Sender(threading.Thread):
    """Start it; `poke` it when a result was computed or a block came; set `stopping` to end it."""

    def __init__(
        self,
        client: NodeClient,
        ledger: Ledger,
        key: PrivateKey,
        settings: SenderSettings,
        report: Reporter,
        troubles: Troubles,
        failed: Callable[[Exception], None],
    ) -> None:
        """`report` and `failed` are called from this thread; `failed` with what ended it."""
        super().__init__(name="sender", daemon=True)
        self.stopping = threading.Event()
        self._poked = threading.Event()
        self.poke: Callable[[], None] = self._poked.set
        """There is something to do: for any thread."""
        self._client = client
        self._ledger = ledger
        self._report = report
        self._troubles = troubles
        self._failed = failed
        self._settings = settings
        self._scan = ChainScan(client, ledger, key.address)
        self._signer = Signer(key, settings.network, settings.gas_price, settings.max_gas_price)
        self._trouble: str | None = None
        self._next_up: tuple[str, int] | None = None
        self._balance: int | None = None
        self.turned_at = time.monotonic()
        """When the thread last began a round."""
        self.behind = False
        """Whether blocks wait to be read before all of the ledger is up to date."""

    def stop(self) -> None:
        """End after the block, or the transaction, that is at work now."""
        self.stopping.set()
        self._poked.set()

    def run(self) -> None:
        """Step when poked, and now and then, until told to stop."""
        try:
            while not self.stopping.is_set():
                self.turned_at = time.monotonic()
                if not self.behind:
                    self._poked.wait(self._settings.network.block_time)
                self._poked.clear()
                if not self.stopping.is_set():
                    self.round()
        except LedgerError as error:
            if not self.stopping.is_set():  # else the run is over, and its ledger closed
                self._failed(error)
        except Exception as error:  # noqa: BLE001 - goes on in the main thread
            self._failed(error)

    def round(self) -> None:
        """Take one step; report what a person can fix, once for each kind until it passes."""
        try:
            trouble: errors.NodeClientError | None = self.step()
        except errors.WrongChain as error:
            raise LedgerError(str(error), advice=error.advice) from error
        except errors.NodeError:
            self.behind = False  # so that the next step is not taken at once
            return  # the watcher tells of a node that does not answer
        except errors.NodeClientError as error:
            trouble = error
            self.behind = False
        if (kind := None if trouble is None else type(trouble).__name__) != self._trouble:
            self._trouble = kind
            self._troubles.end("not_sent")
        if trouble is not None:
            self._troubles.begin("not_sent", str(trouble), trouble.advice)

    def step(self) -> errors.NodeClientError | None:
        """Bring the ledger up to the chain, and the chain up to the ledger.

        Gives what keeps results from being sent and a person has to do something about. Raises
        NodeError where the node fails.
        """
        tip = self._client.status()
        if (gone := self._scan.advance(tip, self.stopping.is_set)) is not None:
            self._report(events.ChainRolledBack(gone.first, gone.last))
            self._report(self._ledger.totals())
        behind = self._scan.blocks_behind(tip)
        self.behind = bool(behind)
        if behind is None or self.stopping.is_set():
            return None
        if not behind:
            self._settle(tip)
        account = self._client.balance(self._signer.address)
        self._sign_computed(tip, account, self._spendable(account))
        return self._send_in_order(tip, account)

    def _spendable(self, account: Account) -> int:
        """Return what the transactions in flight leave of the balance, and tell where it is low."""
        if account.balance != self._balance:
            self._balance = account.balance
            self._report(events.BalanceChanged(account.balance))
        spendable = account.balance - sum(live.tx.fee for live in self._ledger.in_flight())
        if spendable >= self._signer.fee:
            self._troubles.end("balance_low")
            return spendable
        message = _("insufficient balance: {spendable} CPC are free, and a result costs {fee}")
        message = message.format(
            spendable=format_cpc(max(0, spendable)), fee=format_cpc(self._signer.fee)
        )
        self._troubles.begin("balance_low", message, self._advice_to_fund())
        return spendable

    def _settle(self, tip: NodeStatus) -> None:
        """Give up what is worth nothing, and call final what is deep enough, every block read."""
        for result in self._ledger.open_results():
            if not result.block_hash:  # a validator's job
                continue
            known = self._ledger.scanned_hash(result.height)
            if known is not None and known != result.block_hash:
                self._give_up(result.task_id, "rolled_back", _("its block was rolled back"))
            elif result.state != "included" and result.height <= tip.height - TASK_LIFETIME_BLOCKS:
                # A task counts only while its block is among the chain's last 100.
                self._give_up(result.task_id, "expired", _("its block is not among the last 100"))
        for task_id in self._ledger.record_final(tip.height - self._settings.depth):
            self._report(self._confirmed(task_id))
        self._ledger.forget_proofs(tip.height - PROOFS_KEPT_BLOCKS)

    def _confirmed(self, task_id: str) -> events.ResultConfirmed:
        (result,) = self._ledger.progress("task_id = ?", task_id)
        fee = self._ledger.fee(result.tx_hash) if result.tx_hash else 0
        return events.ResultConfirmed(
            task_id, result.height, result.tx_hash, result.included_height, fee
        )

    def _sign_computed(self, tip: NodeStatus, account: Account, spendable: int) -> None:
        """Sign what waits, as far as the balance goes."""
        waiting = self._ledger.to_sign()
        if not waiting:
            return
        pending_nonce = self._client.nonce(self._signer.address)
        in_flight = self._ledger.in_flight()
        room = MAX_IN_FLIGHT - len(in_flight)
        for result in waiting:
            nonce = self._nonce_for(result, tip, account.nonce, pending_nonce)
            fills_a_gap = bool(in_flight) and nonce is not None and nonce < in_flight[-1].tx.nonce
            if nonce is None or (room <= 0 and not fills_a_gap):
                continue
            if spendable < self._signer.fee:
                return
            tx = self._sign(result, nonce, account, spendable)
            if tx is not None:
                room -= 1
                spendable -= tx.fee
                self._report(events.ResultSigned(result.task_id, tx.hash(), tx.nonce))

    def _sign(
        self, result: Progress, nonce: int, account: Account, spendable: int
    ) -> Transaction | None:
        try:
            tx = self._signer.sign(result, nonce, account, spendable)
        except errors.AmbiguousTransaction as error:
            if error.waiting_helps:  # once the nonces below are spent, nothing reads as one of them
                return None
            self._give_up(result.task_id, "ambiguous", str(error))
            return None
        self._ledger.record_signed(result.task_id, tx)
        return tx

    def _nonce_for(
        self, result: Progress, tip: NodeStatus, confirmed: int, pending: int
    ) -> int | None:
        """The nonce to sign this result with; None where it has to wait for one."""
        deep = tip.height - self._settings.depth
        unsettled = self._ledger.unsettled_nonces(result.task_id, deep)
        taken = self._ledger.taken_nonces(confirmed)
        if unsettled:  # a transaction with that nonce may still get in, and none with another
            nonce = unsettled[0]
            return nonce if nonce >= confirmed and nonce not in taken else None
        nonce = confirmed
        while nonce in taken or nonce < pending:
            nonce += 1
        return nonce

    def _send_in_order(self, tip: NodeStatus, account: Account) -> errors.NodeClientError | None:
        """Send what is due. Gives the last answer that a person has to do something about."""
        trouble: errors.NodeClientError | None = None
        for live in self._ledger.in_flight():
            due = live.sent_height is None or tip.height - live.sent_height >= SEND_AGAIN_BLOCKS
            if not due or self.stopping.is_set():
                continue
            if live.tx.nonce == account.nonce and self._is_stuck(live, tip):
                live = self._for_more(live, account) or live
            try:
                trouble = self._send(live, tip, account) or trouble
            except errors.NodeUnreachable as error:
                if error.nothing_sent:
                    raise
                return error
            except errors.BadResponse as error:
                return error
        return trouble

    def _send(
        self, live: LiveTransaction, tip: NodeStatus, account: Account
    ) -> errors.Refused | None:
        """Send once. Gives the refusal that a person has to do something about."""
        tx = live.tx
        dropped = live.received >= DROPPED_AFTER and tx.nonce == account.nonce
        if dropped and not self.behind:
            self._give_up(
                live.task_id, "dropped", _("the network drops its transaction again and again")
            )
            return None
        try:
            self._offer(live)
        except errors.GasPriceTooLow as error:
            dearer = self._for_more(live, account, at_least=error.least or 0)
            if dearer is None:
                self._give_up(live.task_id, "refused", str(error))
                return error
            return self._send(dearer, tip, account)
        except _NEVER_ACCEPTED as error:
            self._give_up(live.task_id, "refused", str(error))
            return error
        except (errors.AlreadyInPool, errors.NonceTooLow) as error:
            # In the pool, in a block not read yet, or another transaction waits with this nonce:
            # the blocks will tell.
            self._ledger.record_sent(tx.hash(), error.reason, tip.height)
            return None
        except errors.Refused as error:
            self._ledger.record_sent(tx.hash(), error.reason, tip.height)
            if isinstance(error, errors.InsufficientBalance):
                error.advice = self._advice_to_fund()
            return error
        self._ledger.record_sent(tx.hash(), "received", tip.height)
        return None

    def _offer(self, live: LiveTransaction) -> None:
        """To one node at first; to all of them again, and before a refusal is the last word."""
        if live.sent_height is not None:
            self._client.broadcast(live.tx)
            return
        try:
            self._client.send(live.tx)
        except _NEVER_ACCEPTED:
            if len(self._client.urls) == 1:
                raise
            self._client.broadcast(live.tx)

    def _is_stuck(self, live: LiveTransaction, tip: NodeStatus) -> bool:
        """Whether this one, the next to get into a block, was that for so many blocks already."""
        tx_hash = live.tx.hash()
        if self._next_up is None or self._next_up[0] != tx_hash:
            self._next_up = (tx_hash, tip.height)
        return tip.height - self._next_up[1] >= STUCK_AFTER_BLOCKS

    def _for_more(
        self, live: LiveTransaction, account: Account, *, at_least: int = 0
    ) -> LiveTransaction | None:
        """The same result at a higher price, written down; None where that may not be."""
        others = sum(other.tx.fee for other in self._ledger.in_flight()) - live.tx.fee
        tx = self._signer.dearer(live.tx, account, account.balance - others, at_least=at_least)
        if tx is None:
            return None
        self._ledger.record_signed(live.task_id, tx, replaces=live.tx.hash())
        self._report(events.ResultRepriced(live.task_id, tx.hash(), tx.gas_price))
        return LiveTransaction(tx, live.task_id, "signed", None, 0)

    def _advice_to_fund(self) -> str:
        network = self._settings.network.name
        return advice_to_fund(self._signer.address, network, self._client.urls[0])

    def _give_up(self, task_id: str, code: str, reason: str) -> None:
        self._ledger.give_up(task_id, code, reason)
        self._report(events.ResultGivenUp(task_id, reason))
