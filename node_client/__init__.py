"""The chain's side of cpc-engine: keys, transactions, blocks, the RPC client and a devnet.

Nothing in here knows a kernel, and nothing in here imports numba.
"""

from node_client.address import address_from_public_key, check_address, is_address
from node_client.block import Block, BlockHeader
from node_client.keys import PrivateKey, verify_digest
from node_client.transaction import ComputeResult, Transaction, TxType

__all__ = [
    "Block",
    "BlockHeader",
    "ComputeResult",
    "PrivateKey",
    "Transaction",
    "TxType",
    "address_from_public_key",
    "check_address",
    "is_address",
    "verify_digest",
]
