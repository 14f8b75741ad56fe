"""The proof (section 5 of the specification): lower-case hex of

    0x01 || le32(n) || le32(iterations) || le32(k) || siblings

for k leaves that the root itself draws. What a proof is worth, and what it is not, is told in the
specification: with k = 16 it finds honest mistakes, not a cheat who tries often enough.
"""

import re
import struct
from collections.abc import Sequence
from gettext import gettext as _
from typing import NamedTuple

from kernels.commit.tree import level_sizes, sibling_places
from kernels.digest import DIGEST_BYTES, OPENING_TAG, tagged_hash
from kernels.errors import InvalidProof
from kernels.task import MAX_OPENINGS, Task

VERSION = 1
HEADER = struct.Struct("<BIII")
_LOWER_HEX = re.compile(r"[0-9a-f]*")


class Opening(NamedTuple):
    """Leaves in the order drawn, and the siblings that lead from them to the root."""

    leaves: tuple[int, ...]
    siblings: bytes


def most_openings(task: Task) -> int:
    """The most leaves that a proof may open."""
    return min(task.leaf_count, MAX_OPENINGS)


def draw_openings(root: bytes, task: Task, k: int) -> tuple[int, ...]:
    """The k distinct leaves that a 32-byte root draws, in the order drawn.

    Raises InvalidProof where k is out of range.
    """
    _check_openings(task, k)
    leaves: dict[int, None] = {}
    start = root + task.seed + struct.pack("<II", task.n, task.iterations)
    j = 0
    while len(leaves) < k:
        digest = tagged_hash(OPENING_TAG, start + struct.pack("<I", j))
        leaves[int.from_bytes(digest[:8], "little") % task.leaf_count] = None
        j += 1
    return tuple(leaves)


def encode_proof(task: Task, k: int, siblings: bytes) -> str:
    """A proof's hex."""
    return (HEADER.pack(VERSION, task.n, task.iterations, k) + siblings).hex()


def parse_proof(task: Task, root: bytes, proof: str, *, least_openings: int) -> Opening:
    """Leaves and siblings of a well-formed proof; whether they give the root is not looked at.

    `least_openings` is the verifier's own; where the tree has fewer leaves, all of them are enough.
    Raises InvalidProof, before anything that costs more than the drawing of the leaves.
    """
    if len(root) != DIGEST_BYTES:
        raise InvalidProof(_("a root is 32 bytes"))
    # The longest text that can be right is known before the text is looked at.
    levels = len(level_sizes(task.leaf_count)) - 1
    longest = HEADER.size + most_openings(task) * levels * DIGEST_BYTES
    if not isinstance(proof, str) or len(proof) > 2 * longest:
        raise InvalidProof(_("the proof is no text, or too long for any number of openings"))
    if len(proof) % 2 or not _LOWER_HEX.fullmatch(proof):
        raise InvalidProof(_("a proof is lower-case hexadecimal, two digits a byte"))
    raw = bytes.fromhex(proof)
    if len(raw) < HEADER.size:
        raise InvalidProof(_("the proof ends within its header"))
    version, n, iterations, k = HEADER.unpack_from(raw)
    if version != VERSION:
        raise InvalidProof(
            _("the proof's version is {version}, not {VERSION}").format(
                version=version, VERSION=VERSION
            )
        )
    if (n, iterations) != (task.n, task.iterations):
        raise InvalidProof(
            _(
                "the proof is for size {n} and {iterations} iterations, the task has {size}"
                " and {times}"
            ).format(n=n, iterations=iterations, size=task.n, times=task.iterations)
        )
    _check_openings(task, k)
    if k < min(least_openings, task.leaf_count):
        raise InvalidProof(
            _("the proof opens {k} leaves, and at least {least_openings} are asked").format(
                k=k, least_openings=least_openings
            )
        )
    leaves, siblings = draw_openings(root, task, k), raw[HEADER.size :]
    check_siblings_length(task, leaves, siblings)
    return Opening(leaves, siblings)


def check_siblings_length(task: Task, leaves: Sequence[int], siblings: bytes) -> None:
    """Raise InvalidProof unless there are as many siblings as these leaves need."""
    needed = sum(1 for _ in sibling_places(task.leaf_count, leaves)) * DIGEST_BYTES
    if len(siblings) != needed:
        raise InvalidProof(
            _("there are {count} bytes of siblings where {needed} are needed").format(
                count=len(siblings), needed=needed
            )
        )


def _check_openings(task: Task, k: int) -> None:
    if not 0 <= k <= most_openings(task):
        raise InvalidProof(
            _("{k} openings are out of range: it must be 0 to {most}").format(
                k=k, most=most_openings(task)
            )
        )
