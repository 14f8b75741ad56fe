"""The devnet's mempool: admission in the node's order of checks, and waiting.

>>> pool = Mempool(min_gas_price=1000)
>>> pool.size()
0

The order and the words are those of rpc.json and NODE.md; where these leave it open, those of the
node's published source (github.com/computechain/computechain, blockchain/core/mempool.py).

A transaction is *ready* where its nonce follows on those that are ready before it, and else *queued*.
Only ready ones count in `mempool_size`, and get into blocks. After each block the queue's lowest
nonce becomes ready if it is the account's confirmed one, and those that follow on it. That is all:
nothing notices that a queued nonce is there twice or spent already, and what waits behind it at the
queue's head waits until that one expires.
"""

import heapq
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from node_client.devnet.proposer import as_served
from node_client.devnet.state import AccountState
from node_client.devnet.validators import address_of
from node_client.errors import InvalidData, InvalidTransaction
from node_client.networks import MAX_QUEUED_NONCES
from node_client.transaction import BASE_GAS, Transaction, TxType, is_plain

EXPIRY_SECONDS = 3600.0
MAX_READY_OF_SENDER = 1_000
MAX_READY = 100_000
"""Read off the published source; NODE.md names the refusal alone."""

AccountOf = Callable[[str], AccountState]


@dataclass(slots=True, eq=False)
class Waiting:
    """A transaction in the mempool. `received` in seconds of the chain's clock."""

    tx: Transaction
    tx_hash: str
    received: float


class Mempool:
    """The transactions that wait, by account. Not thread-safe: the chain's lock is."""

    def __init__(
        self,
        min_gas_price: int,
        *,
        most: int = MAX_READY,
        most_of_sender: int = MAX_READY_OF_SENDER,
    ) -> None:
        """`min_gas_price` in units a gas; `most`: how many may be ready, of all and of one account."""
        self._min_gas_price = min_gas_price
        self._most = most
        self._most_of_sender = most_of_sender
        self._ready: dict[str, dict[str, Waiting]] = {}  # by account, and hash
        self._queued: dict[str, list[Waiting]] = {}  # by account, in nonce order

    def admit(self, tx: Transaction, account: AccountState, now: float) -> str | None:
        """Take `tx` in, or give the node's words for why not. `account` is the sender's.

        Raises InvalidTransaction where a block that holds it could not be sent as JSON; the node
        answers 400 then (a guess: "a fault inside").
        """
        mine = self._ready.get(tx.from_address, {})
        tx_hash = tx.hash()
        if tx_hash in mine:
            return "already_in_pool"
        reason = (
            _refused_price(tx, self._min_gas_price)
            or self._refused_room(mine)
            or _refused_signature(tx)
            or _refused_money(tx, account)
        )
        if reason is not None:
            return reason
        _check_can_be_sent(tx)
        waiting = Waiting(tx, tx_hash, now)
        expected = _first_free(account.nonce, mine.values())
        if tx.nonce < expected:
            return "nonce_too_low"
        if tx.nonce > expected:
            return self._queue(waiting)
        self._put(waiting)
        self._promote(tx.from_address, account, now)
        return None

    def pending_nonce(self, address: str, confirmed: int) -> int:
        """The least nonce that is neither spent nor waits, queued ones counted too."""
        return _first_free(confirmed, self._of(address))

    def size(self) -> int:
        """How many are ready."""
        return sum(len(mine) for mine in self._ready.values())

    def candidates(self, most: int) -> Iterator[Waiting]:
        """At most so many that are ready: the highest price first, an account's in nonce order.

        Of equal prices the account with the lower address comes first, with all it has.
        """
        sorted_by_nonce = {
            address: iter(sorted(mine.values(), key=lambda waiting: waiting.tx.nonce))
            for address, mine in self._ready.items()
        }
        heap = [_entry(next(mine)) for mine in sorted_by_nonce.values()]
        heapq.heapify(heap)
        while heap and most > 0:
            _price, address, waiting = heapq.heappop(heap)
            yield waiting
            most -= 1
            if (following := next(sorted_by_nonce[address], None)) is not None:
                heapq.heappush(heap, _entry(following))

    def settle(self, account_of: AccountOf, now: float) -> None:
        """After a block: let queued ones become ready, and forget the old and those that are spent."""
        for address in list(self._queued):
            self._promote(address, account_of(address), now)
        self.expire(now)
        self._remove_all(
            lambda waiting: waiting.tx.nonce < account_of(waiting.tx.from_address).nonce,
            queued_too=False,
        )

    def put_back(self, transactions: Iterable[Transaction], now: float) -> None:
        """Make transactions of a rolled-back block ready again."""
        for tx in transactions:
            self._put(Waiting(tx, tx.hash(), now))

    def remove(self, waiting: Waiting) -> None:
        """Forget one that is ready."""
        mine = self._ready[waiting.tx.from_address]
        del mine[waiting.tx_hash]
        if not mine:
            del self._ready[waiting.tx.from_address]

    def forget(self, tx_hash: str | None = None) -> int:
        """Forget this transaction, or all of them. How many it were."""
        return self._remove_all(lambda waiting: tx_hash in (None, waiting.tx_hash))

    def expire(self, now: float) -> int:
        """Forget what came more than an hour ago. How many it were."""
        return self._remove_all(lambda waiting: now - waiting.received > EXPIRY_SECONDS)

    def _refused_room(self, mine: dict[str, Waiting]) -> str | None:
        if self.size() >= self._most:
            return "mempool_full"
        return "sender_limit_exceeded" if len(mine) >= self._most_of_sender else None

    def _queue(self, waiting: Waiting) -> str | None:
        queue = self._queued.setdefault(waiting.tx.from_address, [])
        if len(queue) >= MAX_QUEUED_NONCES:
            return "queued_limit_exceeded"
        for same in queue:
            if same.tx_hash == waiting.tx_hash:
                same.received = waiting.received  # the node keeps one time for each hash
        queue.append(waiting)
        queue.sort(key=lambda queued: queued.tx.nonce)
        return None

    def _promote(self, address: str, account: AccountState, now: float) -> None:
        """Make ready what is at the head of this account's queue and follows on its confirmed nonce."""
        queue = self._queued.get(address, [])
        expected = account.nonce
        while queue and queue[0].tx.nonce == expected:
            waiting = queue.pop(0)
            if account.balance < waiting.tx.amount + waiting.tx.fee:
                break  # forgotten; those behind it stay queued
            waiting.received = now
            self._put(waiting)
            expected += 1
        if not queue:
            self._queued.pop(address, None)

    def _put(self, waiting: Waiting) -> None:
        self._ready.setdefault(waiting.tx.from_address, {})[waiting.tx_hash] = waiting

    def _of(self, address: str) -> list[Waiting]:
        return [*self._ready.get(address, {}).values(), *self._queued.get(address, [])]

    def _remove_all(self, wanted: Callable[[Waiting], bool], *, queued_too: bool = True) -> int:
        found = [one for mine in self._ready.values() for one in mine.values() if wanted(one)]
        for waiting in found:
            self.remove(waiting)
        if not queued_too:
            return len(found)
        removed = len(found)
        for address, queue in list(self._queued.items()):
            kept = [waiting for waiting in queue if not wanted(waiting)]
            removed += len(queue) - len(kept)
            self._queued[address] = kept
            if not kept:
                del self._queued[address]
        return removed


def _entry(waiting: Waiting) -> tuple[int, str, Waiting]:
    # An account has one entry at a time, so that two of them are never compared further.
    return -waiting.tx.gas_price, waiting.tx.from_address, waiting


def _first_free(nonce: int, waiting: Iterable[Waiting]) -> int:
    """The first nonce from `nonce` on that none of these has."""
    taken = {one.tx.nonce for one in waiting}
    while nonce in taken:
        nonce += 1
    return nonce


def _refused_price(tx: Transaction, min_gas_price: int) -> str | None:
    if tx.gas_price < min_gas_price:
        return f"gas_price {tx.gas_price} < min {min_gas_price}"
    if tx.tx_type not in BASE_GAS:
        return "unknown_tx_type"
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
        if address_of(tx.pub_key, tx.from_address.split("1")[0]) != tx.from_address:
            return "pub_key_mismatch"
    except ValueError as error:
        return f"invalid_key_format: {error}"
    try:
        bytes.fromhex(tx.signature)
    except ValueError as error:
        return f"crypto_error: {error}"
    return None if tx.signature_fits() else "invalid_signature"


def _refused_money(tx: Transaction, account: AccountState) -> str | None:
    if tx.tx_type is TxType.TRANSFER and tx.amount == 0:
        return "transfer_amount_zero"
    # Each transaction alone: what waits before it is not subtracted.
    if account.balance < tx.amount + tx.fee:
        return "insufficient_balance"
    return None


def _check_can_be_sent(tx: Transaction) -> None:
    """Numbers that JSON does not have are no hindrance: a block serves them as null."""
    if is_plain(tx.payload):
        return
    try:
        json.dumps(as_served(tx.to_json()), ensure_ascii=False).encode()
    except (ValueError, InvalidData) as error:
        raise InvalidTransaction(f"a block with this payload is not valid JSON: {error}") from None
