"""The hash of a chain's first block: it tells apart two chains of the same chain id.

genesis_hash(NodeClient(["http://localhost:8000"]))
"""

from node_client.errors import NotFound
from node_client.rpc import NodeClient


def genesis_hash(client: NodeClient) -> str:
    """Hash of the first block that the node has: 0, or 1 where it begins there; else "unknown"."""
    for height in (0, 1):
        try:
            return client.block(height).hash()
        except NotFound:
            continue
    return "unknown"
