"""Blocks: their hash and roots, computed again from what they hold.

block = Block.model_validate(answer_of_the_node)
block.check()
"""

import hashlib
from gettext import gettext as _
from typing import Annotated

from pydantic import BaseModel, ConfigDict, FailFast, Field, StrictInt, StrictStr

from node_client.address import VALIDATOR_PREFIX, address_from_public_key
from node_client.errors import InvalidBlock, InvalidTransaction
from node_client.keys import recovered_public_keys
from node_client.merkle import merkle_root
from node_client.transaction import Transaction, TxType

EMPTY_TX_ROOT = "0" * 64
EMPTY_COMPUTE_ROOT = ""

Hash = Annotated[StrictStr, Field(pattern=r"^[0-9a-f]{64}$")]
NonNegative = Annotated[StrictInt, Field(ge=0, lt=2**63)]


class BlockHeader(BaseModel):
    """A block's header. `timestamp` in whole seconds of Unix time."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    height: NonNegative
    prev_hash: StrictStr
    timestamp: NonNegative
    chain_id: StrictStr
    proposer_address: StrictStr
    round: NonNegative
    tx_root: Hash
    state_root: StrictStr
    compute_root: StrictStr
    gas_used: NonNegative
    gas_limit: NonNegative

    def hash(self) -> str:
        """Return the SHA-256 (hex) of the joined fields; the RPC does not send it."""
        text = (
            f"{self.height}{self.prev_hash}{self.timestamp}{self.chain_id}{self.proposer_address}"
            f"{self.round}{self.tx_root}{self.state_root}{self.compute_root}"
            f"{self.gas_used}{self.gas_limit}"
        )
        try:
            return hashlib.sha256(text.encode()).hexdigest()
        except UnicodeEncodeError:
            raise InvalidBlock(_("a lone surrogate stands in the block's header")) from None


class Block(BaseModel):
    """A header, its transactions in order, and the proposer's signature over the hash."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    header: BlockHeader
    # FailFast: a node may send millions of wrong ones, and each would get a report of its own.
    txs: Annotated[list[Transaction], FailFast()]
    pq_signature: StrictStr = ""
    pq_sig_scheme_id: StrictInt = 1

    @property
    def height(self) -> int:
        """The header's height."""
        return self.header.height

    def hash(self) -> str:
        """Return the block's hash, 64 hex digits."""
        return self.header.hash()

    def tx_root(self) -> str:
        """Return the Merkle root of the transactions that the block holds."""
        root = merkle_root([tx.digest() for tx in self.txs])
        return EMPTY_TX_ROOT if root is None else root.hex()

    def compute_root(self) -> str:
        """Return the Merkle root of the results that the block holds, "" without results."""
        root = merkle_root(
            [
                bytes.fromhex(tx.compute_result().hash())
                for tx in self.txs
                if tx.tx_type is TxType.SUBMIT_RESULT
            ]
        )
        return EMPTY_COMPUTE_ROOT if root is None else root.hex()

    def signature_fits(self) -> bool:
        """Return whether the signature over the hash belongs to the proposer's address.

        The block carries no public key, so it is recovered from the signature (seen to hold for
        every block in `tests/vectors/blocks.json`; NODE.md does not state it).
        """
        keys = recovered_public_keys(bytes.fromhex(self.hash()), self.pq_signature)
        proposer = self.header.proposer_address
        return any(address_from_public_key(key, VALIDATOR_PREFIX) == proposer for key in keys)

    def check(self) -> None:
        """Raise InvalidBlock unless both roots are those of the transactions."""
        try:
            if self.tx_root() != self.header.tx_root:
                raise InvalidBlock(
                    _("block {height}: tx_root does not fit its transactions").format(
                        height=self.height
                    )
                )
            if self.compute_root() != self.header.compute_root:
                raise InvalidBlock(
                    _("block {height}: compute_root does not fit its results").format(
                        height=self.height
                    )
                )
        except InvalidTransaction as error:
            raise InvalidBlock(
                _("block {height}: {error}").format(height=self.height, error=error)
            ) from error
