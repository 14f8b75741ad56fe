"""Events of the reference validator."""

from gettext import gettext as _

from engine.monitor.events.base import Event


class _OfWorker(Event):
    worker: str


class _OfJob(Event):
    task_id: str
    job_id: str
    worker: str


class _JobWithReason(_OfJob):
    reason: str


class ValidatorStarted(Event):
    event = "validator"
    template = _(
        "validator of {chain_id}: workers dial {url}, customers http at {http} (see /docs)"
    )
    chain_id: str
    url: str
    http: str


class ReceiptsSigned(Event):
    event = "receipts_signed"
    template = _("receipts are signed by {address}, public key {public_key}")
    address: str
    public_key: str


class WorkerCame(_OfWorker):
    event, template = "worker_came", _("worker {worker}: connected, version {version}")
    version: str


class WorkerGone(_OfWorker):
    event, template = "worker_gone", _("worker {worker}: disconnected")


class HelloRefused(_OfWorker):
    level = "warning"
    event = "hello_refused"
    template = _("a hello as {worker} was refused: its signature is not for this validator")


class MarketDatabaseLost(Event):
    level = "warning"
    event = "database_lost"
    template = _("{reason}; workers are sent away until the database is there again")
    reason: str


class MarketDatabaseBack(Event):
    event, template = "database_back", _("the database is there again; open tasks go on")


class MarketJobAccepted(_OfJob):
    event, template = "job_accepted", _("task {task_id}: completed by {worker}")


class MarketJobRefused(_JobWithReason):
    """A result is wrong. `forfeited`: units withheld from its worker."""

    level = "warning"
    event = "job_refused"
    template = _("task {task_id}: WRONG result of {worker}, now banned: {reason}")
    forfeited: int


class MarketJobDropped(_JobWithReason):
    level = "warning"
    event, template = "job_dropped", _("task {task_id}: pending again, {worker}: {reason}")


class MarketJobEscalated(_JobWithReason):
    event, template = "job_escalated", _("task {task_id}: computed here, {worker}: {reason}")


class MarketJobUnchecked(_JobWithReason):
    level = "warning"
    event, template = "not_inspected", _("task {task_id}: could not be checked here: {reason}")


class MarketTaskFailed(Event):
    level = "warning"
    event, template = "task_failed", _("task {task_id}: failed, {reason}")
    task_id: str
    reason: str


ValidatorEvent = (
    ValidatorStarted
    | ReceiptsSigned
    | WorkerCame
    | WorkerGone
    | HelloRefused
    | MarketDatabaseLost
    | MarketDatabaseBack
    | MarketJobAccepted
    | MarketJobRefused
    | MarketJobDropped
    | MarketJobEscalated
    | MarketJobUnchecked
    | MarketTaskFailed
)
