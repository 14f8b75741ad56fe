"""The sender: signs results, sends them in nonce order, and follows them until they are final.

One a key, in a thread of its own. Each step reads the chain first, so that what it decides rests on
what the blocks hold:

    scan blocks -> worthless? -> final? -> sign (write ahead) -> send, or send again

Results of the newest block do not wait for that block to be read: they are signed and sent by what the
last step saw, where the block follows on that. Their nonces are the ledger's, and spent or free in it
as they were; the step comes when they are on their way.

Sending again is always safe: the same bytes carry the same nonce, and at most one of the
transactions of one nonce gets into a block. For the same reason a result whose nonce was lost gets
another one only when a block that is deep enough spent the first: before that, a roll-back could
let both into blocks. A higher price, where the operator allows one, is the same result at the same
nonce; the ledger knows both transactions, and whichever a block holds is the result's.

A transaction of ours may sit in a block that nobody can read to us. Then the account's nonce passes
it, and no block shows it. It stays `sent`, and its result is never signed again: it expires, although
it may be on the chain. Nor does its nonce count as spent, until two nodes or the operator say so.

After a long absence there are thousands of blocks to read. Fresh results do not wait for that: they
are signed and sent in between, and only what rests on having read every block is put off.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from gettext import gettext as _

from engine.monitor.events import sending as events
from engine.monitor.reporter import Reporter
from engine.monitor.troubles import Troubles
from engine.runtime.errors import LedgerError
from engine.runtime.trace import span
from engine.tasks.defaults import TASK_LIFETIME_BLOCKS
from engine.txmgr.alarms import Alarms
from engine.txmgr.delivery import View
from engine.txmgr.inclusion import ChainScan
from engine.txmgr.ledger import Ledger
from engine.txmgr.outbox import Outbox
from engine.txmgr.signer import SenderSettings
from node_client import errors
from node_client.keys import PrivateKey
from node_client.rpc import Account, NodeClient, NodeStatus

_MOST_BEFORE_STEP = 0.1
"""Of a block's time: so long results of a new block have to come, before the block is read for ours."""
PROOFS_KEPT_BLOCKS = 1000
"""Ten times as long as a task counts: no roll-back that this program could survive goes so deep."""


class Sender(threading.Thread):
    """Start it, and `stop` it; say when a block or results came, or `poke` it: from any thread."""

    def __init__(
        self,
        client: NodeClient,
        ledger: Ledger,
        key: PrivateKey,
        settings: SenderSettings,
        report: Reporter,
        troubles: Troubles,
        failed: Callable[[Exception], None],
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`report` and `failed` are called from this thread; `failed` with what ended it.

        `clock` is Unix time, which tells whether a node's tip is the chain's; `monotonic` measures
        how long something lasts. Both in seconds.
        """
        super().__init__(name="sender", daemon=True)
        self.stopping = threading.Event()
        self._woken = threading.Event()
        self._due_lock = threading.Lock()
        self._due_at = time.monotonic()
        self._results = threading.Event()
        self._sent: Callable[[], None] = lambda: None
        self._view: View | None = None
        self._tip: tuple[int, str, str] | None = None  # height, hash, parent
        self._client = client
        self._ledger = ledger
        self._report = report
        self._failed = failed
        self._settings = settings
        self._address = key.address
        self._scan = ChainScan(client, ledger, key.address, settings.network, clock, report)
        self._outbox = Outbox(client, ledger, key, settings, report, troubles, self.stopping)
        self._alarms = Alarms(ledger, self._outbox, settings, report, troubles, monotonic)
        self._patience = min(_MOST_BEFORE_STEP * settings.network.block_time, 1.0)
        self._balance: int | None = None
        self.turned_at = time.monotonic()
        """When the thread last began a round."""
        self.behind = False
        """Whether blocks wait to be read before all of the ledger is up to date."""
        if settings.confirmed_nonce is not None:
            ledger.confirm_nonce("operator", settings.confirmed_nonce, None)

    def stop(self) -> None:
        """End after the block, or the transaction, that is at work now."""
        self.stopping.set()
        self._woken.set()

    def poke(self, within: float = 0.0) -> None:
        """There is something to do, in so many seconds at the latest."""
        with self._due_lock:
            self._due_at = min(self._due_at, time.monotonic() + within)
        self._woken.set()

    def block_came(self, height: int, block_hash: str, parent: str, *, results: bool) -> None:
        """There is a new tip; `results`: whether some of it will come, and are to go out first."""
        self._tip = height, block_hash, parent
        self.poke(self._patience if results else 0.0)

    def results_came(self, sent: Callable[[], None]) -> None:
        """There are results to be signed and sent at once; call `sent` when that was tried.

        It is called from this thread, before what was signed is reported.
        """
        self._sent = sent
        self._results.set()
        self._woken.set()

    def run(self) -> None:
        """Step when poked, and now and then, until told to stop."""
        try:
            while not self.stopping.is_set():
                self.turned_at = time.monotonic()
                self._woken.wait(max(0.0, self._due_at - self.turned_at))
                self._woken.clear()
                if not self.stopping.is_set():
                    self._turn()
        except LedgerError as error:
            if not self.stopping.is_set():  # else the run is over, and its ledger closed
                self._failed(error)
        except Exception as error:  # noqa: BLE001 - goes on in the main thread
            self._failed(error)

    def _turn(self) -> None:
        if self._results.is_set():
            self._results.clear()
            if not self.send_fresh():
                self.poke()
        with self._due_lock:
            late = time.monotonic() - self._due_at
            # More results came meanwhile: they go first, unless there is no end of them.
            is_due = late >= (self._patience if self._results.is_set() else 0.0)
            if is_due:
                self._due_at = time.monotonic() + self._settings.network.block_time
        if is_due:
            self.round()
            if self.behind or self._outbox.nonces.is_reading:
                self.poke()

    def send_fresh(self) -> bool:
        """Sign and send results by what the last step saw; False where a step has to come first."""
        view, tip = self._view, self._tip
        if view is None or tip is None or view.tip.last_hash not in tip[1:]:
            self._sent()
            return False
        view = replace(view, sent_at=max(view.sent_at, tip[0]))
        try:
            refused = self._outbox.sign_waiting(view)
            refused = self._outbox.delivery.send_due(view, fresh=True) or refused
        except errors.NodeClientError:
            return False  # the step meets it again, and tells of it
        finally:
            self._tell_signed()
        self._alarms.refused(refused)
        return True

    def round(self) -> None:
        """Take one step; tell what a person can fix, and what has lasted for too long."""
        refused: errors.NodeClientError | None = None
        failure: errors.NodeClientError | None = None
        self._outbox.delivery.moved = False
        try:
            refused = self.step()
        except errors.WrongChain as error:
            raise LedgerError(str(error), advice=error.advice) from error
        except errors.NodeError as error:  # told when it lasts
            failure = error
        except errors.NodeClientError as error:
            refused = error
        self._alarms.refused(refused)
        self._alarms.what_lasts(failure, behind=self.behind)

    def step(self) -> errors.NodeClientError | None:
        """Bring the ledger up to the chain, and the chain up to the ledger.

        Gives what keeps results from being sent and a person has to do something about. Raises
        NodeError where the node fails.
        """
        self._view = None
        with span("sender: status"):
            tip = self._client.status()
        with span("scan"):
            gone = self._scan.advance(tip, self.stopping.is_set)
        if gone is not None:
            self._report(events.ChainRolledBack(gone.first, gone.last))
            self._report(self._ledger.totals())
        behind = self._scan.blocks_behind(tip)
        self.behind = bool(behind)
        self._alarms.node_behind(behind is None)
        if behind is None or self.stopping.is_set():
            return None
        self._alarms.key_shared(self._scan.elsewhere_at, tip)
        faults, self._scan.unreadable = self._scan.unreadable, []
        self._alarms.unreadable(faults, tip)
        self._outbox.delivery.all_read = not behind
        if not behind:
            self._settle(tip)
        with span("sender: account"):
            view = View(tip, self._ask_account(), None, tip.height)
        try:
            refused = self._outbox.sign_waiting(view)
            refused = self._outbox.delivery.send_due(view) or refused
        finally:
            self._tell_signed()
        self._outbox.nonces.prove()
        if not behind:
            with suppress(errors.NodeError):  # it is asked again when there is something to sign
                view = replace(view, pending=self._outbox.ask_pending())
            self._view = view
        return refused

    def _ask_account(self) -> Account:
        try:
            account = self._client.balance(self._address)
        except errors.NodeError as error:
            self._alarms.balance_unknown(error)
            raise
        self._alarms.balance_unknown(None)
        if account.balance != self._balance:
            self._balance = account.balance
            self._report(events.BalanceChanged(account.balance))
        return account

    def _settle(self, tip: NodeStatus) -> None:
        """Give up what is worth nothing, and call final what is deep enough, every block read.

        By blocks that link to each other only: a height that a node names makes no task expire.
        """
        self._ledger.reopen_returned()
        read_from = self._ledger.scan_start
        for result in self._ledger.open_results():
            if not result.block_hash:  # a validator's job
                continue
            known = self._ledger.scanned_hash(result.height)
            last = tip.height - TASK_LIFETIME_BLOCKS
            if known is not None and known != result.block_hash:
                self._give_up(result.task_id, "rolled_back", _("its block was rolled back"))
            elif result.state != "included" and max(result.height, read_from) <= last:
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

    def _give_up(self, task_id: str, code: str, reason: str) -> None:
        self._ledger.give_up(task_id, code, reason)
        self._report(events.ResultGivenUp(task_id, reason))

    def _tell_signed(self) -> None:
        """After sending; whoever brought results tells of them first."""
        self._sent()
        self._outbox.tell_signed()
