"""The chain's side of cpc-engine: keys, transactions, blocks, the RPC client and a devnet.

Read a block and send a transaction in five lines, here to a devnet in this process:

    >>> from node_client import NodeClient, Transaction, sign_safely
    >>> from node_client.devnet import DevnetServer
    >>> devnet = DevnetServer(block_time=0.2).start()
    >>> key, client = devnet.faucet, NodeClient([devnet.url])  # or Keystore().load("worker")
    >>> status, block = client.latest_block()
    >>> draft = Transaction(
    ...     tx_type="TRANSFER", from_address=key.address, to_address=key.address, amount=10**18,
    ...     nonce=client.nonce(key.address), gas_price=1_000, gas_limit=21_000,
    ... )
    >>> confirmed = client.balance(key.address).nonce
    >>> signed = sign_safely(draft, key, first_unspent=confirmed, min_gas_price=1_000)
    >>> client.send(signed) == signed.hash()
    True
    >>> devnet.stop()

It imports neither `kernels` nor numba. Read in this order:

    address, signatures, keys, networks  what signs, and units
    transaction, drafts, ambiguity       what is signed; signatures that fit two texts
    merkle, block_transaction, block, block_body    blocks, and what strangers put into them
    secret, keyfile, keystore, passphrase    private keys on disk
    deadline, condense, transport, responses, refusals    one HTTP exchange, bounded and read strictly
    queries, panel, failover             one question, to all nodes at once, to the one that is followed
    evidence, comparison, nodes, sending, rpc     which node is believed, or sent to; the client
    nonce_proof                          which nonces are spent, proven and not merely said
    v3                                   another network, of CometBFT nodes: balances and transfers
    wire                                 the seam between the two networks
    devnet                               a chain of one node, with faults, for tests and first steps

Every error is in the tree at the top of `errors`.
"""

# First: a library below starts a process when it is imported, and none inherits the passphrase.
from node_client import passphrase as passphrase  # isort: skip

from node_client.address import address_from_public_key, check_address, is_address
from node_client.ambiguity import colliding_transactions, sign_safely
from node_client.block import Block, BlockHeader
from node_client.block_transaction import BlockTransaction
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
    "BlockTransaction",
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
