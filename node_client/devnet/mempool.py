"""The devnet's mempool: admission in the node's order of checks, and waiting.

>>> pool = Mempool(min_gas_price=1000)
>>> pool.size()
0

The order and the words are those of rpc.json; where it leaves the order open (no balance before
nonce, say), and for `transfer_amount_zero`, `invalid_key_format` and `queued_limit_exceeded`, they
are those of the node's published source (github.com/computechain/computechain, mempool.py).

A transaction is *ready* where its nonce follows on those that are ready before it, and *queued*
where there is a gap. As seen in rpc.json, a queued one is not in `mempool_size`, and becomes ready
only after the next block, even when the gap is filled before.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from node_client.address import address_from_public_key
from node_client.devnet.state import AccountState
from node_client.errors import InvalidKey, InvalidTransaction
from node_client.networks import MAX_QUEUED_NONCES
from node_client.transaction import Transaction, TxType

EXPIRY_SECONDS = 3600.0

AccountOf = Callable[[str], AccountState]


@dataclass(slots=True)
class Waiting:
    """A transaction in the mempool. `received` in seconds of the chain's clock."""

    tx: Transaction
    tx_hash: str
    received: float
    ready: bool


class Mempool:
    """The transactions that wait, by account and nonce. Not thread-safe: the chain's lock is."""

    def __init__(self, min_gas_price: int) -> None:
        """`min_gas_price` in units a gas."""
        self._min_gas_price = min_gas_price
        # Accounts stay in the order in which their first waiting transaction came.
        self._accounts: dict[str, dict[int, Waiting]] = {}

    def admit(self, tx: Transaction, account: AccountState, now: float) -> str | None:
        """Take `tx` in, or give the node's words for why not. `account` is the sender's.

        Raises InvalidTransaction where a block that holds it could not be sent as JSON; the node
        answers 400 then (a guess: "a fault inside").
        """
        mine = self._accounts.get(tx.from_address, {})
        tx_hash = tx.hash()
        if any(waiting.tx_hash == tx_hash for waiting in mine.values()):
            return "already_in_pool"
        reason = (
            _refused_price(tx, self._min_gas_price)
            or _refused_signature(tx)
            or _refused_money(tx, account)
        )
        if reason is not None:
            return reason
        if tx.nonce < account.nonce or tx.nonce in mine:
            return "nonce_too_low"
        ready = tx.nonce == _end_of_ready(mine, account.nonce)
        queued = sum(not waiting.ready for waiting in mine.values())
        if not ready and queued >= MAX_QUEUED_NONCES:
            return "queued_limit_exceeded"
        _check_can_be_sent(tx)
        self._put(Waiting(tx, tx_hash, now, ready))
        return None

    def pending_nonce(self, address: str, confirmed: int) -> int:
        """The least nonce that is neither spent nor waits, queued ones counted too."""
        mine = self._accounts.get(address, {})
        while confirmed in mine:
            confirmed += 1
        return confirmed

    def size(self) -> int:
        """How many are ready."""
        return sum(waiting.ready for waiting in self._all())

    def sequences(self, account_of: AccountOf) -> Iterator[list[Waiting]]:
        """For each account what is ready, in nonce order, from its confirmed nonce on."""
        for address, mine in list(self._accounts.items()):
            first = account_of(address).nonce
            yield [mine[nonce] for nonce in range(first, _end_of_ready(mine, first))]

    def settle(self, account_of: AccountOf) -> None:
        """After a change of the chain: forget spent nonces, and say anew which are ready.

        What stood behind a dropped transaction is queued again (a guess: the node was not asked).
        """
        for address, mine in list(self._accounts.items()):
            confirmed = account_of(address).nonce
            for nonce in [nonce for nonce in mine if nonce < confirmed]:
                self.remove(mine[nonce])
            free = self.pending_nonce(address, confirmed)
            for nonce, waiting in mine.items():
                waiting.ready = nonce < free

    def put_back(self, transactions: Iterable[Transaction], now: float) -> None:
        """Take transactions of a rolled-back block in again; `settle` must follow."""
        for tx in transactions:
            self._put(Waiting(tx, tx.hash(), now, ready=True))

    def remove(self, waiting: Waiting) -> None:
        """Forget one that waits."""
        mine = self._accounts[waiting.tx.from_address]
        del mine[waiting.tx.nonce]
        if not mine:
            del self._accounts[waiting.tx.from_address]

    def forget(self, tx_hash: str | None = None) -> int:
        """Forget this transaction, or all of them; `settle` must follow. How many it were."""
        return self._remove_all(lambda waiting: tx_hash in (None, waiting.tx_hash))

    def expire(self, now: float) -> int:
        """Forget what came more than an hour ago; `settle` must follow. How many it were."""
        return self._remove_all(lambda waiting: now - waiting.received > EXPIRY_SECONDS)

    def _put(self, waiting: Waiting) -> None:
        self._accounts.setdefault(waiting.tx.from_address, {})[waiting.tx.nonce] = waiting

    def _all(self) -> list[Waiting]:
        return [waiting for mine in self._accounts.values() for waiting in mine.values()]

    def _remove_all(self, wanted: Callable[[Waiting], bool]) -> int:
        found = [waiting for waiting in self._all() if wanted(waiting)]
        for waiting in found:
            self.remove(waiting)
        return len(found)


def _end_of_ready(mine: dict[int, Waiting], nonce: int) -> int:
    """The first nonce from `nonce` on that has no ready transaction."""
    while nonce in mine and mine[nonce].ready:
        nonce += 1
    return nonce


def _refused_price(tx: Transaction, min_gas_price: int) -> str | None:
    if tx.gas_price < min_gas_price:
        return f"gas_price {tx.gas_price} < min {min_gas_price}"
    if tx.gas_limit < tx.base_gas:
        return f"gas_limit {tx.gas_limit} < base_gas {tx.base_gas}"
    needed = tx.base_gas * tx.gas_price
    if tx.fee < needed:
        return f"fee {tx.fee} < needed_fee {needed}"
    return None


def _refused_signature(tx: Transaction) -> str | None:
    if not tx.signature or not tx.pub_key:
        return "missing_sig_or_key"
    try:
        if address_from_public_key(tx.pub_key) != tx.from_address:
            return "pub_key_mismatch"
    except InvalidKey as error:
        return f"invalid_key_format: {error}"
    return None if tx.signature_fits() else "invalid_signature"


def _refused_money(tx: Transaction, account: AccountState) -> str | None:
    if tx.tx_type is TxType.TRANSFER and tx.amount == 0:
        return "transfer_amount_zero"
    # Each transaction alone: what waits before it is not subtracted.
    if account.balance < tx.amount + tx.fee:
        return "insufficient_balance"
    return None


def _check_can_be_sent(tx: Transaction) -> None:
    try:
        json.dumps(tx.to_json(), ensure_ascii=False).encode()
        json.dumps(tx.payload, allow_nan=False)
    except (ValueError, RecursionError) as error:
        raise InvalidTransaction(f"a block with this payload is not valid JSON: {error}") from None
