"""Blocks: placed by their header, and compared with the transactions that the node serves.

    block = Block.read(answer_of_the_node)
    if block.fault:  # the body cannot be read, or is not what the header's roots cover
        ...

A block stands on the chain by its header alone (hash, link, proposer's signature). Its body may hold
what this program, or the node itself, cannot hash: a stranger's payload with an infinite number is
served as null, and then no root fits. That is a fault of the block, not a reason to stop reading.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from gettext import gettext as _
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, StrictStr

from node_client.address import VALIDATOR_PREFIX, address_from_public_key
from node_client.block_transaction import BlockTransaction
from node_client.errors import InvalidTransaction
from node_client.keys import recovered_public_keys
from node_client.merkle import merkle_root
from node_client.responses import Counter, Hash, Word

EMPTY_TX_ROOT = "0" * 64
EMPTY_COMPUTE_ROOT = ""
MOST_TRANSACTIONS = 5_000
"""The most that any network takes into a block (mainnet's limit)."""

ChainId = Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""What every known chain has; it is shown, compared, and a part of file names."""


class BlockHeader(BaseModel):
    """A block's header. `timestamp` in whole seconds of Unix time."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    height: Counter
    prev_hash: Word
    timestamp: Counter
    chain_id: ChainId
    proposer_address: Word
    round: Counter
    tx_root: Hash
    state_root: Word
    compute_root: Word
    gas_used: Counter
    gas_limit: Counter

    def hash(self) -> str:
        """Return the SHA-256 (hex) of the joined fields; the RPC does not send it."""
        text = (
            f"{self.height}{self.prev_hash}{self.timestamp}{self.chain_id}{self.proposer_address}"
            f"{self.round}{self.tx_root}{self.state_root}{self.compute_root}"
            f"{self.gas_used}{self.gas_limit}"
        )
        return hashlib.sha256(text.encode()).hexdigest()


class _Headed(BaseModel):
    header: BlockHeader


@dataclass(frozen=True)
class Block:
    """A header, and its transactions in order as the node serves them.

    `fault` is a sentence on why the transactions cannot be read or do not fit the header's roots,
    "" where they do; they may be a part of the block's then. `pq_signature` is None where it was not
    reached. `served` is the node's JSON object, for printing.
    """

    header: BlockHeader
    txs: tuple[BlockTransaction, ...] = ()
    pq_signature: str | None = ""
    fault: str = ""
    served: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def read(cls, served: Any, *, unread: str = "") -> Self:
        """Read the node's JSON. Raises ValueError where the header cannot be read.

        `unread`: why `served` is not all that the node has of it, a part of a sentence.
        """
        header = _Headed.model_validate(served).header
        signature, txs = served.get("pq_signature"), served.get("txs")
        if not isinstance(signature, str):
            signature = None if unread else ""
        block = cls(header, pq_signature=signature, served=served)
        if unread and not isinstance(txs, list):
            return replace(block, fault=block.at_fault(unread))
        if not isinstance(txs, list) or len(txs) > MOST_TRANSACTIONS:
            wrong = _("it has no list of at most {most} transactions")
            return replace(block, fault=block.at_fault(wrong.format(most=MOST_TRANSACTIONS)))
        block = replace(block, txs=tuple(BlockTransaction(tx) for tx in txs))
        return replace(block, fault=block.at_fault(unread) if unread else _fault_of(block))

    @property
    def height(self) -> int:
        """The header's height."""
        return self.header.height

    def hash(self) -> str:
        """Return the block's hash, 64 hex digits."""
        return self.header.hash()

    def at_fault(self, why: str) -> str:
        """Return the sentence that names this block and what is wrong with it."""
        return _("block {height}: {error}").format(height=self.height, error=why)

    def signature_fits(self) -> bool:
        """Return whether the signature over the hash belongs to the proposer's address.

        The block carries no public key, so it is recovered from the signature (seen to hold for
        every block in `tests/vectors/blocks.json`; NODE.md does not state it).
        """
        keys = recovered_public_keys(bytes.fromhex(self.hash()), self.pq_signature or "")
        proposer = self.header.proposer_address
        return any(address_from_public_key(key, VALIDATOR_PREFIX) == proposer for key in keys)


def tx_root(txs: Sequence[BlockTransaction]) -> str:
    """Return the Merkle root of transactions. Raises InvalidTransaction for one without a hash."""
    leaves: list[bytes] = []
    for index, tx in enumerate(txs):
        digest = tx.digest()
        if digest is None:
            raise InvalidTransaction(_("transaction {index} cannot be hashed").format(index=index))
        leaves.append(digest)
    root = merkle_root(leaves)
    return EMPTY_TX_ROOT if root is None else root.hex()


def compute_root(txs: Sequence[BlockTransaction]) -> str:
    """Return the Merkle root of the results among these transactions, "" without results.

    Raises InvalidTransaction for one whose payload is not a result.
    """
    leaves = [bytes.fromhex(tx.compute_result().hash()) for tx in txs if tx.is_result]
    root = merkle_root(leaves)
    return EMPTY_COMPUTE_ROOT if root is None else root.hex()


def _fault_of(block: Block) -> str:
    """Return why the transactions are not what the header's roots cover, "" where they are."""
    try:
        if tx_root(block.txs) != block.header.tx_root:
            return block.at_fault(_("tx_root does not fit its transactions"))
        if compute_root(block.txs) != block.header.compute_root:
            return block.at_fault(_("compute_root does not fit its results"))
    except InvalidTransaction as error:
        return block.at_fault(str(error))
    return ""
