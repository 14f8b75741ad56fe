"""Leaves and nodes with hashlib, one at a time."""

import numpy as np

from kernels.commit import Digests, Matrix
from kernels.digest import LEAF_TAG, NODE_TAG, tagged_hash
from kernels.task import LEAF_BYTES


def hash_leaves(R: Matrix, out: Digests) -> None:
    """Fill `out` with the digests of the leaves of whole rows R, m x n, in the leaves' order."""
    leaf = 0
    for row in R:
        entries = row.tobytes()
        for first in range(0, len(entries), LEAF_BYTES):
            digest = tagged_hash(LEAF_TAG, entries[first : first + LEAF_BYTES])
            out[leaf] = np.frombuffer(digest, np.uint8)
            leaf += 1


def hash_level(nodes: Digests, out: Digests) -> None:
    """Fill `out`, ceil(m / 2) digests, with the parents of m nodes; an odd last one moves up."""
    for parent in range(len(nodes) // 2):
        digest = tagged_hash(NODE_TAG, nodes[2 * parent : 2 * parent + 2].tobytes())
        out[parent] = np.frombuffer(digest, np.uint8)
    if len(nodes) % 2:
        out[-1] = nodes[-1]
