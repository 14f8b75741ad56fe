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
    needed, known = 0, set(leaves)
    for size in level_sizes(leaf_count)[:-1]:
        missing = {position ^ 1 for position in known} - known
        needed += len(missing) - (size in missing)  # an odd last node has none
        known = {position >> 1 for position in known}
    if len(siblings) != DIGEST_BYTES * needed:
        raise InvalidProof(
            ngettext(
                "there is {count} byte of siblings where {needed} are needed",
                "there are {count} bytes of siblings where {needed} are needed",
                len(siblings),
            ).format(count=len(siblings), needed=DIGEST_BYTES * needed)
        )


def root_from_leaves(leaf_count: int, digests: Mapping[int, bytes], siblings: bytes) -> bytes:
    """Return the root, 32 bytes, that opened leaves and their siblings give.

    `digests`: those of one leaf or more, by position. `siblings`: exactly the digests that
    `sibling_places` lists, joined; the caller has checked that (`check_siblings_length`).
    """
    # One loop without calls of its own: for each task that is checked it hashes hundreds of nodes.
    known = {position: digests[position] for position in sorted(digests)}
    start, at = started(NODE_TAG).copy, 0
    for size in level_sizes(leaf_count)[:-1]:
        parents: dict[int, bytes] = {}
        for position, node in known.items():
            other = position ^ 1
            if other in known:
                if other < position:
                    continue  # hashed with it
                pair = node + known[other]
            elif other < size:
                sibling = siblings[at : at + DIGEST_BYTES]
                at += DIGEST_BYTES
                pair = sibling + node if other < position else node + sibling
            else:
                parents[position >> 1] = node
                continue
            parent = start()
            parent.update(pair)
            parents[position >> 1] = parent.digest()
        known = parents
    return known[0]
