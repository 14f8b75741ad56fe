"""What the operator asked for, checked, and what work for validators needs: limits, ledger, blobs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from gettext import gettext as _
from pathlib import Path

from engine.jobs.blobs import BlobCache
from engine.jobs.kind import JobKind, JobLimits
from engine.jobs.registry import load_kinds
from engine.monitor.reporter import Reporter
from engine.poc_protocol.urls import check_validator_url
from engine.poc_worker.context import WorkerContext
from engine.poc_worker.job_ledger import open_job_ledger
from engine.poc_worker.options import JOBS_PER_DEVICE, ValidatorsOptions
from engine.pool.executor import Executor
from engine.runtime.errors import BadInput, SetupError
from engine.runtime.paths import state_directory
from engine.runtime.right_of_way import RightOfWay
from node_client.keys import PrivateKey
from node_client.route import route_to

MOST_VALIDATORS = 32
BLOB_CACHE_BYTES = 2**31
GPU_LIMITS = JobLimits(
    matrix_size=32_768, iterations=4096, multiply_adds=2**45, data_bytes=256 * 2**20
)
CPU_LIMITS = JobLimits(
    matrix_size=8192, iterations=4096, multiply_adds=2**39, data_bytes=64 * 2**20
)
"""Jobs of a few seconds to a minute."""


def check_validators(options: ValidatorsOptions) -> ValidatorsOptions | None:
    """Return the options; None where no validator is named. Raises BadInput, InvalidData."""
    urls = options.validator
    if not urls:
        if options.submit:
            raise BadInput(
                _("--submit sends results of validators' jobs, and no validator is named"),
                advice=_("Name one: --validator wss://HOST/worker"),
            )
        return None
    if options.submit and (options.check_share < 1 or options.cross_check):
        raise BadInput(
            _("--submit signs results for the chain, and these are all checked on the CPU"),
            advice=_("Leave --check-share and --cross-check out, or --submit."),
        )
    for url in urls:
        route_to(check_validator_url(url))  # raises where a proxy or certificates cannot be used
    if len(set(urls)) < len(urls):
        raise SetupError(
            _("a validator is named twice"), advice=_("Each gets one connection: name it once.")
        )
    if len(urls) > MOST_VALIDATORS:
        message = _("too many validators: {count}, and {most} is the most")
        raise BadInput(message.format(count=len(urls), most=MOST_VALIDATORS))
    load_kinds(options.job_kind)
    return options


@contextmanager
def open_context(
    options: ValidatorsOptions,
    key: PrivateKey,
    *,
    executor: Executor,
    way: RightOfWay,
    devices: tuple[str, ...],
    report: Reporter,
    cards: Mapping[str, int],
    chain_id: str | None = None,
    path: Path | None = None,
) -> Iterator[WorkerContext]:
    """Everything that the sessions share. Raises BadInput, DatabaseError."""
    path = path or state_directory() / f"jobs-{key.address}.sqlite"
    with open_job_ledger(path) as ledger:
        yield WorkerContext(
            key=key,
            executor=executor,
            kinds=_kinds(tuple(dict.fromkeys(options.job_kind))),
            limits=_limits(options, devices),
            ledger=ledger,
            blobs=BlobCache(path.with_suffix(".blobs"), BLOB_CACHE_BYTES),
            report=report,
            devices=devices,
            jobs=options.jobs or JOBS_PER_DEVICE * max(1, len(devices)),
            failures=options.validator_failures,
            chain_id=chain_id,
            cards=cards,
            way=way,
        )


def _kinds(chosen: tuple[str, ...]) -> dict[str, JobKind]:
    kinds = load_kinds(chosen)
    return {name: kinds[name] for name in chosen} if chosen else kinds


def _limits(options: ValidatorsOptions, devices: tuple[str, ...]) -> JobLimits:
    limits = GPU_LIMITS if any(name.startswith("cuda") for name in devices) else CPU_LIMITS
    return JobLimits(
        matrix_size=options.max_size or limits.matrix_size,
        iterations=options.max_iterations or limits.iterations,
        multiply_adds=options.max_product or limits.multiply_adds,
        data_bytes=limits.data_bytes,
    )
