"""The installed kinds of jobs (`engine/jobs`), as the market and the checks need them.

A synthetic task has the customer's seed, and each worker gets one of its own, derived from it and the
job's id, so that no worker can use another's result:

    seed = SHA-256(customer's seed || ascii(job_id))        32 bytes

Anyone who has the task and the job's id can derive it again.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from engine.jobs.blobs import BlobCache
from engine.jobs.kind import JobKind, JobLimits, JobWork
from engine.jobs.registry import needed_blobs, parse_job
from engine.validator.store.requirements import Requirements
from kernels.work.inference import InferenceWork

SEEDED = "synthetic"
"""The kind of job of which each worker gets a seed of its own."""


class InstalledKinds:
    """See `requirements.Kinds`. Thread-safe."""

    def __init__(self, kinds: Mapping[str, JobKind], limits: JobLimits, blobs: BlobCache) -> None:
        """`limits`: the largest task that a customer may post."""
        self.names = tuple(kinds)
        self.limits = limits
        self._kinds = kinds
        self._blobs = blobs

    def requirements(self, payload: dict[str, Any]) -> Requirements:
        """Return what a payload requires. Raises JobRefused, or BlobError for data that is missing."""
        refs = needed_blobs(self._kinds, payload, self.limits)
        job = self.job(payload)
        seeded = payload["challenge_type"] == SEEDED
        return Requirements(
            challenge_type=payload["challenge_type"],
            cost=job.cost,
            leaves=job.leaf_count,
            own_seed=seeded,
            returns_data=job.returns_data,
            matrix_size=payload["matrix_size"] if seeded else 0,
            iterations=payload.get("iterations", 1) if seeded else 0,
            blobs=tuple((ref.sha256, ref.size) for ref in refs),
            model=job.model.sha256.hex() if isinstance(job, InferenceWork) else "",
        )

    def job(self, payload: dict[str, Any]) -> JobWork:
        """Parse a payload. Raises what `requirements` raises."""
        return parse_job(self._kinds, payload, self.limits, self._blobs)

    def for_worker(self, payload: dict[str, Any], job_id: str) -> dict[str, Any]:
        """Return the customer's payload as one worker gets it."""
        if payload["challenge_type"] != SEEDED:
            return payload
        return payload | {"seed": own_seed(payload["seed"], job_id)}


def own_seed(seed: str, job_id: str) -> str:
    """Derive a worker's own seed, 64 hex digits, from the customer's and the job's id."""
    return hashlib.sha256(bytes.fromhex(seed) + job_id.encode("ascii")).hexdigest()
