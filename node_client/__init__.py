"""The chain's side of cpc-engine: keys, transactions, blocks, the RPC client and a devnet.

    client = NodeClient(["http://localhost:8000"])
    key = Keystore().load("worker")
    account = client.balance(key.address)
    draft = Transaction(tx_type=TxType.TRANSFER, from_address=key.address, ...)
    client.send(sign_safely(draft, key, first_unspent=account.nonce, min_gas_price=1_000))

Nothing in here knows a kernel, and nothing in here imports numba.
"""

# First: a library below starts a process when it is imported, and none inherits the passphrase.
from node_client import passphrase as passphrase  # isort: skip

from node_client.address import address_from_public_key, check_address, is_address
from node_client.ambiguity import colliding_transactions, sign_safely
from node_client.block import Block, BlockHeader
from node_client.errors import NodeClientError
from node_client.keys import PrivateKey, verify_digest
from node_client.keystore import KeyInfo, Keystore
from node_client.networks import NETWORKS, Network, format_cpc, parse_cpc
from node_client.rpc import Account, NodeClient, NodeStatus, Receipt, Retries
from node_client.transaction import ComputeResult, Transaction, TxType

__all__ = [
    "NETWORKS",
    "Account",
    "Block",
    "BlockHeader",
    "ComputeResult",
    "KeyInfo",
    "Keystore",
    "Network",
    "NodeClient",
    "NodeClientError",
    "NodeStatus",
    "PrivateKey",
    "Receipt",
    "Retries",
    "Transaction",
    "TxType",
    "address_from_public_key",
    "check_address",
    "colliding_transactions",
    "format_cpc",
    "is_address",
    "parse_cpc",
    "sign_safely",
    "verify_digest",
]
