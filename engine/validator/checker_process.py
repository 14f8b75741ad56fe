"""The validator's cheap checks, in a process: of a claim, and of leaves that were drawn.

Checks come and go in batches, and each has a finding of its own. Synthetic tasks are checked with the
CPU's compiled operations, in a part of numpy's time; before a worker is blamed, with numpy, too. What
the process finds it says as plain data: the one that it answers signs receipts.
"""

import os
from dataclasses import dataclass, replace
from typing import Annotated

from msgspec import Meta, Struct

from engine.jobs.kind import JobWork
from engine.pool.checker_main import Answer, serve_checks
from engine.pool.codec import one_line
from engine.pool.messages import Name, Number, Text
from engine.pool.task_queue import Pieces
from engine.pool.worker_main import Reports
from engine.validator.market.actions import CheckKind, Finding, Passed
from kernels.data import Data
from kernels.errors import InvalidProof, KernelError, WrongResult
from kernels.network.graph.graph import MAX_NODES
from kernels.operations import REFERENCE, Operations
from kernels.work import Outcome
from kernels.work.inference import InferenceWork
from kernels.work.matrix import SEED_BYTES, MatrixResult
from kernels.work.synthetic import SyntheticWork

FINDING_BYTES = 2**18
"""Of one, at most: 2,048 layers with their roots."""


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


@dataclass(frozen=True, slots=True)
class Batch:
    """Claims to check. `ticket` names them."""

    ticket: int
    claims: tuple[Claim, ...]


class _Layer(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    node: Number
    first: Number
    count: Number
    root: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class _Found(Struct, frozen=True, forbid_unknown_fields=True):
    right: bool | None
    reason: Text
    what: Name
    seed: Annotated[str, Meta(pattern=r"\A([0-9a-f]{64})?\Z")]
    count: Number
    layers: Annotated[tuple[_Layer, ...], Meta(max_length=MAX_NODES)]
    form: tuple[Number, Number, Number] | None


class Findings(Answer, frozen=True):
    """One for each claim of the batch, in its order."""

    found: tuple[_Found, ...]


def findings_of(batch: Batch, said: Findings) -> list[Finding] | None:
    """Return the findings of a batch; None where they are not as many as its claims."""
    if len(said.found) != len(batch.claims):
        return None
    findings = []
    for claim, one in zip(batch.claims, said.found, strict=True):
        leaves = claim.leaves if claim.kind == "leaves" else ()
        passed = Passed(one.what, one.seed, one.count, leaves) if one.right else None
        layers = tuple((part.node, part.first, part.count, part.root) for part in one.layers)
        findings.append(Finding(one.right, one.reason, passed=passed, layers=layers, form=one.form))
    return findings


def checks_main(orders: Pieces, reports: Reports) -> None:
    """Entry point of the process: a machine without a compiler checks in numpy."""
    serve_checks(orders, reports, perform, otherwise=REFERENCE)


def perform(batch: Batch, operations: Operations) -> Findings:
    """Check the claims of a batch."""
    found = (_said(run_check(claim, operations)) for claim in batch.claims)
    return Findings(batch.ticket, tuple(found))


def _said(finding: Finding) -> _Found:
    passed = finding.passed or Passed("")
    layers = tuple(_Layer(*layer) for layer in finding.layers)
    return _Found(
        finding.right,
        one_line(finding.reason),
        passed.what,
        passed.seed,
        passed.count,
        layers,
        finding.form,
    )


def run_check(claim: Claim, operations: Operations = REFERENCE) -> Finding:
    """Do one cheap check."""
    finding = _check(claim, operations)
    if finding.right is False and operations is not REFERENCE:
        return _check(claim, REFERENCE)
    return finding


def _check(claim: Claim, operations: Operations) -> Finding:
    try:
        return replace(_require_right(claim, operations), form=form_of(claim.job))
    except (InvalidProof, WrongResult) as error:
        return Finding(False, str(error))
    except KernelError as error:  # no memory, or an input is gone: nothing is known
        return Finding(None, str(error))
    except Exception as error:  # noqa: BLE001 - a plug-in's bug is this check's alone
        return Finding(None, f"{type(error).__name__}: {error}")


def _require_right(claim: Claim, operations: Operations) -> Finding:
    job, root = claim.job, claim.result_hash
    drawn = claim.leaves if claim.kind == "leaves" else ()
    if claim.kind == "leaves" and claim.proof is None:
        job.check_leaves(root, claim.leaves, claim.siblings)
        return Finding(True, passed=Passed("leaves", leaves=drawn))
    data = None if claim.data is None else claim.data.read()
    outcome = Outcome(root, claim.proof, data)
    if isinstance(job, SyntheticWork):
        job.check_opened(outcome, drawn, claim.siblings, operations)
        return Finding(True, passed=Passed("proof", leaves=drawn))
    if isinstance(job, MatrixResult):
        seed = os.urandom(SEED_BYTES)
        checked = job.check_drawn(outcome, seed)
        passed = Passed(checked.what, seed.hex(), len(checked.rows), drawn)
    else:
        job.check(outcome)
        passed = Passed("claim", leaves=drawn)
    if drawn:
        job.check_leaves(root, drawn, claim.siblings)
    finding = Finding(True, passed=passed)
    if data is not None:
        finding = replace(finding, layers=layers_of(job, data))
    return finding


def form_of(job: JobWork) -> tuple[int, int, int] | None:
    """Return rows, columns and bytes of an entry, of a result that is a matrix."""
    if not isinstance(job, MatrixResult):
        return None
    return job.form.rows, job.form.columns, job.form.entry_bytes


def layers_of(job: JobWork, data: bytes) -> tuple[tuple[int, int, int, str], ...]:
    """Return the layers that a result with this data commits to, with their roots."""
    if not isinstance(job, InferenceWork):
        return ()
    return tuple(
        (node, first, count, root.hex()) for node, first, count, root in job.layer_roots(data)
    )
