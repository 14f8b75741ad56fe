"""Which nonces of an account are spent: proven by its own signatures, not by what a node says.

    walk = NonceWalk(address, tip.height, tip.last_hash)
    while (proof := walk.proof) is None:
        walk.step([client.block(walk.next_height)])        # in turns of any size, from any thread
    proof.first_unspent, walk.searched

`GET /nonce` is a claim. A client that signs at a nonce that a liar made up signs a text whose digits
may read differently at a nonce that is free (`ambiguity.py`). So "every nonce below N is spent" is
believed on one of these grounds only:

* block: a block, linked by `prev_hash` to a tip whose hash was given, holds a transaction of the
  account's with a fitting signature at nonce N - 1. Nonces are consecutive: it spends all below, too.
* nodes: two nodes each say at least N (`agreed_nonce`).
* ledger: the engine's own ledger has seen it in such a block before.
* operator: a person said so.

A nonce up to `BEYOND_PROOF` above what is proven may be used, since transactions that wait in a
mempool have nonces of their own; `check_claim` refuses one that is further away. One liar alone can
put into a forged block only what the account's key has signed once.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from gettext import gettext as _
from gettext import ngettext
from typing import Literal

from node_client.block import Block
from node_client.errors import (
    BadResponse,
    NotFound,
    UnprovenNonce,
)
from node_client.networks import MAX_QUEUED_NONCES
from node_client.rpc import NodeClient
from node_client.transaction import Transaction

BEYOND_PROOF = MAX_QUEUED_NONCES
"""A node queues at most so many nonces of an account, so an honest claim is not further away."""

MOST_BLOCKS = 20_000
"""Blocks that one walk reads: more than a day of a devnet, two weeks of the mainnet; minutes."""

_RESTARTS = 3
_PROGRESS_EVERY = 256

Source = Literal["nothing", "block", "nodes", "ledger", "operator"]


@dataclass(frozen=True, slots=True)
class NonceProof:
    """Every nonce below `first_unspent` is spent. `height`: of the block that shows it."""

    first_unspent: int
    source: Source
    height: int | None = None


NOTHING = NonceProof(0, "nothing")


class NonceWalk:
    """Search blocks from a tip downwards for the account's last transaction.

    Bounded whatever the node says: one block a step, `most` blocks in all, and only a block whose
    hash the block above it names is looked into.
    """

    def __init__(
        self,
        address: str,
        tip_height: int,
        tip_hash: str,
        *,
        most: int = MOST_BLOCKS,
        made_here: frozenset[str] = frozenset(),
    ) -> None:
        """`made_here`: signatures that prove nothing, as a node's word may have chosen their nonces."""
        self.searched = 0
        """Blocks looked into so far."""
        self.proof: NonceProof | None = None
        """The proof, as soon as there is one. An account that no block knows has NOTHING spent."""
        self._address = address
        self._height = tip_height
        self._hash = tip_hash
        self._most = most
        self._made_here = made_here

    @property
    def next_height(self) -> int:
        """Height of the block that `step` wants next."""
        return self._height

    @property
    def exhausted(self) -> bool:
        """Whether `most` blocks were read without finding a proof."""
        return self.proof is None and self.searched >= self._most

    def step(self, blocks: Iterable[Block]) -> NonceProof | None:
        """Look into blocks, from `next_height` downwards; return the proof once there is one.

        Raises BadResponse for a block that is not the parent of the one before it (it was rolled
        back in between, or the node lies): begin again from a new tip.
        """
        for block in blocks:
            if self.proof is not None or self.exhausted:
                break
            if block.height != self._height or block.hash() != self._hash:
                raise BadResponse(
                    _("block {height} is not the parent of the block above it").format(
                        height=self._height
                    )
                )
            self.searched += 1
            own = own_transactions(block, self._address)
            nonces = [tx.nonce for tx in own if tx.signature not in self._made_here]
            if nonces:
                self.proof = NonceProof(max(nonces) + 1, "block", block.height)
            elif block.height == 0:
                self.proof = NOTHING
            self._height -= 1
            self._hash = block.header.prev_hash
        return self.proof

    def end_of_chain(self) -> None:
        """Say that the chain has no block at `next_height`, its first one was looked into."""
        self.proof = self.proof or NOTHING


def own_transactions(block: Block, address: str) -> Iterator[Transaction]:
    """Yield the account's transactions in a block: those that its own key has signed.

    A node can put any `from_address` into a block that it makes up, or a signature of ours under
    numbers that it fits as well (`ambiguity`): only those count with which the chain would take it.
    """
    for tx in block.txs:
        if (own := tx.own(address)) is not None and (
            own.gas_price > 0
            and own.gas_limit >= own.base_gas
            and own.fee >= own.base_gas * own.gas_price
        ):
            yield own


def agreed_nonce(claims: Mapping[str, int]) -> int | None:
    """Return the highest nonce that two nodes, by name, say at least; None where one answered."""
    return sorted(claims.values())[-2] if len(claims) > 1 else None


def check_claim(claimed: int, proof: NonceProof) -> int:
    """Return `claimed`. Raises UnprovenNonce where it is further beyond the proof than BEYOND_PROOF."""
    if claimed <= proof.first_unspent + BEYOND_PROOF:
        return claimed
    raise UnprovenNonce(
        _(
            "the node says that the next nonce is {claimed}, and the blocks show only that those"
            " below {proven} are spent"
        ).format(claimed=claimed, proven=proof.first_unspent)
    )


def prove_nonce(
    client: NodeClient,
    address: str,
    claimed: int,
    *,
    known: NonceProof = NOTHING,
    tell: Callable[[str], None] = lambda _line: None,
    most: int = MOST_BLOCKS,
    made_here: frozenset[str] = frozenset(),
) -> NonceProof:
    """Return a proof for `claimed`, or the best there is: ask the other nodes, then read blocks.

    `known`: what was proven before. `tell` gets a line when blocks are read, and now and then while
    they are. Raises NodeError, and UnprovenNonce where `most` blocks show nothing.
    """
    if known.first_unspent >= claimed:
        return known
    agreed = agreed_nonce(client.each_nonce(address, pending=False))
    if agreed is not None:
        known = max(known, NonceProof(agreed, "nodes"), key=lambda proof: proof.first_unspent)
        if agreed >= claimed:
            return known
    tell(
        _("Reading blocks for this account's last transaction, since one node's word is no proof.")
    )
    for restart in range(_RESTARTS):
        try:
            found = _walk_down(client, address, tell, most, made_here)
            return max(known, found, key=lambda proof: proof.first_unspent)
        except BadResponse:
            if restart == _RESTARTS - 1:
                raise
    raise AssertionError("unreachable")


def settle_claim(
    client: NodeClient,
    address: str,
    claimed: int,
    confirmed: int,
    proof: NonceProof,
    tell: Callable[[str], None] = lambda _line: None,
    made_here: frozenset[str] = frozenset(),
) -> tuple[int, NonceProof]:
    """Return the nonce to sign with, for what a node claims is the next, and the best proof.

    `confirmed`: what it claims without the mempool. Proof is looked for only where the claim is too
    far beyond `proof`; where it then still is, what two nodes agree on is taken instead. Raises
    UnprovenNonce and NodeError.
    """
    claimed = max(claimed, confirmed)
    if claimed > proof.first_unspent + BEYOND_PROOF:
        proof = prove_nonce(client, address, confirmed, known=proof, tell=tell, made_here=made_here)
        try:
            check_claim(claimed, proof)
        except UnprovenNonce as error:
            agreed = agreed_nonce(client.each_nonce(address))
            if agreed is None or agreed >= claimed:
                raise
            tell(_("{error}; the other nodes say {agreed}").format(error=error, agreed=agreed))
            claimed = check_claim(agreed, proof)
    return max(claimed, proof.first_unspent), proof


def _walk_down(
    client: NodeClient,
    address: str,
    tell: Callable[[str], None],
    most: int,
    made_here: frozenset[str],
) -> NonceProof:
    tip = client.status()
    walk = NonceWalk(address, tip.height, tip.last_hash, most=most, made_here=made_here)
    while walk.proof is None:
        if walk.exhausted:
            raise UnprovenNonce(
                ngettext(
                    "{n} block holds no transaction of {address}",
                    "{n} blocks hold no transaction of {address}",
                    most,
                ).format(n=most, address=address)
            )
        try:
            block = client.block(walk.next_height)
        except NotFound:
            if walk.searched == 0 or walk.next_height != 0:
                raise
            walk.end_of_chain()  # its first block is number 1
        else:
            walk.step([block])
        if walk.searched % _PROGRESS_EVERY == 0:
            tell(
                ngettext("{n} block read", "{n} blocks read", walk.searched).format(n=walk.searched)
            )
    return walk.proof
