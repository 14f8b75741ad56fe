"""The market over HTTP, and the workers' door: an ASGI application.

    app = create_app(service, kinds, HttpLimits())      # /docs shows it, /openapi.json describes it

Anybody may look at tasks; posting, bytes in and bytes out are for customers, by their token. A body
is parsed no deeper, and taken no longer, than a worker would take it, and a stranger's is short.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Path, Query, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from engine import __version__
from engine.validator.http import schemas as messages
from engine.validator.http.body_limit import BodyLimit
from engine.validator.http.handlers import Counter, HttpLimits
from engine.validator.job_kinds import InstalledKinds
from engine.validator.service import Service

MOST_FAULTS = 10
"""Of a request's shape that are told."""

_bearer = HTTPBearer(
    auto_error=False, scheme_name="token", description="A customer's token, cpc_..."
)
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
TaskId = Annotated[str, Path(description="UUID of the task", max_length=64)]
Sha256 = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]

_OPTIONAL_TOKEN: dict[str, Any] = {"security": [{}, {"token": []}]}


def create_app(
    service: Service,
    kinds: InstalledKinds,
    limits: HttpLimits,
    *,
    run: Callable[[asyncio.Event], Awaitable[None]] | None = None,
) -> FastAPI:
    """The application. `run` is what goes on beside it from its start to its end: `service.run`."""
    app = FastAPI(
        title="ComputeChain task market",
        version=__version__,
        description=__doc__,
        lifespan=_beside(run or service.run),
        responses={429: {"model": messages.Complaint, "description": "Too many requests"}},
    )
    counter = Counter(service, kinds, limits)
    app.add_middleware(
        BodyLimit,
        most=limits.body,
        most_blob=kinds.limits.data_bytes,
        knows=lambda token: service.books.customers.by_token(token) is not None,
    )
    app.add_exception_handler(RequestValidationError, _refuse_shape)
    app.add_exception_handler(405, _refuse_method)
    refused: dict[int | str, dict[str, Any]] = {
        status: {"model": messages.Complaint, "description": why}
        for status, why in {
            400: "The body is no JSON",
            401: "No valid token",
            402: "The customer's credit does not cover the reward",
            403: "Another customer's",
            404: "There is none",
            409: "It cannot be done as things stand",
            413: "The body is too long",
            422: "Not a valid request",
            507: "There is no room for it",
        }.items()
    }

    def may(*statuses: int) -> dict[int | str, dict[str, Any]]:
        return {status: refused[status] for status in statuses}

    @app.post(
        "/tasks",
        status_code=201,
        response_model=messages.Posted,
        responses=may(400, 401, 402, 409, 413, 422),
    )
    async def post_task(
        task: messages.NewTask, request: Request, response: Response, bearer: Bearer
    ) -> messages.Posted:
        """Post a task. The reward is taken from the customer's credit."""
        customer = counter.customer(request, bearer)
        posted = await counter.post(customer, task)
        response.headers["location"] = f"/tasks/{posted.task_id}"
        return messages.Posted(
            task_id=posted.task_id,
            status=posted.status,
            created_at=posted.created_at,
        )

    @app.get(
        "/tasks",
        response_model=messages.TaskList,
        responses=may(422),
        openapi_extra=_OPTIONAL_TOKEN,
    )
    async def list_tasks(
        query: Annotated[messages.Query, Query()], request: Request
    ) -> messages.TaskList:
        """Tasks, the newest first."""
        counter.meter_reads(request)
        page = service.books.tasks.page(
            query.status or None, query.challenge_type or None, query.limit, query.offset
        )
        return messages.TaskList(
            tasks=[messages.show(service.books, task) for task in page.tasks],
            total=page.total,
            limit=query.limit,
            offset=query.offset,
        )

    @app.get(
        "/tasks/{task_id}",
        response_model=messages.TaskView,
        responses=may(401, 404, 422),
        openapi_extra=_OPTIONAL_TOKEN,
    )
    async def get_task(task_id: TaskId, request: Request, bearer: Bearer) -> messages.TaskView:
        """One task, with its result once it is closed; payload and data are for its customer."""
        counter.meter_reads(request)
        customer = None if bearer is None else counter.customer(request, bearer)
        task = counter.task(task_id)
        return messages.show(service.books, task, to_customer=task.customer == customer)

    @app.get(
        "/tasks/{task_id}/data",
        response_class=StreamingResponse,
        responses=may(401, 403, 404, 409, 422)
        | {200: {"content": {"application/octet-stream": {}}}},
    )
    async def get_data(task_id: TaskId, request: Request, bearer: Bearer) -> StreamingResponse:
        """The result's own bytes, for the task's customer."""
        customer = counter.customer(request, bearer)
        task = counter.task(task_id)
        if task.customer != customer:
            raise HTTPException(403, "this is another customer's task")
        return counter.data(task)

    @app.put(
        "/blobs/{sha256}",
        response_model=messages.Blob,
        responses=may(401, 409, 413, 422, 507),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/octet-stream": {"schema": {"type": "string"}}},
            }
        },
    )
    async def put_blob(sha256: Sha256, request: Request, bearer: Bearer) -> messages.Blob:
        """Hand in bytes that a payload will name by their SHA-256: a model, a matrix, an image."""
        counter.customer(request, bearer)
        return await counter.keep(sha256, request)

    @app.get("/account", response_model=messages.Account, responses=may(401))
    async def account(request: Request, bearer: Bearer) -> messages.Account:
        """The customer's own account."""
        return counter.account(counter.customer(request, bearer))

    @app.websocket("/worker")
    async def worker(socket: WebSocket) -> None:
        await counter.let_in(socket)

    return app


def _beside(run: Callable[[asyncio.Event], Awaitable[None]]) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        stopping = asyncio.Event()
        running = asyncio.ensure_future(run(stopping))
        try:
            yield
        finally:
            stopping.set()
            await running

    return lifespan


async def _refuse_shape(_request: Request, error: Exception) -> Response:
    """422 with what is wrong and where; the input is not repeated, not all of it being JSON."""
    assert isinstance(error, RequestValidationError)
    faults = [
        messages.Fault(type=one["type"], loc=[str(part) for part in one["loc"]], msg=one["msg"])
        for one in error.errors()[:MOST_FAULTS]
    ]
    told = "; ".join(f"{'.'.join(fault.loc[1:]) or 'request'}: {fault.msg}" for fault in faults)
    complaint = messages.Complaint(detail=told, errors=faults)
    status = 400 if any(fault.type == "json_invalid" for fault in faults) else 422
    return JSONResponse(complaint.model_dump(), status)


async def _refuse_method(request: Request, _error: Exception) -> Response:
    """405, with every method that the path has: Starlette names those of one route only."""
    allowed = {
        method
        for route in request.app.routes
        if getattr(route, "path_regex", None) and route.path_regex.match(request.url.path)
        for method in getattr(route, "methods", None) or ()
    }
    headers = {"allow": ", ".join(sorted(allowed))}
    return JSONResponse({"detail": "this path has no such method"}, 405, headers)
