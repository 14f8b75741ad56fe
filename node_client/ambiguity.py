"""Transactions that share a signature, and a fee that rules them out.

Nothing stands between the joined numbers of a transaction's text, so one signature can fit several
transactions:

    amount  5000000000000000000   fee 252000000000000  nonce 3   price 12000000000  limit 21000
    amount 50000000000000000002   fee  52000000000000  nonce 31  price  2000000000  limit 21000

Anyone who saw the first on the chain can send the second as soon as nonce 31 is next. The node takes
base gas * price whatever the fee is, so the fee can be changed until no other reading is left:

    signed = sign_safely(draft, key, first_unspent=proven, min_gas_price=1_000)

`proven`: every nonce below is proven to be spent (`nonce_proof.py`), 0 where nothing is. What a node
says is no proof: of 2,003 results at nonces up to 10^6, with nothing proven, half had a reading that
costs more (up to 1,000 times as much), and all from nonce 10 on one that costs the same.

Nonces of two digits and more

* The last digits of a nonce can always move to the end of the fee: 12 is also nonce 2, for the same
  receiver and at the same cost, whatever the fee is. At a free nonce 2 that is a second payment. So
  it counts, and is waited for (`waiting_helps`), or has to be proven spent.
* That concerns new accounts only: over all proven in 0 ... 130 and n = proven + 0 ... 64, at the
  least price of each network, 315 of 8,515 results had such a reading, all at proven < 10, n >= 10.

What counts as another reading

* tx_type, from_address, payload and pub_key stay: the type stands in front of `cpc1`, and key and
  address bind each other; a payload that `sign_safely` passes holds no second `{`.
* Numbers are decimals without leading zeros; nonce >= `first_unspent` (lower ones are spent);
  gas_price, gas_limit and fee are at least what the node takes. None has an upper bound, since a
  balance may grow, but the nonce: no account lives to see UNREACHABLE_NONCES more.
* `to_address` may lose digits at its end to the amount, or gain digits of the amount (also where it
  was null): the node takes a transfer to a text that is no address, and what it moves is lost.

What may stand at the draft's own nonce

Such a reading never comes on top of the draft, only in its place, under the same hash. One that moves
no more to the same receiver, at no dearer price, is let stand. Any other has something at stake:

* Where the receiver's address ends in a digit but 0 (one in four), 1 CPC to cpc1...5 is also 51 CPC
  to cpc1..., whatever amount, price and fee are.
* Where an amount has two digits that are not zero, 1.5 CPC to cpc1...x is also 0.5 CPC to cpc1...x1.
* A node that lies, and anyone between, can hand in the one for the other. So neither is signed, unless
  the operator accepts so much (`accept_burn`), or the account cannot pay for that reading: it costs
  more than `MARGIN` times a balance that more than one node confirms. The fee that is named is no
  help: a proposer takes base gas * price only. What remains: somebody sends the account more than it
  has while the nonce is open; to do that on purpose costs no less than what the account loses.
* What goes elsewhere and is no more than the gas costs is dust: 5 units, with a fee of 1 CPC.
"""

from collections.abc import Iterator
from gettext import gettext as _
from typing import NamedTuple

from node_client.digit_cuts import splits, text_of
from node_client.drafts import check_draft
from node_client.errors import AmbiguousTransaction, BurnPossible
from node_client.keys import PrivateKey
from node_client.networks import format_cpc
from node_client.transaction import Transaction, TxType

FEE_RANGE = 10**9
"""Fees up to so many times the least are tried where nothing is said of the balance."""

MARGIN = 2
"""A reading that costs more than so many balances is none that the account can pay for."""

_WAIT = _(
    "Wait until the transactions before it are in blocks, and try again: the"
    " other readings have nonces that are spent then."
)


def colliding_transactions(
    tx: Transaction, *, first_unspent: int, min_gas_price: int
) -> list[Transaction]:
    """Return every other transaction that `tx`'s signature fits and that the node would accept.

    `first_unspent`: every nonce below is proven spent. `min_gas_price` in units a gas. What counts is
    said at the top of this file.
    """
    head, digits = text_of(tx)
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
        for reading in splits(tx, first_unspent=first_unspent, min_gas_price=min_gas_price)
    ]


def sign_safely(
    draft: Transaction,
    key: PrivateKey,
    *,
    first_unspent: int,
    min_gas_price: int,
    spendable: int | None = None,
    accept_burn: int = 0,
    balance: int | None = None,
) -> Transaction:
    """Check `draft`, choose the least fee with which no reading costs more or goes elsewhere, and sign.

    `draft.fee` is not looked at. `first_unspent`: every nonce below is proven spent; 0 where nothing
    is proven. `min_gas_price` is the network's least, in units a gas. `spendable`: units that amount
    and fee together may reach; the node wants both covered, although it takes base gas * gas_price
    only. `accept_burn`: so many units may be at stake. `balance`: the account's, in units, as more
    than one node confirms it; None where it is one node's word.

    Raises InvalidTransaction for a draft that the node would refuse or drop, AmbiguousTransaction,
    with advice, where no fee helps (its `waiting_helps` says whether waiting fixes it), and
    BurnPossible, which is one, where more is at stake than was accepted.
    """
    check_draft(draft, key, first_unspent, min_gas_price)
    draft = draft.model_copy(update={"pub_key": key.public_key})
    limits = _Limits(first_unspent, min_gas_price, spendable, accept_burn, balance)
    least = _least_at_stake(draft, limits)
    if least is not None and least[0] <= accept_burn:
        return least[1].signed_by(key)
    settled = limits._replace(first_unspent=draft.nonce)
    after = _least_at_stake(draft, settled) if least is None else least
    if after is not None and after[0] > accept_burn:
        raise _burn_possible(draft, settled, after[0])
    raise AmbiguousTransaction(
        _(
            "the digits of this {kind} can be read as another transaction that the same"
            " signature fits, and no fee that the account can cover changes that"
        ).format(kind=draft.tx_type.value),
        advice=_advice(draft, settled) if after is None else _WAIT,
        waiting_helps=after is not None,
    )


def at_stake(tx: Transaction, *, min_gas_price: int, balance: int | None = None) -> int:
    """Return the most units that `tx` can cost beyond what it is meant to, at its own nonce.

    `balance` as in `sign_safely`: what the account cannot pay for is left out.
    """
    limits = _Limits(tx.nonce, min_gas_price, None, 0, balance)
    return max((stake for stake, _amount in _stakes(tx, limits)), default=0)


def least_at_stake(draft: Transaction, *, min_gas_price: int, balance: int | None = None) -> int:
    """Return what `at_stake` gives for the draft with the fee that puts the least at stake."""
    found = _least_at_stake(draft, _Limits(draft.nonce, min_gas_price, None, 0, balance))
    return 0 if found is None else found[0]


def one_digit_parts(amount: int) -> list[int]:
    """`amount` as a sum of numbers of one digit and zeros: 250 is 200 + 50."""
    digits = str(amount)
    return [int(d) * 10 ** (len(digits) - 1 - i) for i, d in enumerate(digits) if d != "0"]


class _Limits(NamedTuple):
    first_unspent: int
    min_gas_price: int
    spendable: int | None
    accept_burn: int
    balance: int | None


def _least_at_stake(draft: Transaction, limits: _Limits) -> tuple[int, Transaction] | None:
    """Return the draft with the first fee that puts nothing above `accept_burn` at stake, and how much.

    Else with the fee that puts the least at stake; None where each leaves a reading at another nonce.
    """
    least = draft.base_gas * draft.gas_price
    most = least * FEE_RANGE if limits.spendable is None else limits.spendable - draft.amount
    best: tuple[int, Transaction] | None = None
    # The least fee is tried whatever the balance: that it does not suffice is the node's to say.
    for fee in _fees(least, max(least, most)):
        candidate = draft.model_copy(update={"fee": fee})
        stake = _worst(candidate, limits)
        if stake is not None and (best is None or stake < best[0]):
            best = stake, candidate
            if stake <= limits.accept_burn:
                break
    return best


def _worst(tx: Transaction, limits: _Limits) -> int | None:
    """Return the most that is at stake, None where a reading has another nonce."""
    cuts = splits(tx, first_unspent=limits.first_unspent, min_gas_price=limits.min_gas_price)
    if any(reading.nonce != tx.nonce for reading in cuts):
        return None
    return max((stake for stake, _amount in _stakes(tx, limits)), default=0)


def _stakes(tx: Transaction, limits: _Limits) -> Iterator[tuple[int, int]]:
    """What is at stake through each reading in the place of `tx`, and what it moves, in units.

    Neither part may grow: a smaller amount does not pay for a dearer price, which is burned. What
    goes elsewhere and is no more than a transaction costs in any case is dust.
    """
    head, _digits = text_of(tx)
    own_taken = len(tx.to_address or "") - len(head)
    for reading in splits(tx, first_unspent=tx.nonce, min_gas_price=limits.min_gas_price):
        if reading.nonce != tx.nonce:
            continue
        gas = tx.base_gas * reading.gas_price
        if limits.balance is not None and reading.amount + gas > MARGIN * limits.balance:
            continue
        elsewhere = tx.tx_type is TxType.TRANSFER and reading.taken != own_taken
        more = reading.amount if elsewhere else max(0, reading.amount - tx.amount)
        dust = elsewhere and more <= tx.base_gas * tx.gas_price
        dearer = tx.base_gas * max(0, reading.gas_price - tx.gas_price)
        yield dearer + (0 if dust else more), reading.amount


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


def _burn_possible(draft: Transaction, limits: _Limits, stake: int) -> BurnPossible:
    plain = draft.model_copy(update={"fee": draft.base_gas * draft.gas_price})
    moved = max((amount for its, amount in _stakes(plain, limits) if its >= stake), default=0)
    to = draft.to_address or ""
    if draft.tx_type is TxType.TRANSFER and moved > draft.amount:
        how = _(
            "Pay an address that ends in a letter, as each does that `keys add` makes now; or pay from"
            " an account that holds less than {cpc} CPC, and name two nodes that say so."
        ).format(cpc=format_cpc(moved // MARGIN))
    else:
        how = _advice(draft, limits)
    return BurnPossible(
        _(
            "a node that lies, or anyone on the way to it, could burn {cpc} CPC of {account} in place"
            " of this {kind}{to}: the same signature fits a text whose digits are read otherwise"
        ).format(
            cpc=format_cpc(stake),
            account=draft.from_address,
            kind=draft.tx_type.value,
            to=_(" to {address}").format(address=to) if to else "",
        ),
        advice=_("{how} To accept it: --accept-burn {cpc}").format(how=how, cpc=format_cpc(stake)),
        units=stake,
    )


def _advice(draft: Transaction, limits: _Limits) -> str:
    parts = one_digit_parts(draft.amount)
    for price in _round_prices(draft.gas_price):
        if len(parts) > 1 and len(one_digit_parts(draft.gas_price)) == 1:
            break  # the price is not what is wrong
        found = _least_at_stake(draft.model_copy(update={"gas_price": price}), limits)
        if found is not None and found[0] <= limits.accept_burn:
            return _("Use a gas price of one digit and zeros, such as --gas-price {price}.").format(
                price=price
            )
    if len(parts) > 1:
        listed = " + ".join(format_cpc(part) for part in parts[:6])
        more = " + ..." if len(parts) > 6 else ""
        return _(
            "Send parts of one digit and zeros each, at a gas price of that kind, and each once the"
            " one before is in a block: {listed}{more} CPC."
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
