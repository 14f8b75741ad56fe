"""The ways to cut a transaction's digits into numbers: what `ambiguity.py` judges.

Nothing stands between the end of `to_address`, amount, fee, nonce, gas price and gas limit.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from node_client.transaction import Transaction

UNREACHABLE_NONCES = 10**12
"""An account that filled every block of the devnet (500 in 5 s) would need 300 years for so many."""

_DIGITS_AT_END = re.compile(r"[0-9]*\Z", re.ASCII)


class Split(NamedTuple):
    """One way to cut the digits. `taken`: how many of them stand at the end of to_address."""

    taken: int
    amount: int
    fee: int
    nonce: int
    gas_price: int
    gas_limit: int


def text_of(tx: Transaction) -> tuple[str, str]:
    """Return to_address without the digits at its end, and those digits with the five numbers'."""
    to = tx.to_address or ""
    own_digits = _DIGITS_AT_END.search(to)
    assert own_digits is not None
    numbers = f"{tx.amount}{tx.fee}{tx.nonce}{tx.gas_price}{tx.gas_limit}"
    return to[: own_digits.start()], own_digits.group() + numbers


def splits(tx: Transaction, *, first_unspent: int, min_gas_price: int) -> Iterator[Split]:
    """Yield every other way to cut the digits of `tx` that the chain would take; each number is fit.

    They are cut from the right: limit, price, nonce, fee, amount; each prunes the next.
    `first_unspent`: nonces below are spent. `min_gas_price` in units a gas.
    """
    head, digits = text_of(tx)
    own_taken = len(tx.to_address or "") - len(head)
    own = Split(own_taken, tx.amount, tx.fee, tx.nonce, tx.gas_price, tx.gas_limit)
    last_nonce = tx.nonce + UNREACHABLE_NONCES
    end = len(digits)
    base_length = len(str(tx.base_gas))
    price_length = len(str(max(1, min_gas_price)))
    for limit_at in range(end - base_length, price_length + base_length - 1, -1):
        if digits[limit_at] == "0":
            continue
        gas_limit = int(digits[limit_at:])
        if gas_limit < tx.base_gas:
            continue
        for price_at in range(limit_at - price_length, base_length, -1):
            if digits[price_at] == "0":
                continue
            gas_price = int(digits[price_at:limit_at])
            if gas_price < min_gas_price:
                continue
            least_fee = tx.base_gas * gas_price
            fee_length = len(str(least_fee))
            # A digit of the amount, the fee's, and one of the nonce must fit in front.
            if 1 + fee_length + 1 > price_at:
                break
            for nonce_at in range(price_at - 1, fee_length, -1):
                if digits[nonce_at] == "0" and nonce_at != price_at - 1:
                    continue
                nonce = int(digits[nonce_at:price_at])
                if nonce < first_unspent:
                    continue
                if nonce > last_nonce:
                    break
                for fee_at in range(nonce_at - fee_length, 0, -1):
                    if digits[fee_at] == "0":
                        continue
                    fee = int(digits[fee_at:nonce_at])
                    if fee < least_fee:
                        continue
                    for taken in range(fee_at):
                        if digits[taken] == "0" and taken != fee_at - 1:
                            continue
                        amount = int(digits[taken:fee_at])
                        found = Split(taken, amount, fee, nonce, gas_price, gas_limit)
                        if found != own:
                            yield found
