"""A whole tree, from the digests of its leaves, hashed with hashlib.

>>> tree = DigestTree(bytes(96))                       # three leaves
>>> tree.siblings([2]) == tree.digests([(1, 0)])
True
"""

from collections.abc import Sequence
from functools import lru_cache
from gettext import gettext as _
from gettext import ngettext

from kernels.commit.tree import check_leaf_positions, sibling_places
from kernels.digest import DIGEST_BYTES, NODE_TAG, started
from kernels.errors import InvalidProof

FEW_LEAVES = 256
"""A tree of so many is sent along with its root, 8 KiB, by a device that has it in host memory."""


class DigestTree:
    """The tree over these leaves, one or more digests of 32 bytes, joined."""

    def __init__(self, leaves: bytes) -> None:
        """Raises InvalidProof for no leaf, or a part of one."""
        if not leaves or len(leaves) % DIGEST_BYTES:
            raise InvalidProof(
                ngettext(
                    "{n} byte is no digest of leaves",
                    "{n} bytes are no digests of leaves",
                    len(leaves),
                ).format(n=len(leaves))
            )
        self._levels = [leaves]
        while len(self._levels[-1]) > DIGEST_BYTES:
            self._levels.append(_parents(self._levels[-1]))

    @property
    def leaf_count(self) -> int:
        """How many leaves there are."""
        return len(self._levels[0]) // DIGEST_BYTES

    @property
    def root(self) -> bytes:
        """The tree's top, 32 bytes."""
        return self._levels[-1]

    def digests(self, places: Sequence[tuple[int, int]]) -> bytes:
        """Return the digests at these places (level, position), joined in order."""
        return b"".join(
            self._levels[level][position * DIGEST_BYTES : (position + 1) * DIGEST_BYTES]
            for level, position in places
        )

    def siblings(self, leaves: Sequence[int]) -> bytes:
        """Return the siblings of distinct leaves, in the proof's order. Raises InvalidProof."""
        check_leaf_positions(self.leaf_count, leaves)
        return self.digests(sibling_places(self.leaf_count, leaves))


@lru_cache(
    maxsize=256
)  # a result's is looked at twice: before it is believed, and when it is opened
def tree_of(leaves: bytes, leaf_count: int, root: bytes) -> DigestTree:
    """Return the tree. Raises InvalidProof where the leaves are not those of the root, or as many."""
    tree = DigestTree(leaves)
    if tree.leaf_count != leaf_count or tree.root != root:
        raise InvalidProof(_("the digests of the leaves do not lead to the root"))
    return tree


def _parents(nodes: bytes) -> bytes:
    """The digests of the next level, joined; an odd last node moves up unchanged."""
    pair, tagged = 2 * DIGEST_BYTES, started(NODE_TAG)
    paired = len(nodes) - len(nodes) % pair
    parents = []
    for at in range(0, paired, pair):
        parent = tagged.copy()
        parent.update(nodes[at : at + pair])
        parents.append(parent.digest())
    return b"".join(parents) + nodes[paired:]
