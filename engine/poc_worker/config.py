"""What the operator asked for, checked, and what work for validators needs: limits, ledger, blobs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path

from engine.jobs.blobs import BlobCache
from engine.jobs.kind import JobKind, JobLimits
from engine.jobs.registry import load_kinds
from engine.monitor.reporter import Reporter
from engine.poc_protocol.urls import check_validator_url
from engine.poc_worker.context import WorkerContext
from engine.poc_worker.job_ledger import open_job_ledger
from engine.poc_worker.options import JOBS_PER_DEVICE
from engine.pool.executor import Executor
from engine.runtime.errors import BadInput, SetupError
from engine.runtime.paths import state_directory
from node_client.keys import PrivateKey

MOST_VALIDATORS = 32
BLOB_CACHE_BYTES = 2**31
GPU_LIMITS = JobLimits(
    matrix_size=32_768, iterations=4096, multiply_adds=2**45, data_bytes=256 * 2**20
)
CPU_LIMITS = JobLimits(
    matrix_size=8192, iterations=4096, multiply_adds=2**39, data_bytes=64 * 2**20
)
"""Jobs of a few seconds to a minute."""


@dataclass(frozen=True, slots=True)
class ValidatorsRequest:
    """What the operator asked for; None stands for what fits the devices.

    `kinds`: kinds of jobs that are taken, empty for all of ours. `submit_most`: results sent to the
    chain in an hour, at most; 0 for none.
    """

    validators: tuple[str, ...]
    kinds: tuple[str, ...] = ()
    jobs: int | None = None
    max_size: int | None = None
    max_iterations: int | None = None
    max_product: int | None = None
    submit_most: int = 0
    ledger: Path | None = None

    def check(self) -> None:
        """Raise BadInput for what cannot be right, before anything is started."""
        for url in self.validators:
            check_validator_url(url)
        if len(set(self.validators)) < len(self.validators):
            raise SetupError(
                _("a validator is named twice"), advice=_("Each gets one connection: name it once.")
            )
        if not 1 <= len(self.validators) <= MOST_VALIDATORS:
            message = _("{count} validators: it must be 1 to {most}")
            raise BadInput(message.format(count=len(self.validators), most=MOST_VALIDATORS))
        load_kinds(self.kinds)


@contextmanager
def open_context(
    request: ValidatorsRequest,
    key: PrivateKey,
    *,
    executor: Executor,
    devices: tuple[str, ...],
    report: Reporter,
    chain_id: str | None = None,
) -> Iterator[WorkerContext]:
    """Everything that the sessions share. Raises BadInput, DatabaseError."""
    path = request.ledger or state_directory() / f"jobs-{key.address}.sqlite"
    with open_job_ledger(path) as ledger:
        yield WorkerContext(
            key=key,
            executor=executor,
            kinds=_kinds(request.kinds),
            limits=_limits(request, devices),
            ledger=ledger,
            blobs=BlobCache(path.with_suffix(".blobs"), BLOB_CACHE_BYTES),
            report=report,
            devices=devices,
            jobs=request.jobs or JOBS_PER_DEVICE * max(1, len(devices)),
            chain_id=chain_id,
        )


def _kinds(chosen: tuple[str, ...]) -> dict[str, JobKind]:
    kinds = load_kinds(chosen)
    return {name: kinds[name] for name in chosen} if chosen else kinds


def _limits(request: ValidatorsRequest, devices: tuple[str, ...]) -> JobLimits:
    limits = GPU_LIMITS if any(name.startswith("cuda") for name in devices) else CPU_LIMITS
    return JobLimits(
        matrix_size=request.max_size or limits.matrix_size,
        iterations=request.max_iterations or limits.iterations,
        multiply_adds=request.max_product or limits.multiply_adds,
        data_bytes=limits.data_bytes,
    )
