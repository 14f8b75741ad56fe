"""Is this the task's result? Three answers: by a proof, by leaves of one's own, by computing it.

    check_proof(task, root, proof, least_openings=16)
    check_leaves(task, root, leaves, siblings)
    check_full(task, root, device)

Each returns None or raises InvalidProof (malformed; nothing was computed) or WrongResult. The first
two use the plain numpy operations only: they share no kernel with the device whose work they check,
and never import Numba.
"""

from collections.abc import Sequence
from gettext import gettext as _

from kernels.commit.tree import check_leaf_positions, root_from_leaves
from kernels.device import Device
from kernels.digest import DIGEST_BYTES
from kernels.errors import InvalidProof, WrongResult
from kernels.opened import opened_digests
from kernels.operations import REFERENCE, Operations
from kernels.proof import check_siblings_length, parse_proof
from kernels.task import Task


def check_proof(
    task: Task,
    root: bytes,
    proof: str,
    *,
    least_openings: int,
    operations: Operations = REFERENCE,
) -> None:
    """Raise unless the proof opens at least so many leaves, and they give the root.

    With `least_openings=0` a proof without openings passes, and proves nothing.
    """
    opening = parse_proof(task, root, proof, least_openings=least_openings)
    if opening.leaves:
        _compare(task, root, opening.leaves, opening.siblings, operations)


def check_leaves(
    task: Task,
    root: bytes,
    leaves: Sequence[int],
    siblings: bytes,
    *,
    operations: Operations = REFERENCE,
) -> None:
    """Raise unless these leaves, one or more that the caller drew, give the root."""
    if len(root) != DIGEST_BYTES:
        raise InvalidProof(_("a root is 32 bytes"))
    if not leaves:
        raise InvalidProof(_("no leaf is opened: that proves nothing"))
    check_leaf_positions(task.leaf_count, leaves)
    check_siblings_length(task, leaves, siblings)
    _compare(task, root, leaves, siblings, operations)


def check_full(task: Task, root: bytes, device: Device) -> None:
    """Raise WrongResult unless the device computes this root."""
    if device.compute(task).root != root:
        raise WrongResult(
            _("the task's result, computed again on {name}, has another root").format(
                name=device.name
            )
        )


def _compare(
    task: Task, root: bytes, leaves: Sequence[int], siblings: bytes, operations: Operations
) -> None:
    digests = opened_digests(task, leaves, operations)
    if root_from_leaves(task.leaf_count, digests, siblings) != root:
        raise WrongResult(_("the opened leaves, computed from the seed, do not give the root"))
