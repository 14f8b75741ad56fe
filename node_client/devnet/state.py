"""The devnet's accounts and validators, and how a transaction changes them: as a whole or not at all.

>>> state = ChainState({"cpc1...": 10**18})
>>> state.account("cpc1...").balance
1000000000000000000

What each type does is in `rules`. Fees are burned, and nobody is paid for a block: on the real node
a validator earns 7 CPC a block, and most of the fees. A new validator stays inactive, and none is ever
jailed but by a switch: there are no epochs' ends here.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from node_client.devnet.rules import KEEP_THEIR_AMOUNT, RULES, Dropped
from node_client.devnet.validators import Unbonding, Validator
from node_client.transaction import Transaction


class AccountState(NamedTuple):
    """One account. `balance` in units of 10^-18 CPC; `nonce` is the next one.

    `unbonding`: what comes back later; `rewards`: units earned by delegations, with their epochs.
    """

    balance: int = 0
    nonce: int = 0
    unbonding: tuple[Unbonding, ...] = ()
    rewards: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class Undo:
    """The accounts and validators that a block touched, as they were before it; what it burned."""

    accounts: dict[str, AccountState] = field(default_factory=dict)
    validators: dict[str, Validator | None] = field(default_factory=dict)
    burned: int = 0


class ChainState:
    """All accounts and validators at one height. Not thread-safe: the chain's lock guards it."""

    def __init__(
        self, accounts: Mapping[str, int | AccountState], validators: Iterable[Validator] = ()
    ) -> None:
        """`accounts`: an AccountState, or its balance, for each address that is not empty."""
        self._accounts: dict[str, AccountState] = {}
        self._validators = {validator.address: validator for validator in validators}
        self.burned = 0
        for address, account in accounts.items():
            self._put(address, AccountState(account) if isinstance(account, int) else account)

    def account(self, address: str) -> AccountState:
        """The account at `address`; an unknown, even a malformed one is empty."""
        return self._accounts.get(address, AccountState())

    def validator(self, address: str) -> Validator | None:
        """The validator at `address`; None where there is none."""
        return self._validators.get(address)

    def validators(self) -> list[Validator]:
        """All validators, active or not, in the order in which they came."""
        return list(self._validators.values())

    def apply(self, tx: Transaction, undo: Undo, height: int = 0) -> str | None:
        """Carry `tx` out in the block at `height`, remember in `undo` what it touched; or say why not.

        Takes exactly base gas * gas_price, whatever `fee` says. Signature and price are the
        mempool's business and not looked at again.
        """
        sender = self.account(tx.from_address)
        if tx.nonce != sender.nonce:
            return f"nonce {tx.nonce}, expected {sender.nonce}"
        fee = tx.base_gas * tx.gas_price
        paid = fee + (0 if tx.tx_type in KEEP_THEIR_AMOUNT else tx.amount)
        if sender.balance < paid:
            return f"balance {sender.balance} < {paid}"
        step = Step(self)
        step.put(
            tx.from_address,
            sender._replace(balance=sender.balance - paid, nonce=sender.nonce + 1),
        )
        step.burned = fee
        try:
            RULES[tx.tx_type](step, tx, height)
        except Dropped as error:
            return str(error)
        self._commit(step, undo)
        return None

    def end_unbonding(self, height: int, undo: Undo) -> None:
        """Give back what a block at `height` sets free."""
        step = Step(self)
        for address, account in self._accounts.items():
            done = [entry for entry in account.unbonding if entry.completion_height <= height]
            if done:
                left = tuple(entry for entry in account.unbonding if entry not in done)
                step.put(address, account._replace(unbonding=left))
                step.pay(address, sum(entry.amount for entry in done))
        self._commit(step, undo)

    def set_validator(self, validator: Validator) -> None:
        """Put a validator in the place of the one at its address; no roll-back undoes it."""
        self._validators[validator.address] = validator

    def restore(self, undo: Undo) -> None:
        """Take back what the block with this `undo` did; it must be the last one."""
        for address, account in undo.accounts.items():
            self._put(address, account)
        for address, validator in undo.validators.items():
            if validator is None:
                del self._validators[address]
            else:
                self._validators[address] = validator
        self.burned -= undo.burned

    def total(self) -> int:
        """All units there are: on accounts, on their way back to them, and staked."""
        held = sum(
            account.balance + sum(entry.amount for entry in account.unbonding)
            for account in self._accounts.values()
        )
        return held + sum(validator.power for validator in self._validators.values())

    def accounts_count(self) -> int:
        """How many accounts are not empty."""
        return len(self._accounts)

    def root(self) -> str:
        """SHA-256 over what every account and validator has, sorted, one a line.

        The real node's root is computed otherwise (nowhere stated how); ours is only the same
        for the same accounts.
        """
        return hashlib.sha256(self.text().encode(errors="surrogatepass")).hexdigest()

    def text(self) -> str:
        """The state as text, one line for each account and validator."""
        lines = [f"{address} {account}" for address, account in self._accounts.items()]
        lines += [str(validator) for validator in self._validators.values()]
        return "\n".join(sorted(lines))

    def _commit(self, step: "Step", undo: Undo) -> None:
        for address, account in step.accounts.items():
            undo.accounts.setdefault(address, self.account(address))
            self._put(address, account)
        for address, validator in step.changed_validators.items():
            undo.validators.setdefault(address, self.validator(address))
            self._validators[address] = validator
        undo.burned += step.burned
        self.burned += step.burned

    def _put(self, address: str, account: AccountState) -> None:
        # An empty account is the same as none, so that a root does not depend on the past.
        if account == AccountState():
            self._accounts.pop(address, None)
        else:
            self._accounts[address] = account


class Step:
    """What one transaction changes, kept apart until it is clear that all of it can be."""

    def __init__(self, state: ChainState) -> None:
        """Read from `state`, and leave it as it is."""
        self._state = state
        self.accounts: dict[str, AccountState] = {}
        self.changed_validators: dict[str, Validator] = {}
        self.burned = 0

    def account(self, address: str) -> AccountState:
        """The account as this step leaves it."""
        return self.accounts.get(address) or self._state.account(address)

    def put(self, address: str, account: AccountState) -> None:
        """Change an account."""
        self.accounts[address] = account

    def pay(self, address: str, units: int) -> None:
        """Add to an account's balance."""
        account = self.account(address)
        self.put(address, account._replace(balance=account.balance + units))

    def find_validator(self, address: str) -> Validator | None:
        """The validator at `address`; None where there is none."""
        return self.changed_validators.get(address) or self._state.validator(address)

    def validator(self, address: object) -> Validator:
        """The validator at `address`. Raises Dropped where there is none."""
        found = self.find_validator(address) if isinstance(address, str) else None
        if found is None:
            raise Dropped(f"there is no validator {address!r}")
        return found

    def validators(self) -> list[Validator]:
        """All validators as they were before this step."""
        return self._state.validators()

    def put_validator(self, validator: Validator) -> None:
        """Change a validator, or add one."""
        self.changed_validators[validator.address] = validator
