"""The state of a running engine at one moment, as a value that every view shows.

The models are also the schema of `/status` (see `/openapi.json`). Times are Unix seconds, durations are
seconds, amounts are decimal CPC as text, since no JSON number holds 10^18 units exactly.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.monitor.events.trouble import TroubleKind

DeviceState = Literal["starting", "compiling", "idle", "busy", "paused", "backoff", "out"]
EngineState = Literal[
    "starting", "compiling", "mining", "working", "waiting", "degraded", "paused", "out", "stopping"
]
"""compiling: kernels, before the first device takes work; working: for validators, without mining;
waiting: for the node; degraded: a device is out of service or restarts, or results are not sent; out:
no device is in service."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class DeviceView(_Value):
    """One device."""

    name: str = Field(description="as --device names it")
    card: str = Field("", description="model of the card, empty where no sensor reports it")
    state: DeviceState = "starting"
    reason: str = Field("", description="why it is paused, out of service, or its child was lost")
    compiled: float | None = Field(None, description="ratio from 0 to 1, while it compiles kernels")
    tops: float | None = Field(
        None,
        description="10^12 operations per second while computing, over its latest tasks; null while it"
        " takes no work",
    )
    tasks: int = Field(0, description="tasks computed and checked in this run")
    operations: float = Field(0.0, description="operations in this run: two a multiply-add")
    compute_seconds: float = Field(0.0, description="time computing in this run")
    restarts: int = Field(0, description="children lost or replaced in this run")
    last_result: str | None = Field(None, description="result hash, hexadecimal")
    last_height: int | None = None
    last_seconds: float | None = Field(None, description="what the latest task took")
    last_at: float | None = None
    temperature: float | None = Field(None, description="degrees Celsius")
    power: float | None = Field(None, description="watts")
    power_limit: float | None = Field(None, description="watts")
    energy: float | None = Field(None, description="joules since the driver was loaded")
    memory_used: int | None = Field(None, description="bytes")
    memory_total: int | None = Field(None, description="bytes")
    utilization: float | None = Field(None, description="ratio from 0 to 1")
    fan: float | None = Field(None, description="ratio from 0 to 1")
    clock: float | None = Field(None, description="hertz, of a card's multiprocessors")


class ChainView(_Value):
    """The chain, as the node reports it."""

    chain_id: str = ""
    network: str = ""
    node: str = ""
    node_answers: bool = True
    trouble: str = Field("", description="the message of the trouble `node_away`")
    height: int | None = None
    block_time: float | None = Field(None, description="seconds a block, as measured")
    last_block_at: float | None = Field(None, description="when the newest block was seen")
    next_block_in: float | None = Field(
        None, description="seconds; 0 where it is due, null where no node answers"
    )


class BlocksView(_Value):
    """Blocks since the ledger began."""

    seen: int = 0
    skipped: int = Field(0, description="seen, and not answered in full")
    missed: int = Field(0, description="never looked at")


class ResultsView(_Value):
    """Results since the ledger began."""

    confirmed: int = Field(0, description="final: in a block that is deep enough")
    pending: int = Field(0, description="computed, signed, sent or in a block that is not deep yet")
    given_up: int = 0
    trouble: str = Field("", description="the message of the trouble `not_sent` or `balance_low`")


class RunView(_Value):
    """Counts of this run; they never shrink, roll-backs notwithstanding."""

    computed: int = 0
    confirmed: int = 0
    given_up: int = 0
    seen: int = Field(0, description="blocks")
    skipped: int = Field(0, description="blocks")
    missed: int = Field(0, description="blocks")
    unreadable: int = Field(0, description="blocks followed by their headers only")
    fees: str = Field("0", description="CPC that results confirmed in this run have cost")
    received: str = Field("0", description="CPC that others sent to the account: validators pay so")


class JobsView(_Value):
    """Jobs of validators in this run."""

    validators: list[str] = Field(default_factory=list, description="their URLs, with `work` only")
    taken: int = 0
    computed: int = 0
    accepted: int = Field(0, description="by their validators")
    rejected: int = Field(0, description="by their validators")
    declined: int = Field(0, description="not computed, and why was said")


class TroubleView(_Value):
    """Something that is wrong, and lasts."""

    kind: TroubleKind
    message: str
    advice: str = ""
    stops: bool = Field(True, description="results are not sent, or blocks not seen, meanwhile")
    subject: str = Field("", description="the validator or device, where several may have it")
    since: float


class EventView(_Value):
    """Something that happened."""

    at: float
    event: str
    line: str
    tx_hash: str = Field("", description="of the transaction that it is about, if any")


class Snapshot(_Value):
    """The whole state."""

    version: str
    pid: int
    state: EngineState = "starting"
    paused: str = Field("", description="why every device is paused")
    pause_asked: bool = Field(False, description="whether the operator asked for a pause")
    now: float
    started_at: float
    address: str = ""
    ledger: str = ""
    size: int | None = None
    iterations: int | None = None
    balance: str | None = Field(None, description="CPC")
    balance_lasts: float | None = Field(
        None, description="seconds at the fees of late; null where they are not known yet"
    )
    fees: str = Field(
        "0", description="CPC that confirmed results have cost since the ledger began"
    )
    devices: list[DeviceView] = Field(default_factory=list)
    chain: ChainView = ChainView()
    blocks: BlocksView = BlocksView()
    results: ResultsView = ResultsView()
    run: RunView = RunView()
    jobs: JobsView = JobsView()
    pulse_at: float | None = Field(None, description="when the mining loop last reported a pulse")
    troubles: list[TroubleView] = Field(default_factory=list, description="what lasts, now")
    events: list[EventView] = Field(default_factory=list, description="the latest, oldest first")

    @property
    def tops(self) -> float | None:
        """Sum of all devices' rates; None before the first result."""
        rates = [device.tops for device in self.devices if device.tops is not None]
        return sum(rates) if rates else None

    @property
    def in_service(self) -> list[DeviceView]:
        """Devices that take work, or will once they have started or their pause has ended."""
        return [device for device in self.devices if device.state not in ("out", "backoff")]
