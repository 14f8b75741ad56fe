"""Events of work for PoC validators, each named by its URL."""

from gettext import gettext as _

from engine.monitor.events.base import Event


class _OfValidator(Event):
    url: str


class _WithReason(_OfValidator):
    reason: str


class _OfJob(_OfValidator):
    job_id: str


class _JobWithReason(_OfJob):
    reason: str


class ValidatorUp(_OfValidator):
    event, template = "validator_up", "{url}: connected"


class ValidatorDown(_WithReason):
    """A connection ended; what its decoder did not know or refused is counted."""

    level = "warning"
    event = "validator_down"
    template = _("{url}: {reason}; reconnecting in {seconds:.0f} s")
    seconds: float
    unknown_types: int
    unknown_fields: int
    refused: int


class ValidatorRefused(_WithReason):
    level = "warning"
    event, template = "validator_refused", _("{url}: no hello is sent: {reason}")


class ValidatorBug(_OfValidator):
    level = "error"
    event, template = "validator_bug", _("{url}: a bug in this program, which continues: {detail}")
    detail: str


class HelloSaid(_OfValidator):
    event, template = "hello", _("{url}: hello sent, for chain {chain_id}")
    chain_id: str


class FrameRefused(_WithReason):
    level = "warning"
    event, template = "frame_refused", _("{url}: a frame was refused: {reason}")


class LinesDropped(_OfValidator):
    """Events of this validator that were not told: it caused more than anybody reads."""

    level = "warning"
    event, template = "lines_dropped", _("{url}: it causes too many lines; left out: {count}")
    count: int


class JobTaken(_OfJob):
    """`cost` in multiply-adds."""

    event, template = "job_taken", _("{url}: job {job_id}: {kind}, multiply-adds: {cost:,}")
    kind: str
    cost: int


class JobDone(_OfJob):
    event = "job_done"
    template = _("{url}: job {job_id}: {result_hash:.16} on {device} in {seconds:.3f} s, {fate}")
    result_hash: str
    device: str
    seconds: float
    fate: str


class JobDeclined(_OfJob):
    level = "warning"
    event, template = "job_declined", _("{url}: job {job_id}: {code}, {message}")
    code: str
    message: str


class JobNotSubmitted(_JobWithReason):
    level = "warning"
    event = "job_not_submitted"
    template = _("{url}: job {job_id}: not sent to the chain: {reason}")


class ResultAccepted(_JobWithReason):
    event, template = "result_accepted", _("{url}: job {job_id}: accepted. {reason}")


class ResultRejected(_JobWithReason):
    level = "warning"
    event, template = "result_rejected", _("{url}: job {job_id}: rejected: {reason}")


class JobsCounted(Event):
    """Jobs of this run so far, of all validators."""

    event, template = "jobs_counted", ""
    taken: int
    computed: int
    accepted: int
    rejected: int
    declined: int


class DeviceJobs(Event):
    """What one device computed for validators in this run so far; `seconds` of computing."""

    event, template = "device_jobs", ""
    device: str
    jobs: int
    multiply_adds: int
    seconds: float


PocEvent = (
    ValidatorUp
    | ValidatorDown
    | ValidatorRefused
    | ValidatorBug
    | HelloSaid
    | FrameRefused
    | LinesDropped
    | JobTaken
    | JobDone
    | JobDeclined
    | JobNotSubmitted
    | ResultAccepted
    | ResultRejected
    | JobsCounted
    | DeviceJobs
)
