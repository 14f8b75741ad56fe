"""The market over HTTP, and the WebSocket of workers: an ASGI application.

    app = create_app(service, kinds, HttpLimits())      # /docs shows it, /openapi.json describes it

Anyone may look at tasks; posting tasks and transferring bytes needs a customer's token. A body may be
as long and as deeply nested as a worker would take it, and without a token it must be short.
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
from engine.validator.http import schemas
from engine.validator.http.body_limit import BodyLimit
from engine.validator.http.handlers import Handlers, HttpLimits
from engine.validator.job_kinds import InstalledKinds
from engine.validator.service import Service

MOST_ERRORS = 10
"""Errors in a request's fields that are listed."""

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
    """Return the application. `run` runs beside it from start to end, by default `service.run`."""
    app = FastAPI(
        title="ComputeChain task market",
        version=__version__,
        description=__doc__,
        lifespan=_lifespan_of(run or service.run),
        responses={429: {"model": schemas.Complaint, "description": "Too many requests"}},
    )
    handlers = Handlers(service, kinds, limits)
    app.add_middleware(
        BodyLimit,
        most=limits.body,
        most_blob=kinds.limits.data_bytes,
        knows=lambda token: service.store.customers.by_token(token) is not None,
    )
    app.add_exception_handler(RequestValidationError, _refuse_fields)
    app.add_exception_handler(405, _refuse_method)
    refused: dict[int | str, dict[str, Any]] = {
        status: {"model": schemas.Complaint, "description": why}
        for status, why in {
            400: "The body is not valid JSON",
            401: "No valid token",
            402: "The customer's credit does not cover the reward",
            403: "Another customer's",
            404: "Not found",
            409: "Not possible in the present state",
            413: "The body is too long",
            422: "Not a valid request",
            507: "No room for it",
        }.items()
    }

    def may(*statuses: int) -> dict[int | str, dict[str, Any]]:
        return {status: refused[status] for status in statuses}

    @app.post(
        "/tasks",
        status_code=201,
        response_model=schemas.Posted,
        responses=may(400, 401, 402, 409, 413, 422),
    )
    async def post_task(
        task: schemas.NewTask, request: Request, response: Response, bearer: Bearer
    ) -> schemas.Posted:
        """Post a task. The reward is taken from the customer's credit."""
        customer = handlers.customer(request, bearer)
        posted = await handlers.post(customer, task)
        response.headers["location"] = f"/tasks/{posted.task_id}"
        return schemas.Posted(
            task_id=posted.task_id,
            status=posted.status,
            created_at=posted.created_at,
        )

    @app.get(
        "/tasks",
        response_model=schemas.TaskList,
        responses=may(422),
        openapi_extra=_OPTIONAL_TOKEN,
    )
    async def list_tasks(
        query: Annotated[schemas.TaskQuery, Query()], request: Request
    ) -> schemas.TaskList:
        """Tasks, the newest first."""
        handlers.limit_reads(request)
        page = service.store.tasks.page(
            query.status or None, query.challenge_type or None, query.limit, query.offset
        )
        return schemas.TaskList(
            tasks=[schemas.show(service.store, task) for task in page.tasks],
            total=page.total,
            limit=query.limit,
            offset=query.offset,
        )

    @app.get(
        "/tasks/{task_id}",
        response_model=schemas.TaskView,
        responses=may(401, 404, 422),
        openapi_extra=_OPTIONAL_TOKEN,
    )
    async def get_task(task_id: TaskId, request: Request, bearer: Bearer) -> schemas.TaskView:
        """One task, with its result once it is closed; payload and data are for its customer."""
        handlers.limit_reads(request)
        customer = None if bearer is None else handlers.customer(request, bearer)
        task = handlers.task(task_id)
        return schemas.show(service.store, task, to_customer=task.customer == customer)

    @app.get(
        "/tasks/{task_id}/data",
        response_class=StreamingResponse,
        responses=may(401, 403, 404, 409, 422)
        | {200: {"content": {"application/octet-stream": {}}}},
    )
    async def get_data(task_id: TaskId, request: Request, bearer: Bearer) -> StreamingResponse:
        """The result's own bytes, for the task's customer."""
        customer = handlers.customer(request, bearer)
        task = handlers.task(task_id)
        if task.customer != customer:
            raise HTTPException(403, "this is another customer's task")
        return handlers.data(task)

    @app.put(
        "/blobs/{sha256}",
        response_model=schemas.Blob,
        responses=may(401, 409, 413, 422, 507),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/octet-stream": {"schema": {"type": "string"}}},
            }
        },
    )
    async def put_blob(sha256: Sha256, request: Request, bearer: Bearer) -> schemas.Blob:
        """Hand in bytes that a payload will name by their SHA-256: a model, a matrix, an image."""
        handlers.customer(request, bearer)
        return await handlers.keep(sha256, request)

    @app.get("/account", response_model=schemas.CustomerAccount, responses=may(401))
    async def account(request: Request, bearer: Bearer) -> schemas.CustomerAccount:
        """The customer's own account."""
        return handlers.account(handlers.customer(request, bearer))

    @app.websocket("/worker")
    async def worker(socket: WebSocket) -> None:
        await handlers.serve_worker(socket)

    return app


def _lifespan_of(run: Callable[[asyncio.Event], Awaitable[None]]) -> Callable[[FastAPI], Any]:
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


async def _refuse_fields(_request: Request, error: Exception) -> Response:
    """Answer 422 with what is wrong and where; without the input, which may not be JSON."""
    assert isinstance(error, RequestValidationError)
    errors = [
        schemas.FieldError(type=one["type"], loc=[str(part) for part in one["loc"]], msg=one["msg"])
        for one in error.errors()[:MOST_ERRORS]
    ]
    detail = "; ".join(f"{'.'.join(one.loc[1:]) or 'request'}: {one.msg}" for one in errors)
    complaint = schemas.Complaint(detail=detail, errors=errors)
    status = 400 if any(one.type == "json_invalid" for one in errors) else 422
    return JSONResponse(complaint.model_dump(), status)


async def _refuse_method(request: Request, _error: Exception) -> Response:
    """Answer 405 with every method of the path: Starlette names those of one route only."""
    allowed = {
        method
        for route in request.app.routes
        if getattr(route, "path_regex", None) and route.path_regex.match(request.url.path)
        for method in getattr(route, "methods", None) or ()
    }
    headers = {"allow": ", ".join(sorted(allowed))}
    return JSONResponse({"detail": "this path has no such method"}, 405, headers)
