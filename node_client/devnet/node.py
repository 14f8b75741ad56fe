"""One node: what its routes answer about the chain that it shares with the others.

    node = Node(chain, Faults())
    node.status()

Blocks, accounts and mempool are the chain's, as if gossip took no time: a transaction that one node
received waits at all of them, and a block is everywhere at once. A node's own are the receipts of
what it received itself, and its faults.

While it is syncing it has no block: height -1, the accounts of genesis, 404 for every block. What it is
sent it passes on all the same (a guess: the real node was not asked).
"""

import math
import threading
from functools import partial
from typing import Any

from node_client.block import Block
from node_client.devnet.chain import GENESIS_PREV_HASH, Chain
from node_client.devnet.faults import Faults
from node_client.devnet.lies import Lie
from node_client.devnet.state import AccountState
from node_client.transaction import Transaction


class Node:
    """What one node says of the chain. Usable from any thread."""

    def __init__(self, chain: Chain, faults: Faults) -> None:
        """`faults` are this node's alone, but for those that are the chain's: see Faults."""
        self.chain = chain
        self.faults = faults
        self._lock = threading.Lock()
        self._received: dict[str, int] = {}  # by transaction hash, whole seconds

    def status(self) -> dict[str, Any]:
        """Return the body of GET /status."""
        status = self.chain.status()
        if self.faults.is_syncing():
            return status | {"height": -1, "last_hash": GENESIS_PREV_HASH, "epoch": 0}
        if (tip := self._false_tip("/status")) is not None:
            status |= {"height": tip.height, "last_hash": tip.hash()}
        return status

    def block(self, height: int) -> Block | None:
        """Return the block at `height`, None where there is none."""
        if self.faults.is_syncing():
            return None
        tip = self._false_tip(f"/block/{height}")
        if tip is not None and height > tip.height:
            return None
        forgery = self.faults.forgery
        return forgery.block(height) if forgery is not None else self.chain.block(height)

    def account(self, address: str) -> AccountState:
        """Return the confirmed account; an empty one for any address that is unknown."""
        if self.faults.is_syncing():
            return self.chain.account_at_genesis(address)
        return self.chain.account(address)

    def pending_nonce(self, address: str) -> int:
        """Return the next free nonce, waiting transactions counted in, gaps first."""
        if self.faults.is_syncing():
            return self.chain.account_at_genesis(address).nonce
        return self.chain.pending_nonce(address)

    def send(self, tx: Transaction) -> str | None:
        """Offer `tx` to the mempool: None where it is received, or the node's words of refusal.

        Raises InvalidTransaction where the node would answer 400.
        """
        told = partial(self.faults.value_told, path="/tx/send")
        if (reason := told(Lie.REFUSAL)) is not None:
            return str(reason)
        if (least := told(Lie.LEAST_PRICE)) is not None and tx.gas_price < least:
            return f"gas_price {tx.gas_price} < min {least}"
        refusal = None if told(Lie.NOTHING_KEPT) else self.chain.send(tx)
        if refusal is None:
            with self._lock:
                self._received.setdefault(tx.hash(), math.floor(self.chain.clock()))
        return refusal

    def receipt(self, tx_hash: str) -> dict[str, Any] | None:
        """Return the body of GET /tx/HASH/receipt, None for a transaction that is unknown.

        `pending` for ever on the node that received it; on every other node, and after a restart,
        `confirmed` once a block holds it. `timestamp` of the latter is that of the answer, as in the
        node's published source (rpc/api.py makes the receipt when it is asked for).
        """
        with self._lock:
            received = self._received.get(tx_hash)
        height = None if received is not None else self.chain.height_of(tx_hash)
        if received is None and height is None:
            return None
        return {
            "tx_hash": tx_hash,
            "status": "pending" if height is None else "confirmed",
            "block_height": height,
            "timestamp": math.floor(self.chain.clock()) if received is None else received,
            "error": None,
        }

    def restart(self) -> None:
        """Forget what a process has in its memory alone: the receipts."""
        with self._lock:
            self._received.clear()

    def _false_tip(self, path: str) -> Block | None:
        """The tip that this node claims to have; None for the true one."""
        forgery = self.faults.forgery
        tip = None if forgery is None else forgery.tip()
        if (behind := self.faults.value_told(Lie.BEHIND, path)) is not None:
            top = self.chain.height if tip is None else tip.height
            height = max(0, top - behind)
            return self.chain.block(height) if forgery is None else forgery.block(height)
        return tip
