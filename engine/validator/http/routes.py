"""The market over HTTP, and the WebSocket of workers: an ASGI application.

    app = create_app(service, kinds, HttpLimits())      # /docs shows it, /openapi.json describes it

Anyone may look at tasks; posting tasks and transferring bytes needs the token of a customer that has
credit. Both are checked before a body is read, which may then be as long and as deeply nested as a
worker would take it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse

from engine import __version__
from engine.runtime.errors import DatabaseError
from engine.validator.http import schemas
from engine.validator.http.handlers import Handlers, HttpLimits
from engine.validator.job_kinds import InstalledKinds
from engine.validator.service import Service

MOST_ERRORS = 10
"""Errors in a request's fields that are listed."""

_OPTIONAL_TOKEN: dict[str, Any] = {"security": [{}, {"token": []}]}
_BYTES: dict[str, Any] = {"application/octet-stream": {"schema": {"type": "string"}}}
_TASK: dict[str, Any] = {"application/json": {"schema": schemas.NewTask.model_json_schema()}}
_REFUSALS = {
    400: "The body is not valid JSON",
    401: "No valid token",
    402: "The customer's credit does not cover it",
    403: "Another customer's",
    404: "Not found",
    408: "The body takes too long",
    409: "Not possible in the present state",
    411: "The body's length is not given",
    413: "The body is too long",
    422: "Not a valid request",
    507: "No room for it",
}


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
    app.add_exception_handler(RequestValidationError, _refuse_fields)
    app.add_exception_handler(DatabaseError, _refuse_for_now)
    app.add_exception_handler(405, _refuse_method)
    _add_routes(app, Handlers(service, kinds, limits))
    return app


def _add_routes(app: FastAPI, handlers: Handlers) -> None:
    route, extra = app.add_api_route, _OPTIONAL_TOKEN
    route(
        "/tasks",
        handlers.post_task,
        methods=["POST"],
        status_code=201,
        responses=_refusals(400, 401, 402, 408, 409, 413, 422),
        openapi_extra={"requestBody": {"required": True, "content": _TASK}},
    )
    route("/tasks", handlers.list_tasks, responses=_refusals(422), openapi_extra=extra)
    may_get = _refusals(401, 404, 422)
    route("/tasks/{task_id}", handlers.get_task, responses=may_get, openapi_extra=extra)
    route(
        "/tasks/{task_id}/data",
        handlers.get_data,
        response_class=StreamingResponse,
        responses=_refusals(401, 403, 404, 409, 422)
        | {200: {"content": {"application/octet-stream": {}}}},
    )
    route(
        "/tasks/{task_id}/receipt",
        handlers.get_receipt,
        response_class=Response,
        responses=_refusals(401, 403, 404, 409, 422)
        | {200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
    )
    route(
        "/blobs/{sha256}",
        handlers.put_blob,
        methods=["PUT"],
        responses=_refusals(400, 401, 402, 408, 411, 413, 422, 507),
        openapi_extra={"requestBody": {"required": True, "content": _BYTES}},
    )
    route("/account", handlers.account, responses=_refusals(401))
    app.add_api_websocket_route("/worker", handlers.serve_worker)


def _refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {
        status: {"model": schemas.Complaint, "description": _REFUSALS[status]}
        for status in statuses
    }


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


async def _refuse_for_now(_request: Request, _error: Exception) -> Response:
    """Answer 503: whether a task was taken is not known, as `GET /tasks` will tell."""
    detail = "the validator's database does not answer: try again in a moment"
    return JSONResponse({"detail": detail}, 503, {"Retry-After": "5"})


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
