"""What workers are owed, as transfers: a plan, and its payment on command.

    plan = plan_payouts(store)                       # nothing is written
    Payer(store, client, key, network).pay(plan)     # signed, stored, sent, followed until final

A worker is owed its rewards that are no longer withheld, less every transfer that was ever stored for
it and not lost. So nothing is paid twice: a transfer is stored before its bytes leave this machine, and
the same bytes are sent until a block includes them. Only when a final block has spent its nonce
otherwise is it lost, and its amount owed again. The next run continues one that was interrupted.

An amount whose digits can be read in two ways is not signed (`node_client/ambiguity.py`); only an
amount of one digit and zeros never has two readings. So what is owed is paid in such parts, rounded
down to `DECIMALS`; the rest is paid with the next.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from gettext import gettext as _

from engine.runtime.errors import SetupError
from engine.txmgr.options import FinalityOptions
from engine.validator.store.database import Store
from engine.validator.store.transfers import Transfer, Transfers
from node_client import errors
from node_client.ambiguity import one_digit_parts, sign_safely
from node_client.keys import PrivateKey
from node_client.networks import MAX_QUEUED_NONCES, UNITS_PER_CPC, Network, format_cpc
from node_client.rpc import NodeClient
from node_client.transaction import BASE_GAS, Transaction, TxType

DECIMALS = 6
MAX_IN_FLIGHT = MAX_QUEUED_NONCES // 4
SEND_AGAIN_BLOCKS = 2


@dataclass(frozen=True, slots=True)
class Payment:
    """What one worker gets, in units, and the transfers that add up to it."""

    worker_address: str
    units: int
    parts: tuple[int, ...]


def plan_payouts(store: Store, *, least: int = 1) -> list[Payment]:
    """Return what to pay, by address; nothing to workers that are owed less than `least` units."""
    grain = UNITS_PER_CPC // 10**DECIMALS
    plan: list[Payment] = []
    for worker, owed in sorted(store.rewards.due().items()):
        units = owed // grain * grain
        if units > 0 and owed >= least:
            plan.append(Payment(worker, units, tuple(one_digit_parts(units))))
    return plan


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
        tell: Callable[[str], None] = lambda _line: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`chain`: hash of its first block. `depth`: blocks on top until a transfer is final.

        Raises SetupError where this database pays on another chain.
        """
        self._transfers = Transfers(store.database, store.clock)
        self._client = client
        self._key = key
        self._network = network
        self._depth = depth
        self._tell = tell
        self._sleep = sleep
        self._sent_at: dict[int, int] = {}  # transfer -> tip when it was last sent
        if (other := self._transfers.pin(chain)) is not None:
            message = _(
                "this database pays on the chain that began with {other}; the node is on {chain}"
            ).format(other=other[:16], chain=chain[:16])
            raise SetupError(message, advice=_("Point --node at a node of that chain."))

    def pay(self, plan: list[Payment], *, seconds: float = 3600.0) -> bool:
        """Store the plan and carry it out, together with what earlier runs left.

        Return whether everything is final; False if time ran out, and another run will go on.
        Raises InsufficientBalance before anything is stored, and the node's errors.
        """
        self._require_funds(plan)
        self._transfers.plan([(one.worker_address, part) for one in plan for part in one.parts])
        until = time.monotonic() + seconds
        while self.step():
            if time.monotonic() > until:
                return False
            self._sleep(min(1.0, self._network.block_time / 4))
        return True

    def step(self) -> bool:
        """Look at the chain, sign and send what is due. Return whether a transfer is still open."""
        tip = self._client.status().height
        for transfer in self._transfers.in_state("signed"):
            self._follow(transfer, tip)
        self._sign_planned(tip)
        for transfer in self._transfers.in_state("signed"):
            last = self._sent_at.get(transfer.id)
            due = last is None or tip - last >= SEND_AGAIN_BLOCKS
            if due and transfer.included_height is None:
                self._send(transfer, tip)
        return bool(self._transfers.in_state("signed") or self._transfers.in_state("planned"))

    def _follow(self, transfer: Transfer, tip: int) -> None:
        """Look for the block that includes it, or that spends its nonce otherwise."""
        if transfer.included_height is not None:
            if tip - transfer.included_height < self._depth:
                return
            if self._taker(transfer, transfer.included_height) == "ours":
                self._transfers.set_final(transfer.id)
                self._tell(
                    _("{units} CPC to {worker}: final in block {height}, transaction {tx}").format(
                        units=format_cpc(transfer.units),
                        worker=transfer.worker_address,
                        height=transfer.included_height,
                        tx=transfer.tx_hash,
                    )
                )
                return
            self._transfers.set_included(transfer.id, None, scanned=transfer.signed_height)
            return  # rolled back: searched for again from where it was signed
        for height in range(transfer.scanned_height + 1, tip + 1):
            taker = self._taker(transfer, height)
            if taker == "ours":
                self._transfers.set_included(transfer.id, height, scanned=height - 1)
                return
            if taker == "foreign":
                if tip - height >= self._depth:
                    note = f"another transaction of the account took the nonce in block {height}"
                    self._transfers.set_lost(transfer.id, note)
                    message = _("{units} CPC to {worker}: {note}; it is still owed").format(
                        units=format_cpc(transfer.units), worker=transfer.worker_address, note=note
                    )
                    self._tell(message)
                return  # not deep enough to be sure
            if tip - height >= self._depth:
                self._transfers.set_scanned(transfer.id, height)

    def _taker(self, transfer: Transfer, height: int) -> str | None:
        """Return whose transaction in that block has the nonce: "ours", "foreign" or None."""
        mine = transfer.transaction
        for held in self._client.block(height).txs:
            tx = held.own(mine.from_address)
            if tx is not None and tx.nonce == mine.nonce:
                # The hash is not enough: another reading of the digits has the same one.
                return "ours" if tx == mine else "foreign"
        return None

    def _sign_planned(self, tip: int) -> None:
        in_flight = len(self._transfers.in_state("signed"))
        for transfer in self._transfers.in_state("planned")[: max(0, MAX_IN_FLIGHT - in_flight)]:
            account = self._client.balance(self._key.address)
            nonce = max(
                account.nonce,
                self._client.nonce(self._key.address),
                self._transfers.next_nonce(self._key.address),
            )
            draft = Transaction(
                tx_type=TxType.TRANSFER,
                from_address=self._key.address,
                to_address=transfer.worker_address,
                amount=transfer.units,
                nonce=nonce,
                gas_price=self._network.min_gas_price,
                gas_limit=BASE_GAS[TxType.TRANSFER],
            )
            try:
                tx = sign_safely(
                    draft,
                    self._key,
                    first_unspent=account.nonce,
                    min_gas_price=self._network.min_gas_price,
                    spendable=account.balance,
                )
            except errors.AmbiguousTransaction as error:
                if error.waiting_helps and nonce > account.nonce:
                    return  # once the nonces below are spent, nothing reads as one of them
                raise
            body = json.dumps(tx.to_json())
            self._transfers.set_signed(transfer.id, body, tx.hash(), tx.nonce, tip)

    def _send(self, transfer: Transfer, tip: int) -> None:
        try:
            self._client.send(transfer.transaction)
        except (errors.AlreadyInPool, errors.NonceTooLow):
            pass  # it waits, or is in a block that was not read yet
        except (errors.NodeUnreachable, errors.BadResponse) as error:
            if isinstance(error, errors.NodeUnreachable) and error.nothing_sent:
                raise
            return  # it may have arrived; the same bytes are sent again
        self._sent_at[transfer.id] = tip

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
