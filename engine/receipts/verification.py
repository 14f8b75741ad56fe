"""A receipt compared with the files that it is about: what differs, in sentences."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from gettext import gettext as _

from engine.poc_protocol.digests import is_signed_by, result_digest_of_hashes
from engine.receipts.document import Body, Receipt, Worker, faults_of
from kernels.commit.rows import MatrixForm, check_matrix
from kernels.errors import WrongResult
from kernels.network.graph.layers import LayerColumns, layer_roots


@dataclass(frozen=True, slots=True)
class Files:
    """What the customer has: the result's bytes, and what it sent. None: not compared."""

    output: bytes | None = None
    posted: Mapping[str, bytes] = field(default_factory=dict)
    """By the payload's fields: model and input, or a and b."""


def differences(receipt: Receipt, files: Files, validator: str | None = None) -> list[str]:
    """Return what is not right; empty where the receipt is valid and all files are those it names."""
    body = receipt.body
    found = faults_of(receipt, validator)
    found += [
        _("workers: {address} did not sign this result for this payload").format(
            address=worker.address
        )
        for worker in body.workers
        if worker.signature is not None and not _has_signed(body, worker)
    ]
    for name, content in files.posted.items():
        named = body.bytes_of(name)
        if named is None or named.sha256 != hashlib.sha256(content).hexdigest():
            found.append(_("{name}: the receipt is about another one").format(name=name))
    if files.output is not None:
        found += _output_differences(body, files.output)
    return found


def not_compared(body: Body, files: Files, validator: str | None = None) -> list[str]:
    """Return what a receipt names that was not given to compare it with: a valid one may still lie."""
    named = [name for name in body.payload if body.bytes_of(name) is not None]
    left = [name for name in named if name not in files.posted]
    if body.matrix is not None and files.output is None:
        left.append("output")
    return left if validator is not None else [*left, "validator"]


def _has_signed(body: Body, worker: Worker) -> bool:
    if worker.nonce is None or worker.public_key is None:
        return False
    digest = result_digest_of_hashes(
        worker.nonce,
        job_id=worker.job_id,
        task_id=body.task_id,
        payload=bytes.fromhex(body.payload_sha256),
        worker_address=worker.address,
        result_hash=body.result_hash,
        proof=bytes.fromhex(body.proof_sha256),
    )
    return is_signed_by(worker.public_key, worker.address, digest, worker.signature or "")


def _output_differences(body: Body, output: bytes) -> list[str]:
    if body.matrix is None:
        return [_("output: a result of the kind {kind} has none").format(kind=body.kind)]
    form = MatrixForm(body.matrix.rows, body.matrix.columns, body.matrix.entry_bytes)
    try:
        check_matrix(form, bytes.fromhex(body.result_hash), output)
    except WrongResult as error:
        return [_("output: {error}").format(error=error)]
    rows = form.entries(output)
    columns = [LayerColumns(one.node, one.first, one.columns) for one in body.layers]
    if any(one.first + one.count > form.columns or not one.count for one in columns):
        return [_("layers: they do not lie in the result")]
    roots = layer_roots(columns, rows)
    return [
        _("layers: the root of node {node} is another").format(node=one.node)
        for one, root in zip(body.layers, roots, strict=True)
        if one.root != root.hex()
    ]
