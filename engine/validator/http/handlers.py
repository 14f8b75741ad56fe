"""The endpoints of `routes.py`: tokens, rate limits, tasks in, results out."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, HTTPException, Path, Query, Request, Response, WebSocket
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from engine.jobs.blobs import CHUNK_BYTES, BlobRef, CacheFull, WrongBlob
from engine.poc_protocol.constants import MAX_FRAME_BYTES
from engine.poc_protocol.rate_limit import RateLimiter
from engine.runtime.errors import BadInput, DatabaseError
from engine.validator.http import schemas
from engine.validator.http.bodies import Bodies, BodyLimits, declared_size, too_long
from engine.validator.http.read_task import ReadTask, read_task
from engine.validator.job_kinds import InstalledKinds
from engine.validator.seats import Seats
from engine.validator.service import Service
from engine.validator.store.customers import NoCredit
from engine.validator.store.tasks import TaskDraft, TaskRow
from engine.validator.turns import LineFull
from engine.validator.worker_socket import WorkerSocket
from node_client.networks import format_cpc

UPLOADS_AT_ONCE = 2
"""Of one customer."""
_CLOSE = {"Connection": "close"}
"""With a refusal before the body: it is not read, and the connection ends."""

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
    bytes: float = 8 * 2.0**20
    bytes_at_once: float = 256 * 2.0**20
    """Of bodies, each customer."""
    values: float = 100_000.0
    values_at_once: float = 2.0**21
    """Of JSON in them."""
    bodies: BodyLimits = field(default_factory=BodyLimits)
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
        self._bytes = RateLimiter(limits.bytes, limits.bytes_at_once)
        self._values = RateLimiter(limits.values, limits.values_at_once)
        self._bodies = Bodies(limits.bodies)
        self._uploading: Counter[str] = Counter()
        self._seats = Seats(limits.workers, limits.workers_an_address)

    async def post_task(
        self, request: Request, response: Response, bearer: Bearer
    ) -> schemas.Posted:
        """Post a task. The reward is taken from the customer's credit."""
        customer = self._customer(request, bearer)
        if not self._store.customers.credit(customer):
            raise HTTPException(402, f"{customer} has no credit", headers=_CLOSE)
        self._meter(customer, request, self._limits.body)
        async with self._bodies.read(customer, request, self._limits.body) as body:
            read = await self._in_turn(customer, read_task, body, self._kinds)
        self._values.reserve(customer, read.values)
        posted = await self._post(customer, read)
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
            tasks=[schemas.show(self._store, task, in_list=True) for task in page.tasks],
            total=page.total,
            limit=query.limit,
            offset=query.offset,
        )

    async def get_task(self, task_id: TaskId, request: Request, bearer: Bearer) -> schemas.TaskView:
        """One task, with its result once it is closed; payload and data are for its customer."""
        self._limit_reads(request)
        customer = None if bearer is None else self._customer(request, bearer)
        task = self._task(task_id)
        if task.customer != customer:
            return schemas.show(self._store, task)
        _demand(self._bytes.take(customer, len(self._store.tasks.text(task_id))))
        return schemas.show(self._store, task, to_customer=True)

    async def get_data(
        self, task_id: TaskId, request: Request, bearer: Bearer
    ) -> StreamingResponse:
        """The result's own bytes, for the task's customer."""
        task = self._closed_task(task_id, request, bearer)
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

    async def get_receipt(self, task_id: TaskId, request: Request, bearer: Bearer) -> Response:
        """The signed receipt of a completed task, for its customer: see docs/receipts.md."""
        self._closed_task(task_id, request, bearer)
        if (content := self._store.receipts.find(task_id)) is None:
            raise HTTPException(404, "this task has no receipt")
        return Response(content, media_type="application/json")

    async def put_blob(self, sha256: Sha256, request: Request, bearer: Bearer) -> schemas.Blob:
        """Upload bytes that a payload will name by their SHA-256: a model, a matrix, an image.

        They go to the disk as they come.
        """
        customer = self._customer(request, bearer)
        if "content-length" not in request.headers:
            raise HTTPException(411, "say how long the body is", headers=_CLOSE)
        ref = BlobRef(sha256, declared_size(request))
        if ref.size > self._kinds.limits.data_bytes:
            raise too_long(self._kinds.limits.data_bytes)
        if self._uploading[customer] >= UPLOADS_AT_ONCE:
            raise HTTPException(
                429,
                "other uploads of yours are not complete",
                headers=_CLOSE | {"Retry-After": "1"},
            )
        self._meter(customer, request, ref.size)
        self._uploading[customer] += 1
        try:
            self._store.uploads.begin(customer, ref.sha256, ref.size)
            await self._receive(ref, request)
        except NoCredit as error:
            raise HTTPException(402, str(error), headers=_CLOSE) from None
        except CacheFull as error:
            raise HTTPException(507, str(error), headers=_CLOSE) from None
        except WrongBlob:
            raise HTTPException(422, "the body has another SHA-256 than the path says") from None
        except DatabaseError:
            raise
        except (BadInput, OSError):
            raise HTTPException(507, "the validator's disk is full", headers=_CLOSE) from None
        finally:
            self._uploading[customer] -= 1
            self._uploading = +self._uploading
        return schemas.Blob(sha256=ref.sha256, size=ref.size)

    async def account(self, request: Request, bearer: Bearer) -> schemas.CustomerAccount:
        """The customer's own account."""
        name = self._customer(request, bearer)
        credit = self._store.customers.credit(name)
        return schemas.CustomerAccount(name=name, credit=format_cpc(credit))

    async def serve_worker(self, socket: WebSocket) -> None:
        """Serve a worker's connection, unless there are too many."""
        seat = self._seats.enter(_address(socket))
        if seat is None:
            await socket.close(1013, "there are too many connections: try again later")
            return
        try:
            await WorkerSocket(socket, self._service, self._kinds.limits.data_bytes, seat).serve()
        finally:
            self._seats.free(seat)

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

    def _meter(self, customer: str, request: Request, most: int) -> None:
        """Raise 429 for a customer that sent too much lately. Its body is not read yet."""
        known = "content-length" in request.headers
        _demand(self._values.take(customer, 0))
        _demand(self._bytes.take(customer, min(most, declared_size(request)) if known else most))

    async def _in_turn[*Args, T](
        self, customer: str, work: Callable[[*Args], T], *args: *Args
    ) -> T:
        try:
            return await self._service.turns.run(customer, work, *args)
        except LineFull as error:
            raise HTTPException(429, str(error), headers={"Retry-After": "1"}) from None

    async def _post(self, customer: str, read: ReadTask) -> TaskRow:
        """Take a task, or raise what is wrong with it."""
        if read.deadline <= self._store.clock():
            raise HTTPException(409, "the deadline has passed")
        try:
            return await self._service.post(
                TaskDraft(customer, read.text, read.requirements, read.reward, read.deadline)
            )
        except NoCredit as error:
            raise HTTPException(402, str(error)) from None

    async def _receive(self, ref: BlobRef, request: Request) -> None:
        """Write a body to the cache. Raises CacheFull, WrongBlob."""
        receiving = await asyncio.to_thread(self._service.blobs.receive, ref)
        try:
            part = bytearray()
            async for piece in self._bodies.pieces(request, ref.size):
                part += piece
                if len(part) >= CHUNK_BYTES:
                    await asyncio.to_thread(receiving.add, receiving.next_offset, bytes(part))
                    part.clear()
            if part:
                await asyncio.to_thread(receiving.add, receiving.next_offset, bytes(part))
        finally:
            receiving.abandon()

    def _closed_task(self, task_id: str, request: Request, bearer: Bearer) -> TaskRow:
        """Return a customer's own task, which must be closed."""
        customer = self._customer(request, bearer)
        task = self._task(task_id)
        if task.customer != customer:
            raise HTTPException(403, "this is another customer's task")
        if task.is_open:
            raise HTTPException(409, "the task is not closed yet")
        return task

    def _task(self, task_id: str) -> TaskRow:
        task = self._store.tasks.task(task_id)
        if task is None:
            raise HTTPException(404, "there is no such task")
        return task

    def _parts(self, ref: BlobRef) -> Iterator[bytes]:
        with self._service.blobs.holding([ref]):
            for offset in range(0, ref.size, CHUNK_BYTES):
                yield self._service.blobs.read(ref, offset, CHUNK_BYTES)


def _demand(wait: float) -> None:
    if wait > 0:
        seconds = str(max(1, round(wait)))
        raise HTTPException(
            429, f"too many requests: try again in {seconds} s", headers={"Retry-After": seconds}
        )


def _address(connection: Request | WebSocket) -> str:
    return connection.client.host if connection.client is not None else "unknown"
