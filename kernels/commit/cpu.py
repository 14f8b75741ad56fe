"""Leaves and nodes with the many-lane SHA-256 of `sha256.py`, one thread; it lets go of the GIL."""

import numpy as np

from kernels.commit import Digests, Matrix
from kernels.commit.sha256 import hash_many, state_after_prefix
from kernels.digest import LEAF_TAG, NODE_TAG
from kernels.task import LEAF_BYTES


def hash_leaves(R: Matrix, out: Digests) -> None:
    """Fill `out` with the digests of the leaves of whole rows R, m x n and contiguous."""
    m, n = R.shape
    data = R.reshape(-1).view(np.uint8)
    state = state_after_prefix(LEAF_TAG)
    digests = out.reshape(m, -1, 32)
    # One position in the row at a time: all the leaves that are hashed together have one length.
    for part in range(digests.shape[1]):
        first = part * LEAF_BYTES
        hash_many(state, data[first:], n, min(LEAF_BYTES, n - first), digests, part)


def hash_level(nodes: Digests, out: Digests) -> None:
    """Fill `out`, ceil(m / 2) digests, with the parents of m nodes; an odd last one moves up."""
    pairs = len(nodes) // 2
    parents = out[:pairs].reshape(pairs, 1, 32)
    hash_many(state_after_prefix(NODE_TAG), nodes.reshape(-1), 64, 64, parents, 0)
    if len(nodes) % 2:
        out[-1] = nodes[-1]
