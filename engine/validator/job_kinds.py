"""The installed kinds of jobs (`engine/jobs`), as the market and the inspections need them.

A synthetic task has a seed of the customer's, and each worker one of its own, made of it and of the
job's id, so that no worker's result is of use to another:

    seed = SHA-256(customer's seed || ascii(job_id))        32 bytes

Who has the task's and the job's ids can do that again.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from engine.jobs.blobs import BlobCache
from engine.jobs.kind import Job, JobKind, JobLimits
from engine.jobs.registry import needed_blobs, parse_job
from engine.validator.store.requirements import Facts

SEEDED = "synthetic"
"""The kind whose every worker gets a seed of its own."""


class InstalledKinds:
    """See `facts.Kinds`. Thread-safe."""

    def __init__(self, kinds: Mapping[str, JobKind], limits: JobLimits, blobs: BlobCache) -> None:
        """`limits`: the most that a customer may ask for."""
        self.names = tuple(kinds)
        self.limits = limits
        self._kinds = kinds
        self._blobs = blobs

    def facts(self, payload: dict[str, Any]) -> Facts:
        """What a payload comes to. Raises JobRefused, or BlobError for data that is not here."""
        refs = needed_blobs(self._kinds, payload, self.limits)
        job = self.job(payload)
        seeded = payload["challenge_type"] == SEEDED
        return Facts(
            challenge_type=payload["challenge_type"],
            cost=job.cost,
            leaves=job.leaf_count,
            own_seed=seeded,
            returns_data=job.returns_data,
            matrix_size=payload["matrix_size"] if seeded else 0,
            iterations=payload.get("iterations", 1) if seeded else 0,
            blobs=tuple((ref.sha256, ref.size) for ref in refs),
        )

    def job(self, payload: dict[str, Any]) -> Job:
        """The job itself. Raises what `facts` raises."""
        return parse_job(self._kinds, payload, self.limits, self._blobs)

    def for_worker(self, payload: dict[str, Any], job_id: str) -> dict[str, Any]:
        """The customer's payload as one worker gets it."""
        if payload["challenge_type"] != SEEDED:
            return payload
        return payload | {"seed": own_seed(payload["seed"], job_id)}


def own_seed(seed: str, job_id: str) -> str:
    """A worker's own seed: 64 hex digits, from the customer's and the id of the job."""
    return hashlib.sha256(bytes.fromhex(seed) + job_id.encode("ascii")).hexdigest()
