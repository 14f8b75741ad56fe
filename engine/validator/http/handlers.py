"""The endpoints of `routes.py`: tokens, rate limits, tasks in, results out."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, HTTPException, Path, Query, Request, Response, WebSocket
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from engine.jobs.blobs import CHUNK_BYTES, BlobRef, CacheFull, MissingBlob
from engine.jobs.kind import JobRefused
from engine.poc_protocol.constants import MAX_FRAME_BYTES
from engine.poc_protocol.decoder import Decoder, Refusal
from engine.poc_protocol.frames import FROM_VALIDATOR, JobRequest, encode
from engine.poc_protocol.rate_limit import RateLimiter
from engine.validator.http import schemas
from engine.validator.job_kinds import InstalledKinds
from engine.validator.service import Service
from engine.validator.store.customers import NoCredit
from engine.validator.store.tasks import TaskDraft, TaskRow
from engine.validator.worker_socket import WorkerSocket
from node_client.errors import InvalidData
from node_client.networks import format_cpc, parse_cpc

_bearer = HTTPBearer(
    auto_error=False, scheme_name="token", description="A customer's token, cpc_..."
)
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
TaskId = Annotated[str, Path(description="UUID of the task", max_length=64)]
Sha256 = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Limits of the HTTP server. Rates: requests per second, per customer or else per address."""

    body: int = MAX_FRAME_BYTES
    posts: float = 20.0
    posts_at_once: float = 200.0
    reads: float = 50.0
    reads_at_once: float = 500.0
    workers: int = 256
    """Connections of workers at the same time."""
    workers_an_address: int = 32


class Handlers:
    """See the module. For the event loop, which runs `async` endpoints only."""

    def __init__(self, service: Service, kinds: InstalledKinds, limits: HttpLimits) -> None:
        self._service = service
        self._store = service.store
        self._kinds = kinds
        self._limits = limits
        self._posts = RateLimiter(limits.posts, limits.posts_at_once)
        self._reads = RateLimiter(limits.reads, limits.reads_at_once)
        self._workers: Counter[str] = Counter()

    async def post_task(
        self, task: schemas.NewTask, request: Request, response: Response, bearer: Bearer
    ) -> schemas.Posted:
        """Post a task. The reward is taken from the customer's credit."""
        posted = await self._post(self._customer(request, bearer), task)
        response.headers["location"] = f"/tasks/{posted.task_id}"
        return schemas.Posted(
            task_id=posted.task_id, status=posted.status, created_at=posted.created_at
        )

    async def list_tasks(
        self, query: Annotated[schemas.TaskQuery, Query()], request: Request
    ) -> schemas.TaskList:
        """Tasks, the newest first."""
        self._limit_reads(request)
        page = self._store.tasks.page(
            query.status or None, query.challenge_type or None, query.limit, query.offset
        )
        return schemas.TaskList(
            tasks=[schemas.show(self._store, task) for task in page.tasks],
            total=page.total,
            limit=query.limit,
            offset=query.offset,
        )

    async def get_task(self, task_id: TaskId, request: Request, bearer: Bearer) -> schemas.TaskView:
        """One task, with its result once it is closed; payload and data are for its customer."""
        self._limit_reads(request)
        customer = None if bearer is None else self._customer(request, bearer)
        task = self._task(task_id)
        return schemas.show(self._store, task, to_customer=task.customer == customer)

    async def get_data(
        self, task_id: TaskId, request: Request, bearer: Bearer
    ) -> StreamingResponse:
        """The result's own bytes, for the task's customer."""
        customer = self._customer(request, bearer)
        task = self._task(task_id)
        if task.customer != customer:
            raise HTTPException(403, "this is another customer's task")
        if task.is_open:
            raise HTTPException(409, "the task is not closed yet")
        job = None if task.job_id is None else self._store.jobs.find(task.job_id)
        if job is None or job.data is None or job.data_size is None:
            raise HTTPException(404, "this task's result has no data besides its hash")
        ref = BlobRef(job.data, job.data_size)
        if not self._service.blobs.has(ref):
            raise HTTPException(404, "the data was not fetched in time and is no longer stored")
        return StreamingResponse(
            self._parts(ref),
            media_type="application/octet-stream",
            headers={"content-length": str(ref.size)},
        )

    async def put_blob(self, sha256: Sha256, request: Request, bearer: Bearer) -> schemas.Blob:
        """Upload bytes that a payload will name by their SHA-256: a model, a matrix, an image."""
        self._customer(request, bearer)
        content = await request.body()
        if (await asyncio.to_thread(BlobRef.of, content)).sha256 != sha256:
            raise HTTPException(422, "the body has another SHA-256 than the path says")
        try:
            ref = await asyncio.to_thread(self._service.blobs.put, content)
        except CacheFull as error:
            raise HTTPException(507, str(error)) from None
        return schemas.Blob(sha256=ref.sha256, size=ref.size)

    async def account(self, request: Request, bearer: Bearer) -> schemas.CustomerAccount:
        """The customer's own account."""
        name = self._customer(request, bearer)
        credit = self._store.customers.credit(name)
        return schemas.CustomerAccount(name=name, credit=format_cpc(credit))

    async def serve_worker(self, socket: WebSocket) -> None:
        """Serve a worker's connection, unless there are too many."""
        address = _address(socket)
        full = self._workers.total() >= self._limits.workers
        if full or self._workers[address] >= self._limits.workers_an_address:
            await socket.close(1013, "there are too many connections: try again later")
            return
        self._workers[address] += 1
        try:
            await WorkerSocket(socket, self._service, self._kinds.limits.data_bytes).serve()
        finally:
            self._workers[address] -= 1
            self._workers = +self._workers

    def _customer(self, request: Request, bearer: Bearer) -> str:
        """Return whose token this is. Raises 401, or 429, also for those who guess tokens."""
        name = None if bearer is None else self._store.customers.by_token(bearer.credentials)
        if name is None:
            self._limit_reads(request)
            raise HTTPException(
                401,
                "a customer's token is needed: Authorization: Bearer cpc_...",
                headers={"WWW-Authenticate": "Bearer"},
            )
        _demand(self._posts.take(name))
        return name

    def _limit_reads(self, request: Request) -> None:
        """Raise 429 where this address asks too often."""
        _demand(self._reads.take(_address(request)))

    async def _post(self, customer: str, task: schemas.NewTask) -> TaskRow:
        """Take a task, or raise what is wrong with it."""
        if task.deadline <= self._store.clock():
            raise HTTPException(409, "the deadline has passed")
        payload = dict(task.payload)
        if payload.setdefault("challenge_type", task.challenge_type) != task.challenge_type:
            raise HTTPException(422, "the payload names another challenge_type than the task")
        try:
            reward = parse_cpc(task.reward)
            requirements = await asyncio.to_thread(self._kinds.requirements, payload)
            await asyncio.to_thread(_check_frame, payload)
            return self._service.post(
                TaskDraft(customer, payload, requirements, reward, task.deadline)
            )
        except (JobRefused, InvalidData) as error:
            raise HTTPException(422, str(error)) from None
        except MissingBlob as error:
            raise HTTPException(409, f"{error}: PUT /blobs/{error.ref.sha256}") from None
        except NoCredit as error:
            raise HTTPException(402, str(error)) from None

    def _task(self, task_id: str) -> TaskRow:
        task = self._store.tasks.task(task_id)
        if task is None:
            raise HTTPException(404, "there is no such task")
        return task

    def _parts(self, ref: BlobRef) -> Iterator[bytes]:
        with self._service.blobs.holding([ref]):
            for offset in range(0, ref.size, CHUNK_BYTES):
                yield self._service.blobs.read(ref, offset, CHUNK_BYTES)


def _check_frame(payload: dict[str, object]) -> None:
    """Raise 422 for a payload whose frame no worker would take: too deep, too large, not JSON."""
    try:
        json.dumps(payload, ensure_ascii=False).encode()  # a lone surrogate cannot be
        text = encode(JobRequest(job_id="0" * 32, task_id="0" * 36, payload=payload, deadline=0.0))
    except (ValueError, RecursionError) as error:
        raise HTTPException(422, f"the payload cannot be sent: {error}") from None
    if isinstance(refusal := Decoder(FROM_VALIDATOR).decode(text), Refusal):
        raise HTTPException(422, f"the payload cannot be sent: {refusal.detail}")


def _demand(wait: float) -> None:
    if wait > 0:
        seconds = str(max(1, round(wait)))
        raise HTTPException(
            429, f"too many requests: try again in {seconds} s", headers={"Retry-After": seconds}
        )


def _address(connection: Request | WebSocket) -> str:
    return connection.client.host if connection.client is not None else "unknown"
