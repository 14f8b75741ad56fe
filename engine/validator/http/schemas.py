"""Bodies of requests and answers, as in PROTOCOL.md; amounts are decimal strings of CPC."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.validator.store.database import Store
from engine.validator.store.jobs import JobRow
from engine.validator.store.tasks import TaskRow
from node_client.networks import format_cpc

Status = Literal["pending", "in_progress", "completed", "failed"]
LARGEST_OFFSET = 2**53
LATEST = 4_102_444_800
"""The year 2100, the latest deadline."""

Cpc = Annotated[
    str,
    Field(
        pattern=r"^[0-9]{1,12}(\.[0-9]{1,18})?$",
        description="CPC, as a decimal number of at most 18 decimals, above zero",
        examples=["10.0"],
    ),
]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
UnixTime = Annotated[float, Field(ge=0, le=LATEST, allow_inf_nan=False)]


class NewTask(BaseModel):
    """A task that a customer posts. `payload` is that of the kind of job: see docs/jobs.md."""

    model_config = ConfigDict(extra="forbid", strict=True)

    challenge_type: Annotated[str, Field(min_length=1, max_length=64, examples=["synthetic"])]
    payload: Annotated[
        dict[str, Any], Field(examples=[{"seed": "00ff", "matrix_size": 256, "iterations": 1}])
    ]
    reward: Cpc
    deadline: Annotated[UnixTime, Field(description="Unix time", examples=[LATEST])]


class Posted(BaseModel):
    """A task was taken."""

    task_id: str
    status: Status
    created_at: float


class Blob(BaseModel):
    """Stored bytes, by their SHA-256; a result's own are at GET /tasks/ID/data."""

    sha256: Digest
    size: int


class TaskResult(BaseModel):
    """The result of a closed task.

    `job_payload`: what the worker was given, where it differs from the task's payload by its seed.
    """

    result_hash: Digest
    worker_address: str
    completed_at: float
    job_id: str
    proof: str | None
    job_payload: dict[str, Any] | None
    data: Blob | None


class TaskView(BaseModel):
    """A task. `payload` and the result's `data` are shown to its customer, one task at a time."""

    task_id: str
    challenge_type: str
    status: Status
    reward: str
    deadline: float
    created_at: float
    reason: str | None
    payload: dict[str, Any] | None
    result: TaskResult | None


class TaskList(BaseModel):
    """Some of the tasks, newest first, and how many there are."""

    tasks: list[TaskView]
    total: int
    limit: int
    offset: int


class CustomerAccount(BaseModel):
    """A customer's own account."""

    name: str
    credit: str


class FieldError(BaseModel):
    """An error in one field of a request."""

    type: str
    loc: list[str]
    msg: str


class Complaint(BaseModel):
    """Why a request was refused, in a sentence; `errors` where fields are wrong."""

    detail: str
    errors: list[FieldError] | None = None


class TaskQuery(BaseModel):
    """Which tasks to list. An empty `?status=` does not filter."""

    model_config = ConfigDict(extra="ignore")

    status: Status | Literal[""] | None = None
    challenge_type: Annotated[str | None, Field(max_length=64)] = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20
    offset: Annotated[int, Field(ge=0, le=LARGEST_OFFSET)] = 0


def show(
    store: Store, task: TaskRow, *, to_customer: bool = False, in_list: bool = False
) -> TaskView:
    """Return a task as it may be shown. Its result is shown once it is closed.

    `to_customer`: to its own customer, who may also see payload and data. `in_list`: without any
    payload.
    """
    result = None
    if task.status == "completed" and task.job_id is not None:
        job = store.jobs.find(task.job_id)
        assert job is not None
        result = _result(store, task, job, with_data=to_customer, with_payload=not in_list)
    return TaskView(
        task_id=task.task_id,
        challenge_type=task.challenge_type,
        status=task.status,
        reward=format_cpc(task.reward),
        deadline=task.deadline,
        created_at=task.created_at,
        reason=task.reason,
        payload=store.tasks.payload(task.task_id) if to_customer else None,
        result=result,
    )


def _result(
    store: Store, task: TaskRow, job: JobRow, *, with_data: bool, with_payload: bool
) -> TaskResult:
    assert job.result_hash is not None
    data = payload = None
    if with_payload and task.requirements.own_seed:
        payload = store.jobs.payload(job.job_id)
    if with_data and job.data is not None and job.data_size is not None:
        data = Blob(sha256=job.data, size=job.data_size)
    return TaskResult(
        result_hash=job.result_hash,
        worker_address=job.worker_address or "",
        completed_at=task.closed_at or 0.0,
        job_id=job.job_id,
        proof=job.proof,
        job_payload=payload,
        data=data,
    )
