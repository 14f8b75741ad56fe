"""Transactions that share a signature, and a fee that rules them out.

Nothing stands between the joined numbers of a transaction's text, so one signature can fit several
transactions:

    amount  5000000000000000000   fee 252000000000000  nonce 3   price 12000000000  limit 21000
    amount 50000000000000000002   fee  52000000000000  nonce 31  price  2000000000  limit 21000

Anyone who saw the first on the chain can send the second as soon as nonce 31 is next. The node takes
base gas * price whatever the fee is, so the fee can be changed until no other reading is left:

    signed = sign_safely(draft, key, first_unspent=proven, min_gas_price=1_000)

`proven`: every nonce below is proven to be spent (`nonce_proof.py`), 0 where nothing is. What a node
says is no proof: at a nonce that a liar made up, a text reads differently at one that is free. Of
2,003 results at nonces up to 10^6, with nothing proven, half had a reading that costs more (up to
1,000 times as much), and all from nonce 10 on one that costs the same.

Nonces of two digits and more

* The last digits of a nonce can always move to the end of the fee: 12 is also nonce 2, for the same
  receiver and at the same cost, whatever the fee is. At a free nonce 2 that is a second payment. So
  it counts, and is waited for (`waiting_helps`), or has to be proven spent.
* That concerns new accounts only. With n = proven + 0 ... 64, the reading's nonce is n - 10 m; for it
  to be free, n must have two digits and proven one. Counted over all proven in 0 ... 130, at the
  least price of each network: 315 of 8,515 results had such a reading, all at proven < 10, n >= 10.

What counts as another reading

* tx_type, from_address, payload and pub_key stay: the type stands in front of `cpc1`, and key and
  address bind each other; a payload that `sign_safely` passes holds no second `{`.
* Numbers are decimals without leading zeros; nonce >= `first_unspent` (lower ones are spent);
  gas_price, gas_limit and fee are at least what the node takes. None has an upper bound, since a
  balance may grow, but the nonce: no account lives to see UNREACHABLE_NONCES more.
* `to_address` may lose digits at its end to the amount, or gain digits of the amount (also where it
  was null): the node takes a transfer to a text that is no address. Such a reading counts at any
  nonce but the draft's own. At the draft's own nonce nearly every transfer has one that no fee, price
  or amount can avoid (amount 50 to cpc1...x is also amount 0 to cpc1...x5). It can only stand in the
  draft's place, never come on top of it, under the same hash, and the address has no owner.
* One of these costs more: where the receiver's address ends in a digit (55 of 200 did), 1 CPC to
  cpc1...5 is also 51 CPC to cpc1...: money that is lost to both sides. A fee that the balance covers
  for one only would need more than one digit that is not zero, and then has readings of its own. So
  such a receiver cannot be paid without it; `dearest_misdirection` says how much is at stake, for a
  warning: send it through a node, and a network in between, that you trust.
"""

import re
from collections.abc import Iterator
from gettext import gettext as _
from typing import NamedTuple

from node_client.drafts import check_draft
from node_client.errors import AmbiguousTransaction
from node_client.keys import PrivateKey
from node_client.networks import format_cpc
from node_client.transaction import Transaction

FEE_RANGE = 10**9
"""Fees up to so many times the least are tried where nothing is said of the balance."""

UNREACHABLE_NONCES = 10**12
"""An account that filled every block of the devnet (500 in 5 s) would need 300 years for so many."""

_WAIT = _(
    "Wait until the transactions before it are in blocks, and try again: the"
    " other readings have nonces that are spent then."
)

_DIGITS_AT_END = re.compile(r"[0-9]*\Z", re.ASCII)


class _Split(NamedTuple):
    """One way to cut the digits. `taken`: how many of them stand at the end of to_address."""

    taken: int
    amount: int
    fee: int
    nonce: int
    gas_price: int
    gas_limit: int


def colliding_transactions(
    tx: Transaction, *, first_unspent: int, min_gas_price: int
) -> list[Transaction]:
    """Return every other transaction that `tx`'s signature fits and that the node would accept.

    `first_unspent`: every nonce below is proven spent. `min_gas_price` in units a gas. What counts is
    said at the top of this file.
    """
    head, digits = _text_of(tx)
    return [
        tx.model_copy(
            update={
                "to_address": head + digits[: reading.taken] or None,
                "amount": reading.amount,
                "fee": reading.fee,
                "nonce": reading.nonce,
                "gas_price": reading.gas_price,
                "gas_limit": reading.gas_limit,
            }
        )
        for reading in _splits(tx, first_unspent, min_gas_price)
    ]


def sign_safely(
    draft: Transaction,
    key: PrivateKey,
    *,
    first_unspent: int,
    min_gas_price: int,
    spendable: int | None = None,
    accept_harmless: bool = False,
) -> Transaction:
    """Check `draft`, choose the least fee that leaves no other reading, and sign.

    `draft.fee` is not looked at. `first_unspent`: every nonce below is proven spent; 0 where nothing
    is proven. `min_gas_price` is the network's least, in units a gas. `spendable`: units that amount
    and fee together may reach; the node wants both covered, although it takes base gas * gas_price
    only.

    An amount with more than one digit that is not zero always has another reading at its own nonce
    (1.5 CPC is also 1 unit with a fee of 0.5 CPC and more, of which the node takes base * price).
    So it is refused, with advice how to split it, unless `accept_harmless` lets readings stand that
    have the draft's own nonce, and neither a larger amount nor a dearer price: they can take its
    place, and the receiver gets less, but they never come on top of it.

    Raises InvalidTransaction for a draft that the node would refuse or drop, and
    AmbiguousTransaction, with advice, where no fee helps; its `waiting_helps` says whether
    waiting fixes it.
    """
    check_draft(draft, key, first_unspent, min_gas_price)
    draft = draft.model_copy(update={"pub_key": key.public_key})
    limits = _Limits(first_unspent, min_gas_price, spendable, accept_harmless)
    safe = _with_safe_fee(draft, limits)
    if safe is not None:
        return safe.signed_by(key)
    settled = limits._replace(first_unspent=draft.nonce)
    waiting_helps = _with_safe_fee(draft, settled) is not None
    raise AmbiguousTransaction(
        _(
            "the digits of this {kind} can be read as another transaction that the same"
            " signature fits, and no fee that the account can cover changes that"
        ).format(kind=draft.tx_type.value),
        advice=_WAIT if waiting_helps else _advice(draft, settled),
        waiting_helps=waiting_helps,
    )


def dearest_misdirection(tx: Transaction, *, min_gas_price: int, spendable: int) -> int | None:
    """Return the most that `tx` can cost, in units, if its receiver is read as no account's address.

    None where no such reading costs more than `tx`, or `spendable` does not cover it. See the top.
    """
    cost = tx.amount + tx.base_gas * tx.gas_price
    readings = _splits(tx, tx.nonce, min_gas_price, misdirected=True)
    costs = [
        reading.amount + tx.base_gas * reading.gas_price
        for reading in readings
        if reading.amount + reading.fee <= spendable
    ]
    dearest = max(costs, default=0)
    return dearest if dearest > cost else None


def one_digit_parts(amount: int) -> list[int]:
    """`amount` as a sum of numbers of one digit and zeros: 250 is 200 + 50."""
    digits = str(amount)
    return [int(d) * 10 ** (len(digits) - 1 - i) for i, d in enumerate(digits) if d != "0"]


class _Limits(NamedTuple):
    first_unspent: int
    min_gas_price: int
    spendable: int | None
    accept_harmless: bool


def _with_safe_fee(draft: Transaction, limits: _Limits) -> Transaction | None:
    least = draft.base_gas * draft.gas_price
    most = least * FEE_RANGE if limits.spendable is None else limits.spendable - draft.amount
    # The least fee is tried whatever the balance: that it does not suffice is the node's to say.
    for fee in _fees(least, max(least, most)):
        candidate = draft.model_copy(update={"fee": fee})
        if not _is_ambiguous(candidate, limits):
            return candidate
    return None


def _fees(least: int, most: int) -> Iterator[int]:
    """`least`; the next round numbers above it; then one digit and zeros, ever larger."""
    tried = set()
    magnitude = 10 ** (len(str(least)) - 1)
    for keep in (1000, 100, 10, 1):
        step = max(1, magnitude // keep)
        start = -(-least // step)
        for fee in (least, *(step * (start + i) for i in range(10))):
            if fee <= most and fee not in tried:
                tried.add(fee)
                yield fee
    while magnitude <= most:
        for digit in range(1, 10):
            fee = digit * magnitude
            if least <= fee <= most and fee not in tried:
                yield fee
        magnitude *= 10


def _is_ambiguous(tx: Transaction, limits: _Limits) -> bool:
    readings = _splits(tx, limits.first_unspent, limits.min_gas_price)
    return any(not (limits.accept_harmless and _is_harmless(r, tx)) for r in readings)


def _is_harmless(reading: _Split, tx: Transaction) -> bool:
    """Neither part may grow: a smaller amount does not pay for a dearer price, which is burned."""
    no_more = reading.amount <= tx.amount and reading.gas_price <= tx.gas_price
    return reading.nonce == tx.nonce and no_more


def _text_of(tx: Transaction) -> tuple[str, str]:
    """to_address without the digits at its end, and those digits with the five numbers'."""
    to = tx.to_address or ""
    own_digits = _DIGITS_AT_END.search(to)
    assert own_digits is not None
    numbers = f"{tx.amount}{tx.fee}{tx.nonce}{tx.gas_price}{tx.gas_limit}"
    return to[: own_digits.start()], own_digits.group() + numbers


def _splits(
    tx: Transaction, first_unspent: int, min_gas_price: int, *, misdirected: bool = False
) -> Iterator[_Split]:
    """Cut the digits from the right: limit, price, nonce, fee, amount; each prunes the next.

    Either what counts, or, `misdirected`, what has the own nonce and another receiver.
    """
    head, digits = _text_of(tx)
    own_taken = len(tx.to_address or "") - len(head)
    own = _Split(own_taken, tx.amount, tx.fee, tx.nonce, tx.gas_price, tx.gas_limit)
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
                        if (taken != own_taken and nonce == tx.nonce) != misdirected:
                            continue
                        amount = int(digits[taken:fee_at])
                        found = _Split(taken, amount, fee, nonce, gas_price, gas_limit)
                        if found != own:
                            yield found


def _advice(draft: Transaction, limits: _Limits) -> str:
    parts = one_digit_parts(draft.amount)
    for price in _round_prices(draft.gas_price):
        if len(parts) > 1 and len(one_digit_parts(draft.gas_price)) == 1:
            break  # the price is not what is wrong
        if _with_safe_fee(draft.model_copy(update={"gas_price": price}), limits) is not None:
            return _("Use a gas price of one digit and zeros, such as --gas-price {price}.").format(
                price=price
            )
    if len(parts) > 1:
        listed = " + ".join(format_cpc(part) for part in parts[:6])
        more = " + ..." if len(parts) > 6 else ""
        return _(
            "Send a rounder amount, or parts of one digit and zeros each, at a gas price"
            " of that kind: {listed}{more} CPC."
        ).format(listed=listed, more=more)
    return _("Have more on the account, so that a larger fee can be named: it is not taken.")


def _round_prices(price: int) -> Iterator[int]:
    """Yield the next few prices of one digit and zeros from `price` on."""
    magnitude = 10 ** (len(str(price)) - 1)
    first = -(-price // magnitude)
    for digit in range(first, first + 9):
        round_price = digit * magnitude if digit < 10 else (digit - 9) * 10 * magnitude
        if round_price != price:
            yield round_price
