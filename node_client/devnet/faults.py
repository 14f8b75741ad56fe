"""Switches that make the devnet fail, for tests of what a client does then.

with DevnetServer(block_time=0.2) as devnet:
    devnet.faults.roll_back(2, put_back=False)
    devnet.faults.lie("half_body", times=1, path="/tx/send")
    devnet.faults.unavailable(1.5)

Usable from any thread. A server made with `fault_routes=True` has the same switches as
POST /devnet/faults/NAME, for tests that run the devnet in another process.
"""

import threading
import time
from collections.abc import Iterable
from typing import Any

from node_client.block import Block
from node_client.devnet.chain import Chain
from node_client.devnet.forgery import Forgery
from node_client.devnet.lies import Lie, Telling
from node_client.errors import InvalidData
from node_client.transaction import Transaction


class Faults:
    """The switches of one devnet. Times in seconds from now; a later call replaces an earlier."""

    def __init__(self) -> None:
        """All switches off; `bind` gives them a chain (the server does that)."""
        self._lock = threading.Lock()
        self._chain: Chain | None = None
        self._doomed: set[str] = set()
        self._doom_all = False
        self._unavailable_until = 0.0
        self._stalled_until = 0.0
        self._syncing_until = 0.0
        self._lies: dict[Lie, Telling] = {}
        self._forgery: Forgery | None = None
        self._redirects_followed = 0

    def bind(self, chain: Chain) -> None:
        """Rule over this chain from now on."""
        self._chain = chain
        chain.drops.append(self._drops)

    # --- the chain --------------------------------------------------------------------------------

    def forget(self, tx_hash: str | None = None) -> int:
        """The mempool forgets this transaction, or all of them; how many it were.

        The receipt stays `pending`, as for all that were ever received.
        """
        return self._bound().forget(tx_hash)

    def roll_back(self, blocks: int, *, put_back: bool = False, hold: float = 0.0) -> list[Block]:
        """The last `blocks` blocks are gone; see Chain.roll_back."""
        return self._bound().roll_back(blocks, put_back=put_back, hold=hold)

    def include(self, raw: Any) -> None:
        """Put any JSON value into the next block as a transaction; see Chain.include."""
        self._bound().include(raw)

    def hold(self, seconds: float) -> None:
        """No block is made for that long; then the missing ones follow at once."""
        self._bound().hold(seconds)

    def drop(self, tx: Transaction | str | None) -> None:
        """The proposer drops this transaction (or its hash; None: every one) silently.

        That holds until `clear`, however often it is sent again.
        """
        with self._lock:
            if tx is None:
                self._doom_all = True
            else:
                self._doomed.add(tx.hash() if isinstance(tx, Transaction) else tx)

    def late_rounds(self, rounds: int) -> None:
        """The next block is so many block times late, and the chain catches up; see the chain's."""
        self._bound().late_rounds(rounds)

    def jail(self, validator: str, *, blocks: int = 100) -> None:
        """A validator is jailed for that many blocks, as if it had missed too many of its own."""
        self._bound().jail(validator, blocks)

    # --- the answers ------------------------------------------------------------------------------

    def unavailable(self, seconds: float) -> None:
        """Every answer is 503 for that long, and nothing is carried out."""
        with self._lock:
            self._unavailable_until = time.monotonic() + seconds

    def stall(self, seconds: float) -> None:
        """Requests are carried out, and their answers wait until that long from now."""
        with self._lock:
            self._stalled_until = time.monotonic() + seconds

    def syncing(self, seconds: float) -> None:
        """The node has no block yet for that long: /status says height -1. See Node."""
        with self._lock:
            self._syncing_until = time.monotonic() + seconds

    def lie(
        self, kind: Lie | str, *, times: int | None = None, path: str = "", value: Any = None
    ) -> None:
        """Falsify answers: the next `times` that have something to falsify (None: all).

        Only answers to paths that begin with `path`. `value`: what is said, for the kinds that take
        one. Lies of several kinds are told at once; one of the same kind replaces the last. Raises
        InvalidData for an unknown kind, or one that needs a value and has none.
        """
        try:
            telling = Telling(Lie(kind), times, path, value)
        except ValueError:
            raise InvalidData(f"unknown lie {kind!r}: there are {', '.join(Lie)}") from None
        with self._lock:
            self._lies[telling.kind] = telling

    def forge(self, txs: Iterable[Transaction] = (), *, depth: int = 0) -> Block:
        """Serve from now on a forged block with `txs`, and let what is served grow on it.

        The first one stands on the block `depth` below the true tip, each further one on the one
        before; see Forgery. Signatures of `txs` and their fitness are not looked at. `clear` ends it.
        """
        with self._lock:
            if self._forgery is None:
                self._forgery = Forgery(self._bound(), depth)
            return self._forgery.add(tuple(txs))

    def clear(self) -> None:
        """All switches off. What was forgotten or rolled back stays so."""
        with self._lock:
            self._doomed.clear()
            self._doom_all = False
            self._unavailable_until = self._stalled_until = self._syncing_until = 0.0
            self._lies.clear()
            self._forgery = None
        if self._chain is not None:
            self._chain.hold(0)

    # --- what the server asks ---------------------------------------------------------------------

    def is_unavailable(self) -> bool:
        """Whether to answer 503 now."""
        with self._lock:
            return time.monotonic() < self._unavailable_until

    def is_stalled(self) -> bool:
        """Whether answers wait now."""
        with self._lock:
            return time.monotonic() < self._stalled_until

    def is_syncing(self) -> bool:
        """Whether the node has no block now."""
        with self._lock:
            return time.monotonic() < self._syncing_until

    def lies_for(self, path: str) -> list[Telling]:
        """The lies that may concern an answer to `path`; `lied` counts those that were told."""
        with self._lock:
            return [telling for telling in self._lies.values() if telling.concerns(path)]

    def lied(self, telling: Telling) -> None:
        """This lie was told once."""
        with self._lock:
            if telling.times:
                telling.times -= 1

    def value_told(self, kind: Lie, path: str) -> Any:
        """What is to be said of this kind to `path`, counted as told; None: the truth."""
        for telling in self.lies_for(path):
            if telling.kind is kind:
                self.lied(telling)
                return True if telling.value is None else telling.value
        return None

    @property
    def forgery(self) -> Forgery | None:
        """The forged chain that is served instead of the true one."""
        with self._lock:
            return self._forgery

    def followed_redirect(self) -> None:
        """Somebody went where a redirect led."""
        with self._lock:
            self._redirects_followed += 1

    @property
    def redirects_followed(self) -> int:
        """How often somebody went where a redirect led; a careful client never does."""
        with self._lock:
            return self._redirects_followed

    def _drops(self, tx_hash: str) -> bool:
        with self._lock:
            return self._doom_all or tx_hash in self._doomed

    def _bound(self) -> Chain:
        if self._chain is None:
            raise InvalidData("these faults belong to no devnet yet")
        return self._chain
