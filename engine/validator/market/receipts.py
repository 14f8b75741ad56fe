"""Makes the receipt of a task that ended right, from what the store and the checks know of it."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from msgspec import to_builtins

from engine.poc_protocol.digests import (
    is_signed_by,
    result_digest,
    text_digest,
)
from engine.poc_protocol.strict_json import canonical
from engine.receipts.document import (
    Body,
    Bytes,
    Check,
    Layer,
    Matrix,
    Times,
    Validator,
    Worker,
    listed_rows,
    signed_file,
    text_sha256,
)
from engine.validator.market.actions import Finding, LayerRoot, Passed
from engine.validator.store.database import Store
from engine.validator.store.jobs import JobRow
from engine.validator.store.tasks import TaskRow
from node_client.keys import PrivateKey, recovered_public_keys
from node_client.networks import format_cpc


@dataclass(slots=True)
class Evidence:
    """What the checks of a job found."""

    passed: list[Passed] = field(default_factory=list)
    layers: tuple[LayerRoot, ...] = ()
    form: tuple[int, int, int] | None = None

    def add(self, finding: Finding) -> None:
        """Take note of a check that the job passed."""
        if finding.passed is not None:
            self.passed.append(finding.passed)
        self.layers = finding.layers or self.layers
        self.form = finding.form or self.form


MOST_KEYS = 4096
"""Workers' public keys that are kept in memory."""


class ReceiptMaker:
    """Signs receipts with the validator's key."""

    def __init__(self, store: Store, key: PrivateKey, chain_id: str) -> None:
        self._store = store
        self._key = key
        self._chain_id = chain_id
        self._policy = {name: str(value) for name, value in asdict(store.policy).items()}
        self._public_keys: dict[str, str] = {}
        """Of workers, by address: to find one takes four recoveries."""

    def make(
        self, task: TaskRow, jobs: Sequence[JobRow], shares: Sequence[int], evidence: Evidence
    ) -> bytes:
        """Return the receipt of a task, whose `jobs`, as accepted, have one result.

        `shares`: of the reward, in units, a job each.
        """
        first, key = jobs[0], self._key
        text = self._store.jobs.text(first.job_id)
        checks = [self._check(key.address, passed, evidence) for passed in evidence.passed]
        checks += [self._check(_of(job), Passed("second"), evidence) for job in jobs[1:]]
        output = None
        if first.data is not None and first.data_size is not None:
            output = Bytes(first.data, first.data_size)
        body = Body(
            version=1,
            chain_id=self._chain_id,
            validator=Validator(key.address, key.public_key),
            task_id=task.task_id,
            job_id=first.job_id,
            kind=task.challenge_type,
            payload={},  # see below
            payload_sha256=text_digest(text).hex(),
            result_hash=first.result_hash or "",
            proof_sha256=text_sha256(first.proof or ""),
            output=output,
            matrix=None if evidence.form is None else _matrix(evidence.form),
            layers=[Layer(*layer) for layer in evidence.layers],
            checks=checks,
            policy=self._policy,
            reward=format_cpc(task.reward),
            workers=[self._worker(job, units) for job, units in zip(jobs, shares, strict=True)],
            times=Times(
                _milliseconds(task.created_at),
                _milliseconds(first.sent_at),
                _milliseconds(first.committed_at),
                _milliseconds(task.closed_at),
            ),
        )
        return signed_file(body, _payload_without_data(text), key)

    @staticmethod
    def _check(by: str, passed: Passed, evidence: Evidence) -> Check:
        rows: list[int] = []
        if passed.seed and evidence.form is not None:
            rows = listed_rows(passed.seed, evidence.form[0], passed.count)
        return Check(by, passed.what, passed.seed, passed.count, rows, list(passed.leaves))

    def _signer(self, address: str, digest: bytes, signature: str) -> str | None:
        """Return the public key of this address, if it signed; None if not."""
        known = self._public_keys.get(address)
        keys = [known] if known else recovered_public_keys(digest, signature)
        found = next((one for one in keys if is_signed_by(one, address, digest, signature)), None)
        if found is not None and known is None:
            self._public_keys[address] = found
            if len(self._public_keys) > MOST_KEYS:
                del self._public_keys[next(iter(self._public_keys))]
        return found

    def _worker(self, job: JobRow, units: int) -> Worker:
        nonce, signature, public_key = self._store.jobs.signature(job.job_id)
        if public_key is None and nonce is not None and signature is not None:
            digest = result_digest(
                nonce,
                job_id=job.job_id,
                task_id=job.task_id,
                payload=text_digest(self._store.jobs.text(job.job_id)),
                worker_address=_of(job),
                result_hash=job.result_hash or "",
                proof=job.proof,
            )
            public_key = self._signer(_of(job), digest, signature)
        if public_key is None:
            nonce = signature = None
        return Worker(_of(job), job.job_id, format_cpc(units), nonce, public_key, signature)


def _of(job: JobRow) -> str:
    return job.worker_address or ""


def _matrix(form: tuple[int, int, int]) -> Matrix:
    rows, columns, entry_bytes = form
    return Matrix(rows, columns, 4 if entry_bytes == 4 else 1)


def _payload_without_data(text: str) -> str:
    """Return a payload's canonical text with data in it named by its SHA-256."""
    if '"inline"' not in text:
        return text
    return canonical({name: _without_data(value) for name, value in json.loads(text).items()})


def _without_data(value: Any) -> Any:
    """Return a payload's field with data named by its SHA-256; what names it already stays."""
    if not (isinstance(value, dict) and set(value) == {"inline"}):
        return value
    content = base64.b64decode(value["inline"])
    return to_builtins(Bytes(hashlib.sha256(content).hexdigest(), len(content), inline=True))


def _milliseconds(seconds: float | None) -> int:
    return round(1000 * (seconds or 0.0))
