"""What each type of transaction does to accounts and validators, once its fee is paid.

NODE.md names the types; their rules, and the shapes of their payloads, are those of the node's
published source (github.com/computechain/computechain, blockchain/core/state.py, January 2026), and
only UPDATE_VALIDATOR was seen in a block:

    TRANSFER            to_address: any text
    STAKE, UNSTAKE      {"pub_key": HEX}: the validator with this key; the owner of a new one is the
                        sender, and anybody may stake to, and unstake from, one that is there
    UPDATE_VALIDATOR    {"pub_key": HEX, "name"?: TEXT, "website"?, "description"?, "commission_rate"?}
    DELEGATE, UNDELEGATE    {"validator": "cpcvalcons1..."}
    UNJAIL              {"pub_key": HEX}, by the owner; the amount is the fee, and is burned
    SUBMIT_RESULT       a ComputeResult; its own nonce may be "7", 7.0, true, or not be there

What cannot be carried out is dropped by the proposer, and nobody is told why.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from node_client.block_transaction import BlockTransaction
from node_client.devnet.validators import Unbonding, Validator, address_of
from node_client.errors import InvalidTransaction
from node_client.networks import UNITS_PER_CPC
from node_client.transaction import Transaction, TxType

if TYPE_CHECKING:
    from node_client.devnet.state import Step

LEAST_DELEGATION = 100 * UNITS_PER_CPC
MOST_VALIDATORS = 10
"""The most validators to which one account delegates."""
POWER_SHARE = 5
"""A delegation may not lift a validator above one part in so many of all voting power."""
UNBONDING_BLOCKS = 100
UNJAIL_FEE = 1_000 * UNITS_PER_CPC
JAILED_PENALTY = 10
"""One part in so many of what leaves a jailed validator is burned."""
_LONGEST = {"name": 64, "website": 128, "description": 256}


class Dropped(Exception):
    """Why the proposer drops a transaction."""


Rule = Callable[["Step", Transaction, int], None]


def _transfer(step: "Step", tx: Transaction, _height: int) -> None:
    if not tx.to_address:
        raise Dropped("a transfer needs a recipient")
    # Read only now: one may send to oneself.
    step.pay(tx.to_address, tx.amount)


def _stake(step: "Step", tx: Transaction, _height: int) -> None:
    address = _address_of_key(tx)
    validator = step.find_validator(address)
    if validator is None:
        new = Validator(address, tx.payload["pub_key"], 0, reward_address=tx.from_address)
        validator = new
    step.put_validator(replace(validator, power=validator.power + tx.amount))


def _unstake(step: "Step", tx: Transaction, _height: int) -> None:
    validator = step.validator(_address_of_key(tx))
    if validator.power < tx.amount:
        raise Dropped(f"stake {validator.power} < {tx.amount}")
    power = validator.power - tx.amount
    step.put_validator(replace(validator, power=power, is_active=validator.is_active and power > 0))
    penalty = tx.amount // JAILED_PENALTY if validator.jailed_until_height else 0
    step.pay(tx.from_address, tx.amount - penalty)
    step.burned += penalty


def _submit_result(step: "Step", tx: Transaction, _height: int) -> None:
    """An amount or a recipient is not refused; the amount leaves the sender and goes nowhere."""
    try:
        result = BlockTransaction(tx.to_json()).compute_result()
        result.hash()
    except InvalidTransaction as error:
        raise Dropped(str(error)) from None
    if result.worker_address != tx.from_address:
        raise Dropped("worker_address is not from_address")
    step.burned += tx.amount


def _update_validator(step: "Step", tx: Transaction, _height: int) -> None:
    validator = step.validator(_address_of_key(tx))
    if validator.reward_address != tx.from_address:
        raise Dropped("only its owner may update a validator")
    changes: dict[str, Any] = {}
    for field, longest in _LONGEST.items():
        if field in tx.payload:
            text = tx.payload[field]
            # That it must be a text is a guess: the source takes any value that has a length.
            if not isinstance(text, str) or len(text) > longest:
                raise Dropped(f"{field} is a text of at most {longest} characters")
            changes[field] = text
    if "commission_rate" in tx.payload:
        try:
            rate = float(tx.payload["commission_rate"])
        except (TypeError, ValueError, OverflowError) as error:
            raise Dropped(str(error)) from None
        if not 0 <= rate <= 1:
            raise Dropped("a commission rate lies between 0 and 1")
        changes["commission_rate"] = rate
    step.put_validator(replace(validator, **changes))


def _delegate(step: "Step", tx: Transaction, height: int) -> None:
    validator = step.validator(tx.payload.get("validator"))
    if tx.amount < LEAST_DELEGATION:
        raise Dropped(f"delegation {tx.amount} < {LEAST_DELEGATION}")
    everyone = step.validators()
    is_new = validator.delegation_of(tx.from_address) is None
    delegated = sum(one.delegation_of(tx.from_address) is not None for one in everyone)
    if is_new and delegated >= MOST_VALIDATORS:
        raise Dropped(f"it delegates to {delegated} validators already")
    total = sum(one.power for one in everyone) + tx.amount
    if (validator.power + tx.amount) * POWER_SHARE > total:
        raise Dropped(f"a validator may have a part in {POWER_SHARE} of all voting power")
    step.put_validator(validator.with_delegation(tx.from_address, tx.amount, height))


def _undelegate(step: "Step", tx: Transaction, height: int) -> None:
    validator = step.validator(tx.payload.get("validator"))
    delegation = validator.delegation_of(tx.from_address)
    if delegation is None or delegation.amount < tx.amount:
        raise Dropped(f"less than {tx.amount} is delegated")
    step.put_validator(validator.with_delegation(tx.from_address, -tx.amount, height))
    entry = Unbonding(tx.amount, height + UNBONDING_BLOCKS, validator.address)
    account = step.account(tx.from_address)
    step.put(tx.from_address, account._replace(unbonding=(*account.unbonding, entry)))


def _unjail(step: "Step", tx: Transaction, _height: int) -> None:
    validator = step.validator(_address_of_key(tx))
    if not validator.jailed_until_height:
        raise Dropped("the validator is not jailed")
    if validator.reward_address != tx.from_address:
        raise Dropped("only its owner may release a validator")
    if tx.amount < UNJAIL_FEE:
        raise Dropped(f"unjail fee {tx.amount} < {UNJAIL_FEE}")
    step.put_validator(replace(validator, jailed_until_height=0, missed_blocks=0, is_active=True))
    step.burned += tx.amount


RULES: dict[TxType, Rule] = {
    TxType.TRANSFER: _transfer,
    TxType.STAKE: _stake,
    TxType.UNSTAKE: _unstake,
    TxType.SUBMIT_RESULT: _submit_result,
    TxType.UPDATE_VALIDATOR: _update_validator,
    TxType.DELEGATE: _delegate,
    TxType.UNDELEGATE: _undelegate,
    TxType.UNJAIL: _unjail,
}

KEEP_THEIR_AMOUNT = {TxType.UNSTAKE, TxType.UNDELEGATE, TxType.UPDATE_VALIDATOR}
"""Types that take no more than the fee from the sender's balance, whatever the amount says."""


def _address_of_key(tx: Transaction) -> str:
    public_key = tx.payload.get("pub_key")
    try:
        if public_key and isinstance(public_key, str):
            return address_of(public_key)
    except ValueError as error:
        raise Dropped(str(error)) from None
    raise Dropped("the payload needs a validator's pub_key")
