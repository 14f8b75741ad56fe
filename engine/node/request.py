"""What a node is asked for, what may change while it runs, and what it did: values only."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from gettext import gettext as _
from pathlib import Path
from typing import Any, Self

from engine.mining.config import MiningChange, MiningConfig, Summary
from engine.poc_worker.config import check_validators
from engine.poc_worker.options import ValidatorsOptions
from engine.pool.limits import Limits
from engine.pool.options import DeviceOptions, PoolOptions
from engine.protection.quiet_hours import QuietHours
from engine.protection.sensors import NO_WISHES, Protection
from engine.runtime.errors import SetupError
from engine.txmgr.options import FinalityOptions, SendingOptions


@dataclass(frozen=True, slots=True)
class NodeRequest:
    """What the operator asked for; None stands for the network's or this program's default.

    `mining`: answer blocks. `validators`: take their jobs. At least one of them.
    """

    urls: Sequence[str] = ()
    """L1 nodes. Not asked where only jobs are taken, and none is sent to the chain."""
    mining: MiningConfig | None = None
    validators: ValidatorsOptions | None = None
    job_ledger: Path | None = None
    devices: tuple[str, ...] = DeviceOptions.device
    threads: int | None = None
    ray: str | None = None
    """Address of a Ray cluster whose machines do the work."""
    depth: int = FinalityOptions.depth
    gas_price: int | None = None
    max_gas_price: int | None = None
    confirmed_nonce: int | None = None
    ledger: Path | None = None
    keys: Path | None = None
    """The directory of the key, in which a lock says that it is in use."""
    protection: Protection = NO_WISHES
    limits: Limits = field(default_factory=Limits)
    waits: bool = True
    """Whether to wait where no node answers at the start."""

    @classmethod
    def of(cls, pool: PoolOptions, sending: SendingOptions, **more: Any) -> Self:
        """Return the request of these options; `more` are other fields. Raises BadInput."""
        validators: ValidatorsOptions | None = more.get("validators")
        limits = pool.limits()
        if validators is not None:
            limits = replace(
                limits, check_share=validators.check_share, cross_check=validators.cross_check
            )
        return cls(
            devices=pool.device,
            threads=pool.threads,
            limits=limits,
            depth=sending.depth,
            gas_price=sending.gas_price,
            max_gas_price=sending.max_gas_price,
            confirmed_nonce=sending.confirmed_nonce,
            ledger=sending.ledger,
            **more,
        )

    @property
    def uses_chain(self) -> bool:
        """Whether anything is sent to the chain."""
        validators = self.validators
        return self.mining is not None or (
            validators is not None and validators.submitted_per_hour > 0
        )

    def check(self) -> None:
        """Raise for what cannot be right, before anything is started."""
        if len(set(self.devices)) < len(self.devices):
            raise SetupError(
                _("a device is named twice: each gets one child"), advice=_("Name it once.")
            )
        if self.mining is not None:
            self.mining.typical_task  # noqa: B018 - raises InvalidTask
        if self.validators is not None:
            check_validators(self.validators)


@dataclass(frozen=True, slots=True)
class LiveChange:
    """What of a running node can change: from the next block, and the next look at sensors, on."""

    mining: MiningChange | None
    pause_on_battery: bool
    quiet_hours: QuietHours | None


@dataclass(frozen=True, slots=True)
class JobSummary:
    """What the job ledger has of this worker's jobs, of this run and all before.

    `received`: units that others sent to the account in this run; None where no node was asked.
    """

    taken: int
    computed: int
    accepted: int
    rejected: int
    seconds: float
    received: int | None = None


@dataclass(frozen=True, slots=True)
class NodeSummary:
    """What each source did; None for one that was not asked for."""

    mining: Summary | None = None
    jobs: JobSummary | None = None

    @classmethod
    def of_nothing(cls, request: NodeRequest, seconds: float) -> Self:
        """Return that of a run that ended before any source began, after so many seconds."""
        mining, jobs = request.mining is not None, request.validators is not None
        return cls(
            Summary(0, 0, 0, [], seconds) if mining else None,
            JobSummary(0, 0, 0, 0, seconds) if jobs else None,
        )
