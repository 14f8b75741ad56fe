"""A process that does the validator's cheap checks: of a claim, and of leaves that were drawn.

It has no key. Checks come and go in batches, and each has a finding of its own. Synthetic tasks are
checked with the CPU's compiled operations, in a part of numpy's time; before a worker is blamed, with
numpy, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.jobs.kind import JobWork
from engine.runtime.child_entry import die_with_parent
from engine.runtime.confinement import confine
from engine.validator.market.actions import CheckKind, Finding
from kernels.data import Data
from kernels.devices import cpu_operations
from kernels.errors import InvalidProof, KernelError, WrongResult
from kernels.known_answer import known_answer_test_of_checks
from kernels.operations import REFERENCE, Operations
from kernels.work import Outcome
from kernels.work.synthetic import SyntheticWork


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's result, and the leaves that were drawn of it, with their siblings."""

    job: JobWork
    kind: CheckKind
    result_hash: bytes
    proof: str | None
    data: Data | None
    leaves: tuple[int, ...]
    siblings: bytes


_operations: Operations = REFERENCE


def begin(parent: int) -> None:
    """Entry point of the process."""
    global _operations
    die_with_parent(parent)  # else it outlives a validator that gets `kill -9`
    confine()
    try:
        operations = cpu_operations()
        known_answer_test_of_checks(operations)
    except Exception:  # noqa: BLE001 - a machine without a compiler checks in numpy
        return
    _operations = operations


def run_checks(claims: Sequence[Claim]) -> list[Finding]:
    """Check each."""
    return [run_check(claim, _operations) for claim in claims]


def run_check(claim: Claim, operations: Operations = REFERENCE) -> Finding:
    """Do one cheap check."""
    finding = _check(claim, operations)
    if finding.right is False and operations is not REFERENCE:
        return _check(claim, REFERENCE)
    return finding


def _check(claim: Claim, operations: Operations) -> Finding:
    try:
        _require_right(claim, operations)
    except (InvalidProof, WrongResult) as error:
        return Finding(False, str(error))
    except KernelError as error:  # no memory, or an input is gone: nothing is known
        return Finding(None, str(error))
    except Exception as error:  # noqa: BLE001 - a plug-in's bug is this check's alone
        return Finding(None, f"{type(error).__name__}: {error}")
    return Finding(True)


def _require_right(claim: Claim, operations: Operations) -> None:
    job, root = claim.job, claim.result_hash
    if claim.kind == "leaves" and claim.proof is None:
        job.check_leaves(root, claim.leaves, claim.siblings)
        return
    outcome = Outcome(root, claim.proof, None if claim.data is None else claim.data.read())
    leaves = claim.leaves if claim.kind == "leaves" else ()
    if isinstance(job, SyntheticWork):
        job.check_opened(outcome, leaves, claim.siblings, operations)
        return
    job.check(outcome)
    if leaves:
        job.check_leaves(root, leaves, claim.siblings)
