"""The tree's form against RFC 6962's recursion, for every number of leaves from 1 to 300."""

import hashlib
import random

import numpy as np
import pytest

from kernels.commit.tree import (
    check_leaf_positions,
    level_sizes,
    root_from_leaves,
    sibling_places,
)
from kernels.errors import InvalidProof
from tests.kernels import oracle

LEAVES = [hashlib.sha256(bytes([i % 256, i // 256])).digest() for i in range(300)]


def levels_of(fast, nodes: list[bytes]) -> list[np.ndarray]:
    levels = [np.frombuffer(b"".join(nodes), np.uint8).reshape(-1, 32)]
    for size in level_sizes(len(nodes))[1:]:
        levels.append(np.empty((size, 32), np.uint8))
        fast.hash_level(levels[-2], levels[-1])
    return levels


@pytest.mark.parametrize("count", range(1, 301))
def test_root_and_random_openings(fast, count):
    nodes = LEAVES[:count]
    levels = levels_of(fast, nodes)
    top = levels[-1].tobytes()
    assert top == oracle.root(nodes)
    rng = random.Random(count)
    for k in {1, min(2, count), rng.randint(1, count), count}:
        opened = rng.sample(range(count), k)
        places = list(sibling_places(count, opened))
        siblings = b"".join(levels[level][position].tobytes() for level, position in places)
        assert siblings == oracle.siblings(nodes, set(opened))
        assert root_from_leaves(count, {i: nodes[i] for i in opened}, siblings) == top


def test_nothing_opened_needs_nothing():
    assert list(sibling_places(100, [])) == []


@pytest.mark.parametrize("leaves", [[-1], [10], [0, 10], [3, 3]])
def test_positions_refused(leaves):
    with pytest.raises(InvalidProof):
        check_leaf_positions(10, leaves)
