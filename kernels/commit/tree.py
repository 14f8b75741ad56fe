"""The tree's form, without its hashes: sizes, siblings, and the way from opened leaves to the root.

Level 0 are the leaves; a level of m nodes has ceil(m / 2) parents, an odd last node moves up
unchanged (RFC 6962's form). A place is a (level, position).

>>> level_sizes(5)
[5, 3, 2, 1]
>>> sibling_places(5, [2])
[(0, 3), (1, 0), (2, 1)]
"""

from collections.abc import Collection, Mapping, Sequence
from gettext import gettext as _
from gettext import ngettext

from kernels.digest import DIGEST_BYTES, NODE_TAG, started
from kernels.errors import InvalidProof


def level_sizes(leaf_count: int) -> list[int]:
    """Return how many nodes each level has, from the leaves up to the root."""
    sizes = [leaf_count]
    while sizes[-1] > 1:
        sizes.append((sizes[-1] + 1) // 2)
    return sizes


def check_leaf_positions(leaf_count: int, leaves: Sequence[int]) -> None:
    """Raise InvalidProof unless these are distinct leaves of a tree of that many."""
    if any(not 0 <= leaf < leaf_count for leaf in leaves):
        raise InvalidProof(
            _("an opened leaf is out of range: there are {leaf_count}").format(
                leaf_count=leaf_count
            )
        )
    if len(set(leaves)) != len(leaves):
        raise InvalidProof(_("a leaf is opened twice"))


def sibling_places(leaf_count: int, leaves: Collection[int]) -> list[tuple[int, int]]:
    """Return the places of the nodes that an opening of these leaves needs, in the proof's order."""
    places: list[tuple[int, int]] = []
    known = set(leaves)
    for level, size in enumerate(level_sizes(leaf_count)[:-1]):
        siblings = {position ^ 1 for position in known} - known
        places += [(level, sibling) for sibling in sorted(siblings) if sibling < size]
        known = {position // 2 for position in known}
    return places


def check_siblings_length(leaf_count: int, leaves: Collection[int], siblings: bytes) -> None:
    """Raise InvalidProof unless there are as many siblings as an opening of these leaves needs."""
    needed = DIGEST_BYTES * len(sibling_places(leaf_count, leaves))
    if len(siblings) != needed:
        raise InvalidProof(
            ngettext(
                "there is {count} byte of siblings where {needed} are needed",
                "there are {count} bytes of siblings where {needed} are needed",
                len(siblings),
            ).format(count=len(siblings), needed=needed)
        )


def root_from_leaves(leaf_count: int, digests: Mapping[int, bytes], siblings: bytes) -> bytes:
    """Return the root, 32 bytes, that opened leaves and their siblings give.

    `digests`: those of one leaf or more, by position. `siblings`: exactly the digests that
    `sibling_places` lists, joined; the caller has checked that (`check_siblings_length`).
    """
    known = dict(digests)
    rest = (siblings[i : i + DIGEST_BYTES] for i in range(0, len(siblings), DIGEST_BYTES))
    for size in level_sizes(leaf_count)[:-1]:
        parents: dict[int, bytes] = {}
        for position in sorted(known):
            sibling = position ^ 1
            if sibling >= size:
                parents[position // 2] = known[position]
            elif sibling not in known:
                parents[position // 2] = _parent(position, known[position], next(rest))
            elif sibling > position:
                parents[position // 2] = _parent(position, known[position], known[sibling])
        known = parents
    return known[0]


def _parent(position: int, node: bytes, sibling: bytes) -> bytes:
    """The parent of a node at an even or odd position and of its sibling."""
    parent = started(NODE_TAG).copy()
    parent.update(sibling + node if position % 2 else node + sibling)
    return parent.digest()
