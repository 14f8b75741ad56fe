"""The proof (section 5 of the specification): lower-case hex of

    0x01 || le32(n) || le32(iterations) || le32(k) || siblings

for k leaves that the root itself draws. What a proof is worth, and what it is not, is told in the
specification: with k = 16 it finds honest mistakes, not a cheat who tries often enough.
"""

import re
import struct
from collections.abc import Sequence
from contextlib import suppress
from gettext import gettext as _
from gettext import ngettext
from typing import NamedTuple

from kernels.commit.tree import check_leaf_positions, check_siblings_length
from kernels.digest import DIGEST_BYTES, OPENING_TAG, started
from kernels.errors import InvalidProof
from kernels.task import MAX_OPENINGS, Task

VERSION = 1
HEADER = struct.Struct("<BIII")
_LOWER_HEX = re.compile(r"[0-9a-f]*")


class Opening(NamedTuple):
    """Leaves in the order drawn, and the siblings that lead from them to the root."""

    leaves: Sequence[int]
    siblings: bytes


def most_openings(task: Task) -> int:
    """Return how many leaves a proof may open at most."""
    return min(task.leaf_count, MAX_OPENINGS)


def draw_openings(root: bytes, task: Task, k: int) -> tuple[int, ...]:
    """Return the k distinct leaves that a 32-byte root draws, in the order drawn.

    Raises InvalidProof where k is out of range.
    """
    leaf_count = task.leaf_count
    most = min(leaf_count, MAX_OPENINGS)
    if not 0 <= k <= most:
        raise InvalidProof(
            ngettext(
                "{k} opening is out of range: it must be 0 to {most}",
                "{k} openings are out of range: it must be 0 to {most}",
                k,
            ).format(k=k, most=most)
        )
    start = started(OPENING_TAG).copy()
    start.update(root + task.seed + struct.pack("<II", task.n, task.iterations))
    leaves: dict[int, None] = {}
    j = 0
    while len(leaves) < k:
        draw = start.copy()
        draw.update(j.to_bytes(4, "little"))
        leaves[int.from_bytes(draw.digest()[:8], "little") % leaf_count] = None
        j += 1
    return tuple(leaves)


def encode_proof(task: Task, k: int, siblings: bytes) -> str:
    """Return the proof in hex. `siblings`: 32-byte digests, joined."""
    return (HEADER.pack(VERSION, task.n, task.iterations, k) + siblings).hex()


def longest_proof(task: Task, k: int) -> int:
    """Return how many characters the proof with k openings has at most."""
    leaf_count = task.leaf_count
    levels = (leaf_count - 1).bit_length()
    return 2 * (HEADER.size + min(k, leaf_count, MAX_OPENINGS) * levels * DIGEST_BYTES)


def stated_size(proof: str) -> int:
    """Return n as a proof's header states it. Raises InvalidProof where there is no header."""
    header = proof[: 2 * HEADER.size]
    if len(header) < 2 * HEADER.size or not _LOWER_HEX.fullmatch(header):
        raise InvalidProof(_("the proof ends within its header"))
    n: int = HEADER.unpack(bytes.fromhex(header))[1]
    return n


def parse_proof(task: Task, root: bytes, proof: str, *, least_openings: int) -> Opening:
    """Return leaves and siblings of a well-formed proof. Does not check that they give the root.

    `least_openings` is the verifier's own; where the tree has fewer leaves, all of them are enough.
    Raises InvalidProof, before anything that costs more than the drawing of the leaves.
    """
    if len(root) != DIGEST_BYTES:
        raise InvalidProof(_("a root is 32 bytes"))
    leaf_count = task.leaf_count
    # The longest text that can be right is known before the text is looked at.
    if not isinstance(proof, str) or len(proof) > longest_proof(task, MAX_OPENINGS):
        raise InvalidProof(_("the proof is not text, or is too long for any number of openings"))
    raw = _from_hex(proof)
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
            ngettext(
                "the proof is for size {n} and {iterations} iteration, the task has "
                "{size} and {times}",
                "the proof is for size {n} and {iterations} iterations, the task has "
                "{size} and {times}",
                iterations,
            ).format(n=n, iterations=iterations, size=task.n, times=task.iterations)
        )
    if k < min(least_openings, leaf_count):
        raise InvalidProof(
            ngettext(
                "the proof opens {k} leaf, and at least {least_openings} are asked",
                "the proof opens {k} leaves, and at least {least_openings} are asked",
                k,
            ).format(k=k, least_openings=least_openings)
        )
    leaves, siblings = draw_openings(root, task, k), raw[HEADER.size :]
    check_siblings_length(leaf_count, leaves, siblings)
    return Opening(leaves, siblings)


def _from_hex(proof: str) -> bytes:
    with suppress(ValueError):
        raw = bytes.fromhex(proof)
        if raw.hex() == proof:  # no capital, no space: faster than a pattern
            return raw
    raise InvalidProof(_("a proof is lower-case hexadecimal, two digits a byte"))


def free_opening(task: Task, root: bytes, leaves: Sequence[int], siblings: bytes) -> Opening:
    """Return a well-formed opening of leaves, one or more, that a verifier drew itself.

    Whether they give the root is not checked here. Raises InvalidProof.
    """
    if len(root) != DIGEST_BYTES:
        raise InvalidProof(_("a root is 32 bytes"))
    if not leaves:
        raise InvalidProof(_("no leaf is opened: that proves nothing"))
    leaf_count = task.leaf_count
    check_leaf_positions(leaf_count, leaves)
    check_siblings_length(leaf_count, leaves, siblings)
    return Opening(leaves, siblings)
