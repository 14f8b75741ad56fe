"""The devnet's chain: accounts, mempool and blocks under one lock, on a fixed grid of time.

>>> chain = Chain({"cpc1...": 10**18}, genesis_time=0.0)
>>> chain.produce().height
1

Block `height` is due at genesis_time + height * block_time. Nothing here runs by itself: the
server's thread calls `produce_if_due`, a test calls `produce`. All methods may be called from any
thread. Blocks and receipts are kept in memory for ever: it is not meant to run for months.
"""

import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from node_client.block import Block
from node_client.devnet.mempool import MAX_READY, Mempool
from node_client.devnet.proposer import Proposer, as_served
from node_client.devnet.state import AccountState, ChainState, Undo
from node_client.devnet.validators import IDLE_VALIDATORS, Validator, idle_validator_key
from node_client.errors import InvalidData
from node_client.keys import PrivateKey
from node_client.networks import NETWORKS
from node_client.transaction import Transaction

CHAIN_ID = "cpc-devnet-1"
CATCH_UP = 5
"""Blocks in a block time while the chain catches up."""
GENESIS_PREV_HASH = "0" * 64  # a guess, as all of block 0


class _Link(NamedTuple):
    """A block, its hash, how to take it back, and what it took out of the mempool."""

    block: Block
    block_hash: str
    undo: Undo
    taken: list[Transaction]


class Chain:
    """A chain with one proposer."""

    def __init__(
        self,
        balances: Mapping[str, int | AccountState],
        *,
        chain_id: str = CHAIN_ID,
        network: str = "devnet",
        block_time: float = 5.0,
        genesis_time: float | None = None,
        clock: Callable[[], float] = time.time,
        proposer: PrivateKey | None = None,
        max_transactions: int | None = None,
        gas_limit: int | None = None,
        mempool_size: int = MAX_READY,
    ) -> None:
        """Make block 0.

        `balances`: the accounts at genesis, in units of 10^-18 CPC. `block_time` in seconds;
        `genesis_time` in seconds of Unix time, the current whole second if None. `network` names
        the least gas price and a block's limits (`max_transactions` and `gas_limit` where they are
        None), and is what /status says. `clock` gives Unix time in seconds. `mempool_size`: how many
        transactions may be ready. Raises InvalidData.
        """
        if network not in NETWORKS:
            raise InvalidData(f"unknown network {network!r}: there are {', '.join(NETWORKS)}")
        if not (math.isfinite(block_time) and block_time > 0):
            raise InvalidData(f"a block time is a positive number of seconds, not {block_time}")
        self.chain_id = chain_id
        self.network = network
        self.block_time = block_time
        self.clock = clock
        self.genesis_time = float(math.floor(clock())) if genesis_time is None else genesis_time
        self.proposer = proposer or PrivateKey.generate()
        self.drops: list[Callable[[str], bool]] = []
        """Each says whether the proposer drops the transaction of this hash; one yes is enough."""

        limits = NETWORKS[network]
        self._max_transactions = max_transactions or limits.block_transactions
        self._gas_limit = gas_limit or limits.block_gas
        self._lock = threading.RLock()
        idle = [idle_validator_key(number) for number in range(IDLE_VALIDATORS)]
        validators = [Validator.at_genesis(self.proposer, is_active=True)]
        validators += [Validator.at_genesis(key, is_active=False) for key in idle]
        self._state = ChainState(balances, validators)
        self._genesis = ChainState(balances, validators)
        self._mempool = Mempool(limits.min_gas_price, most=mempool_size)
        self._maker = Proposer(self.proposer, chain_id, self._gas_limit)
        self._heights: dict[str, int] = {}  # by hash of a transaction that is in a block
        self._rounds: dict[int, int] = {}  # by height, where a block was rolled back
        self._held_until = -math.inf
        self._catching_up = False
        self._included: list[Any] = []
        self._links: list[_Link] = []
        self._append([], Undo())

    # --- what the routes ask ----------------------------------------------------------------------

    @property
    def height(self) -> int:
        """Height of the last block."""
        with self._lock:
            return len(self._links) - 1

    def status(self) -> dict[str, Any]:
        """The body of GET /status. `epoch` stays 0: nothing is known about what moves it."""
        with self._lock:
            return {
                "height": len(self._links) - 1,
                "last_hash": self._links[-1].block_hash,
                "network": self.network,
                "mempool_size": self._mempool.size(),
                "epoch": 0,
            }

    def block(self, height: int) -> Block | None:
        """The block at `height`, None where there is none."""
        with self._lock:
            return self._links[height].block if 0 <= height < len(self._links) else None

    def blocks(self) -> list[Block]:
        """All blocks from genesis on."""
        with self._lock:
            return [link.block for link in self._links]

    def account(self, address: str) -> AccountState:
        """The confirmed account; an empty one for any address that is unknown."""
        with self._lock:
            return self._state.account(address)

    def account_at_genesis(self, address: str) -> AccountState:
        """The account as it was before any block."""
        return self._genesis.account(address)

    def pending_nonce(self, address: str) -> int:
        """The next free nonce, waiting transactions counted in, gaps first."""
        with self._lock:
            return self._mempool.pending_nonce(address, self._state.account(address).nonce)

    def height_of(self, tx_hash: str) -> int | None:
        """Height of the block that holds a transaction; None where none does."""
        with self._lock:
            return self._heights.get(tx_hash)

    def send(self, tx: Transaction) -> str | None:
        """Offer `tx` to the mempool: None where it is received, or the node's words of refusal.

        Raises InvalidTransaction where the node would answer 400.
        """
        with self._lock:
            account = self._state.account(tx.from_address)
            return self._mempool.admit(tx, account, self.clock())

    def validator(self, address: str) -> Validator | None:
        """The validator at `address`; None where there is none."""
        return next((one for one in self.validators() if one.address == address), None)

    def validators(self) -> list[Validator]:
        """All validators. The proposer is the only one that ever proposes."""
        with self._lock:
            proposer = self.proposer.validator_address
            blocks = len(self._links) - 1
            return [
                one.having_proposed(blocks) if one.address == proposer else one
                for one in self._state.validators()
            ]

    def jail(self, address: str, blocks: int) -> None:
        """Jail a validator for that many blocks from now on. Raises InvalidData for an unknown one."""
        with self._lock:
            validator = self._state.validator(address)
            if validator is None:
                raise InvalidData(f"there is no validator {address}")
            self._state.set_validator(validator.jailed(len(self._links) - 1 + blocks))

    def total(self) -> int:
        """All units there are, staked ones too: genesis less what was burned."""
        with self._lock:
            return self._state.total()

    def burned(self) -> int:
        """Units that are no more: fees, penalties, and amounts that go nowhere."""
        with self._lock:
            return self._state.burned

    # --- blocks -----------------------------------------------------------------------------------

    def due(self) -> float:
        """When the next block is due, in seconds of the clock."""
        with self._lock:
            return max(self._grid_time(len(self._links)), self._held_until)

    def timestamp(self, height: int, late: int = 0) -> int:
        """When the block at `height` is due, `late` rounds after its slot, in whole seconds."""
        # Rounded first: 0.29 * 100 is 28.999999999999996.
        return math.floor(round(self._grid_time(height + late), 6))

    def produce_if_due(self) -> Block | None:
        """Make the next block if its time has come; one at a time, so that others get the lock."""
        with self._lock:
            return self.produce() if self.due() <= self.clock() else None

    def produce(self) -> Block:
        """Make the next block now, due or not; its timestamp is the grid's."""
        with self._lock:
            now = self.clock()
            self._mempool.expire(now)
            undo = Undo()
            height = len(self._links)
            block = self._append(self._select(undo), undo, self._late_by(height, now))
            if self._catching_up:
                self._held_until = now + self.block_time / CATCH_UP
                self._catching_up = self._grid_time(height + 1) <= now
            return block

    def roll_back(self, blocks: int, *, put_back: bool = False, hold: float = 0.0) -> list[Block]:
        """Take the last `blocks` blocks away, and give them, lowest first.

        Their transactions are lost, as on the real node, or return to the mempool if `put_back`.
        The next block is due at once (the grid stands still for nobody), or after `hold` seconds;
        it has a higher `round` than the one that was taken away, so that its hash is another one.
        Raises InvalidData for more blocks than there are above genesis.
        """
        with self._lock:
            if not 0 <= blocks < len(self._links):
                raise InvalidData(f"cannot roll back {blocks} of {len(self._links) - 1} blocks")
            removed = self._links[len(self._links) - blocks :]
            for block, _hash, undo, taken in reversed(removed):
                self._links.pop()
                self._state.restore(undo)
                self._rounds[block.height] = block.header.round + 1
                for tx in taken:
                    del self._heights[tx.hash()]
            if put_back:
                for link in removed:
                    self._mempool.put_back(link.taken, self.clock())
            self.hold(hold)
            return [link.block for link in removed]

    def hold(self, seconds: float) -> None:
        """No block becomes due for that long; afterwards those that are missing follow at once."""
        with self._lock:
            self._held_until = self.clock() + seconds

    def late_rounds(self, rounds: int) -> None:
        """Let the next block come `rounds` block times after its slot, and catch up afterwards.

        Its `round` is as many, its timestamp slot + round * block time. Then a block follows each
        fifth of a block time (a second on the real devnet), each with the rounds that its own slot is
        past by then, until the chain is at its slots again: NODE.md and `late_rounds.json`.
        """
        with self._lock:
            self._catching_up = True
            self._held_until = self._grid_time(len(self._links)) + rounds * self.block_time

    def include(self, raw: Any) -> None:
        """Put this JSON value among the next block's transactions, as it is; no account changes.

        It counts for no limit, is in no mempool, and does not return when the block is rolled back.
        Raises InvalidData for what is not JSON.
        """
        as_served(raw)
        with self._lock:
            self._included.append(raw)

    def forget(self, tx_hash: str | None = None) -> int:
        """Let the mempool forget one transaction, or all of them; how many it were."""
        with self._lock:
            return self._mempool.forget(tx_hash)

    def _select(self, undo: Undo) -> list[Transaction]:
        """Take the next block's transactions out of the mempool, and carry them out.

        In the mempool's order, until transactions or gas are full. What cannot be carried out is
        dropped and nobody is told; what stands behind it waits.
        """
        chosen: list[Transaction] = []
        gas = 0
        for waiting in list(self._mempool.candidates(self._max_transactions)):
            tx = waiting.tx
            if gas + tx.base_gas > self._gas_limit:
                break
            if tx.nonce > self._state.account(tx.from_address).nonce:
                continue
            self._mempool.remove(waiting)
            if self._drops(waiting.tx_hash):
                continue
            if self._state.apply(tx, undo, len(self._links)) is None:
                chosen.append(tx)
                gas += tx.base_gas
        return chosen

    def _late_by(self, height: int, now: float) -> int:
        """The rounds that the slot of the block at `height` is past."""
        if not self._catching_up:
            return 0
        return max(0, math.floor((now - self._grid_time(height)) / self.block_time + 1e-6))

    def _append(self, txs: list[Transaction], undo: Undo, late: int = 0) -> Block:
        height = len(self._links)
        block = self._maker.make_block(
            height,
            prev_hash=self._links[-1].block_hash if self._links else GENESIS_PREV_HASH,
            timestamp=self.timestamp(height, late),
            round_=max(late, self._rounds.get(height, 0)),
            state_root=self._state.root(),
            txs=[*txs, *self._included],
        )
        self._included = []
        self._state.end_unbonding(height, undo)
        self._links.append(_Link(block, block.hash(), undo, txs))
        self._heights.update((tx.hash(), height) for tx in txs)
        self._mempool.settle(self._state.account, self.clock())
        return block

    def _drops(self, tx_hash: str) -> bool:
        return any(drops(tx_hash) for drops in self.drops)

    def _grid_time(self, height: int) -> float:
        return self.genesis_time + height * self.block_time
