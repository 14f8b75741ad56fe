"""Pay what workers are owed, as transfers, once.

    plan = plan_payouts(store)                       # payout_plan.py: nothing is written
    Payer(store, client, key, network).pay(plan)     # signed, stored, sent, followed until final

A worker is owed its rewards that are no longer withheld, less every transfer that was ever stored for
it and not lost. A transfer is stored before its bytes leave this machine, and the same bytes are sent
until a block includes them, so nothing is paid twice. It is lost, and its amount owed again, only when
a block that is final and linked to those before holds another transaction with its nonce that the same
key has signed, and every node that answers serves it (`_is_lost`). The next nonce, too, is proven.
What is owed is paid in parts of one digit, since others can be read in two ways
(`node_client/ambiguity.py`); what could be burned is withheld (`withholding.py`).
"""

import json
import time
from collections.abc import Callable
from gettext import gettext as _

from engine.runtime.errors import SetupError
from engine.txmgr.funding import advice_on_price
from engine.txmgr.options import FinalityOptions
from engine.validator.payout_plan import Payment
from engine.validator.payout_scan import PayoutScan
from engine.validator.store.database import Store
from engine.validator.store.payout_blocks import PayoutBlocks, Spent
from engine.validator.store.transfers import Transfer, Transfers
from engine.validator.withholding import Stakes
from node_client import errors
from node_client.ambiguity import sign_safely
from node_client.keys import PrivateKey
from node_client.networks import MAX_QUEUED_NONCES, Network, format_cpc
from node_client.nonce_proof import NOTHING, NonceProof, prove_nonce, settle_claim
from node_client.rpc import Account, NodeClient, NodeStatus
from node_client.transaction import BASE_GAS, Transaction, TxType

MAX_IN_FLIGHT = MAX_QUEUED_NONCES // 4
SEND_AGAIN_BLOCKS = 2


class Payer:
    """Pays from one key, through one node client, until everything is final."""

    def __init__(
        self,
        store: Store,
        client: NodeClient,
        key: PrivateKey,
        network: Network,
        *,
        chain: str,
        depth: int = FinalityOptions.depth,
        nonce: int | None = None,
        accept_burn: int = 0,
        tell: Callable[[str], None] = lambda _line: None,
        progress: Callable[[str], None] = lambda _line: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`chain`: hash of its first block. `depth`: blocks on top until a transfer is final.

        `nonce`: the account's next one, at the operator's word. `accept_burn`: units that a liar may
        burn in this run. `tell` gets what became of transfers,
        `progress` what is done meanwhile. Raises SetupError where this database pays on another chain.
        """
        self._transfers = Transfers(store.database, store.clock)
        self._store = store
        self._proof = NOTHING if nonce is None else NonceProof(nonce, "operator")
        self._proven_for = 0  # the confirmed nonce that blocks were last read for
        self._progress = progress
        self._told: set[int] = set()
        self._said = ""
        self._client = client
        self._key = key
        self._network = network
        self._depth = depth
        self._tell = tell
        self._sleep = sleep
        self._stakes = Stakes(client, key.address, network, accept=accept_burn, tell=progress)
        self._sent_at: dict[int, int] = {}  # transfer -> tip when it was last sent
        if (other := self._transfers.pin(chain)) is not None:
            message = _(
                "this database pays on the chain that began with {other}; the node is on {chain}"
            ).format(other=other[:16], chain=chain[:16])
            raise SetupError(message, advice=_("Point --node at a node of that chain."))

    def pay(self, plan: list[Payment], *, seconds: float = 3600.0) -> bool:
        """Store the plan and carry it out, together with what earlier runs left.

        What is withheld is told, and is owed as before. Return whether all else is final; False if
        time ran out, and another run will go on.
        Raises InsufficientBalance before anything is stored, and the node's errors.
        """
        self._stakes.look()
        plan = self._stakes.withhold(plan)
        self._require_funds(plan)
        self._transfers.plan([(one.worker_address, part) for one in plan for part in one.parts])
        until = time.monotonic() + seconds
        while self.step():
            if time.monotonic() > until:
                return False
            self._sleep(min(1.0, self._network.block_time / 4))
        return True

    def _scan_of(self, address: str) -> PayoutScan:
        blocks = PayoutBlocks(self._store.database, self._store.clock, address)
        return PayoutScan(self._client, blocks, address, self._progress)

    def step(self) -> bool:
        """Look at the chain, sign and send what is due. Return whether a transfer is still open."""
        tip = self._client.status()
        signed = self._transfers.in_state("signed")
        # An earlier run may have paid from another account.
        for address in {one.transaction.from_address for one in signed} | {self._key.address}:
            scan = self._scan_of(address)
            open_nonces = self._transfers.open_nonces(address)
            searched = scan.advance(tip, min(open_nonces, default=None))
            if scan.misses(open_nonces):  # signed at a nonce that was spent, by a node's lie
                scan.begin_below(tip, min(open_nonces))
                searched = False
            for transfer in signed:
                if transfer.transaction.from_address == address:
                    self._follow(transfer, scan)
            if searched and address == self._key.address:
                self._sign_planned(tip, scan)
        refused: errors.Refused | None = None
        for transfer in self._transfers.in_state("signed"):
            last = self._sent_at.get(transfer.id)
            due = last is None or tip.height - last >= SEND_AGAIN_BLOCKS
            if due and transfer.included_height is None:
                refused = self._send(transfer, tip.height) or refused
        if refused is not None:  # the others were sent all the same
            raise refused
        return bool(self._transfers.in_state("signed") or self._transfers.in_state("planned"))

    def _follow(self, transfer: Transfer, scan: PayoutScan) -> None:
        """Record the block that includes it, and whether a final one does, or spends its nonce."""
        mine = transfer.transaction
        spent = scan.blocks.spent(mine.nonce)
        # The hash is not enough: another reading of the digits has the same one.
        ours = spent is not None and spent.transaction == mine
        included = spent.height if spent is not None and ours else None
        if included != transfer.included_height:
            self._transfers.set_included(transfer.id, included)
        if spent is None or scan.height - spent.height < self._depth:
            return
        if ours:
            self._transfers.set_final(transfer.id)
            message = _(
                "{units} CPC to {worker}: final in block {height}, transaction {tx}"
            ).format(
                units=format_cpc(transfer.units),
                worker=transfer.worker_address,
                height=spent.height,
                tx=transfer.tx_hash,
            )
            self._tell(message)
        elif self._is_lost(transfer, spent):
            note = f"another transaction of the account took the nonce in block {spent.height}"
            self._transfers.set_lost(transfer.id, note)
            if spent.transaction.hash() == transfer.tx_hash:
                self._stakes.burned(mine)
            message = _("{units} CPC to {worker}: {note}; it is still owed").format(
                units=format_cpc(transfer.units), worker=transfer.worker_address, note=note
            )
            self._tell(message)

    def _is_lost(self, transfer: Transfer, spent: Spent) -> bool:
        """Whether nothing can include the transfer any more; the block that spends its nonce is final.

        Every node that answers has to serve that block, and its roots have to cover what it holds. A
        single node is not believed where it shows the transfer's own signature with its digits read
        otherwise: that one it could make up.
        """
        said = self._client.each_block_hash(spent.height)
        agreed = len(said) > 0 and set(said.values()) == {spent.block_hash}
        made_up = len(said) < 2 and spent.transaction.hash() == transfer.tx_hash
        if agreed and spent.rooted and not made_up:
            return True
        if transfer.id not in self._told:
            self._told.add(transfer.id)
            self._tell(
                _(
                    "{units} CPC to {worker}: block {height} holds another transaction with its nonce,"
                    " and nodes do not agree on that block, its roots do not fit, or only one node"
                    " was asked: it is not paid again; name more nodes with --node"
                ).format(
                    units=format_cpc(transfer.units),
                    worker=transfer.worker_address,
                    height=spent.height,
                )
            )
        return False

    def _sign_planned(self, tip: NodeStatus, scan: PayoutScan) -> None:
        planned = self._transfers.in_state("planned")
        if planned:
            self._stakes.look()
        for transfer in planned:
            signed = self._transfers.in_state("signed")
            if len(signed) >= MAX_IN_FLIGHT:
                return
            room = self._stakes.room(one.transaction for one in signed)
            account = self._client.balance(self._key.address)
            try:
                tx = self._sign(transfer, account, scan, room)
            except errors.BurnPossible as error:
                self._put_off(transfer, error.units)
                continue
            if tx is None:
                self._say(_("a transfer waits until blocks have spent the nonces below its own"))
                return
            body = json.dumps(tx.to_json())
            self._transfers.set_signed(transfer.id, body, tx.hash(), tx.nonce, tip.height)

    def _put_off(self, transfer: Transfer, stake: int) -> None:
        """Wait until less is at stake in other transfers, or, where that is no help, do not pay it."""
        if self._stakes.is_acceptable(stake):
            self._say(_("a transfer waits until others that put something at stake are final"))
            return
        self._transfers.take_back(transfer.id)
        self._stakes.tell_withheld(transfer.worker_address, transfer.units, stake)

    def _sign(
        self, transfer: Transfer, account: Account, scan: PayoutScan, accept_burn: int
    ) -> Transaction | None:
        """Return the signed transfer; None where it has to wait until nonces below are spent.

        Raises UnprovenNonce, AmbiguousTransaction, BurnPossible and NodeError.
        """
        proven = scan.blocks.first_unspent(scan.height - self._depth)
        if proven > self._proof.first_unspent:
            self._proof = NonceProof(proven, "ledger")
        claimed, confirmed = self._claims(account)
        made_here = scan.blocks.made_here()
        nonce, self._proof = settle_claim(
            self._client,
            self._key.address,
            claimed,
            confirmed,
            self._proof,
            self._progress,
            made_here,
        )
        self._keep_proof(scan)
        # A signed transfer that is in no block yet keeps its nonce, whatever a node says.
        while nonce in self._transfers.open_nonces(self._key.address):
            nonce += 1
        draft = Transaction(
            tx_type=TxType.TRANSFER,
            from_address=self._key.address,
            to_address=transfer.worker_address,
            amount=transfer.units,
            nonce=nonce,
            gas_price=self._network.min_gas_price,
            gas_limit=BASE_GAS[TxType.TRANSFER],
        )
        for last_try in (False, True):
            try:
                return sign_safely(
                    draft,
                    self._key,
                    first_unspent=self._proof.first_unspent,
                    min_gas_price=self._network.min_gas_price,
                    spendable=account.balance,
                    accept_burn=accept_burn,
                    balance=self._stakes.balance,
                )
            except errors.AmbiguousTransaction as error:
                if not error.waiting_helps:
                    raise
                if last_try or max(self._proof.first_unspent, self._proven_for) >= confirmed:
                    return None  # once the nonces below are spent, nothing reads as one of them
                self._proven_for = confirmed
                self._proof = prove_nonce(
                    self._client,
                    self._key.address,
                    confirmed,
                    known=self._proof,
                    tell=self._progress,
                    made_here=made_here,
                )
                self._keep_proof(scan)
                if self._proof.first_unspent > nonce:
                    return None
        return None

    def _keep_proof(self, scan: PayoutScan) -> None:
        """Else every run had to find it again below the transfers that were made here."""
        proof = self._proof
        if proof.source in ("block", "nodes", "operator"):
            height = scan.height if proof.height is None else proof.height
            scan.blocks.confirm(proof.first_unspent, height)

    def _claims(self, account: Account) -> tuple[int, int]:
        """Return next and confirmed nonce, as the node has them, or else at the operator's word."""
        if self._proof.source == "operator":
            confirmed = claimed = self._proof.first_unspent
        else:
            claimed, confirmed = self._client.nonce(self._key.address), account.nonce
        return claimed, confirmed

    def _send(self, transfer: Transfer, tip: int) -> errors.Refused | None:
        """Send, and send again; give the refusal that a person has to do something about."""
        try:
            send = self._client.broadcast if len(self._client.urls) > 1 else self._client.send
            send(transfer.transaction)
        except errors.AlreadyInPool:
            pass
        except errors.NonceTooLow as error:
            # It may be in a block that was not read yet, or another one waits with its nonce.
            if transfer.id in self._sent_at:
                self._say(
                    _("no block shows what took nonce {nonce}: {error}").format(
                        nonce=transfer.nonce, error=error
                    )
                )
        except (errors.NoRoom, errors.NodeNotReady) as error:
            self._say(_("a transfer waits for room in a node: {error}").format(error=error))
        except errors.Refused as error:
            if isinstance(error, errors.GasPriceTooLow):
                error.advice = advice_on_price(self._network)
            return error
        except (errors.NodeUnreachable, errors.BadResponse) as error:
            if isinstance(error, errors.NodeUnreachable) and error.nothing_sent:
                raise
            self._say(_("it is not known whether a transfer arrived: {error}").format(error=error))
            return None  # the same bytes are sent again
        self._sent_at[transfer.id] = tip
        return None

    def _say(self, line: str) -> None:
        """Tell what is done meanwhile, once until it is something else."""
        if line != self._said:
            self._said = line
            self._progress(line)

    def _require_funds(self, plan: list[Payment]) -> None:
        waiting = self._transfers.in_state("planned")
        amounts = [part for one in plan for part in one.parts] + [one.units for one in waiting]
        fees = len(amounts) * BASE_GAS[TxType.TRANSFER] * self._network.min_gas_price
        balance = self._client.balance(self._key.address).balance
        if balance < sum(amounts) + fees:
            raise errors.InsufficientBalance(
                "insufficient_balance",
                advice=_("{address} has {balance} CPC, and the payouts take {needed}.").format(
                    address=self._key.address,
                    balance=format_cpc(balance),
                    needed=format_cpc(sum(amounts) + fees),
                ),
            )
