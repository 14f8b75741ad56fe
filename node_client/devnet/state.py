"""The devnet's accounts, and what a transaction does to them.

>>> state = ChainState({"cpc1...": 10**18})
>>> state.account("cpc1...").balance
1000000000000000000

Fees are burnt: nobody is paid them. STAKE moves `amount` from the balance to the account's stake,
UNSTAKE moves it back; there are no validators to choose, no rewards and no waiting time.
"""

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from node_client.address import is_address
from node_client.errors import InvalidTransaction
from node_client.transaction import Transaction, TxType


class AccountState(NamedTuple):
    """One account. `balance` and `staked` in units of 10^-18 CPC; `nonce` is the next one."""

    balance: int = 0
    nonce: int = 0
    staked: int = 0


Undo = dict[str, AccountState]
"""The accounts that a block touched, as they were before it."""


class ChainState:
    """All accounts at one height. Not thread-safe: the chain's lock guards it."""

    def __init__(self, accounts: Mapping[str, int | AccountState]) -> None:
        """`accounts`: an AccountState, or its balance, for each address that is not empty."""
        self._accounts: dict[str, AccountState] = {}
        for address, account in accounts.items():
            self._put(address, AccountState(account) if isinstance(account, int) else account)

    def account(self, address: str) -> AccountState:
        """The account at `address`; an unknown, even a malformed one is empty."""
        return self._accounts.get(address, AccountState())

    def apply(self, tx: Transaction, undo: Undo) -> str | None:
        """Carry `tx` out and remember in `undo` what it touched; or say why it cannot be.

        Takes exactly base gas * gas_price, whatever `fee` says. Signature and price are the
        mempool's business and not looked at again.
        """
        sender = self.account(tx.from_address)
        if tx.nonce != sender.nonce:
            return f"nonce {tx.nonce}, expected {sender.nonce}"
        if (reason := _fault_of(tx)) is not None:
            return reason
        paid = tx.base_gas * tx.gas_price + (0 if tx.tx_type is TxType.UNSTAKE else tx.amount)
        if sender.balance < paid:
            return f"balance {sender.balance} < {paid}"
        if tx.tx_type is TxType.UNSTAKE and sender.staked < tx.amount:
            return f"stake {sender.staked} < {tx.amount}"

        sender = sender._replace(balance=sender.balance - paid, nonce=sender.nonce + 1)
        if tx.tx_type is TxType.STAKE:
            sender = sender._replace(staked=sender.staked + tx.amount)
        elif tx.tx_type is TxType.UNSTAKE:
            sender = sender._replace(
                balance=sender.balance + tx.amount, staked=sender.staked - tx.amount
            )
        self._change(tx.from_address, sender, undo)
        if tx.tx_type is TxType.TRANSFER and tx.to_address is not None:
            # Read only now: one may send to oneself.
            recipient = self.account(tx.to_address)
            recipient = recipient._replace(balance=recipient.balance + tx.amount)
            self._change(tx.to_address, recipient, undo)
        return None

    def restore(self, undo: Undo) -> None:
        """Take back what the block with this `undo` did; it must be the last one."""
        for address, account in undo.items():
            self._put(address, account)

    def total(self) -> int:
        """All units there are, staked ones too."""
        return sum(account.balance + account.staked for account in self._accounts.values())

    def root(self) -> str:
        """SHA-256 over `address balance nonce staked` of each account, sorted, one a line.

        The real node's root is computed otherwise (nowhere stated how); ours is only the same
        for the same accounts.
        """
        digest = hashlib.sha256()
        for address, (balance, nonce, staked) in sorted(self._accounts.items()):
            digest.update(f"{address} {balance} {nonce} {staked}\n".encode())
        return digest.hexdigest()

    def _change(self, address: str, account: AccountState, undo: Undo) -> None:
        undo.setdefault(address, self.account(address))
        self._put(address, account)

    def _put(self, address: str, account: AccountState) -> None:
        # An empty account is the same as none, so that a root does not depend on the past.
        if account == AccountState():
            self._accounts.pop(address, None)
        else:
            self._accounts[address] = account


def _fault_of(tx: Transaction) -> str | None:
    """Why the proposer drops `tx` whatever the balances are; None where it does not."""
    if tx.tx_type is TxType.TRANSFER and not is_address(tx.to_address or ""):
        return "a transfer needs the address of an account"  # a guess
    if tx.tx_type is TxType.SUBMIT_RESULT:
        if tx.amount or tx.to_address is not None:
            return "a result moves no money"  # a guess
        try:
            result = tx.compute_result()
            result.hash()
        except InvalidTransaction as error:
            return str(error)
        if result.worker_address != tx.from_address:
            return "worker_address is not from_address"
    return None
