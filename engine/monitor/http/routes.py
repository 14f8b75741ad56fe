"""The routes of a running engine.

app = create_app(monitor, control)    # an ASGI application
app = AuthMiddleware(app, token)             # for a port; the user's own socket needs no token

/openapi.json describes them.
"""

from fastapi import FastAPI, Request, Response
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from pydantic import BaseModel, Field
from starlette.types import ASGIApp, Receive, Scope, Send

from engine import __version__
from engine.monitor.control import Control
from engine.monitor.history import HistoryView, Span
from engine.monitor.http.health import Health, health
from engine.monitor.http.metrics import Metrics
from engine.monitor.http.static import Page
from engine.monitor.snapshot import Snapshot
from engine.monitor.state import Monitor


class Asked(BaseModel):
    """What was asked for; the state follows within a second."""

    asked: str = Field(description='"pause" or "resume"')


class HeadAsGet:
    """Middleware that answers HEAD as GET; the server leaves the body out (RFC 9110, 9.3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)


def create_app(monitor: Monitor, control: Control, explorer: str = "") -> FastAPI:
    """Return the application; `auth.py` decides who may use it. `explorer`: see `static.Page`."""
    app = FastAPI(
        title="cpc-engine",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        description="A running engine: its state, its metrics, pause and resume.",
    )
    app.add_middleware(HeadAsGet)
    registry = CollectorRegistry()
    registry.register(Metrics(monitor))
    page = Page("index.html", explorer=explorer)

    @app.get("/status")
    async def status() -> Snapshot:
        """Return the engine's state."""
        return monitor.snapshot()

    @app.get("/history")
    async def history(span: Span = "hour") -> HistoryView:
        """Return the last hour, day or month in 360 steps at most."""
        return monitor.history(span)

    @app.get("/healthz", responses={503: {"model": Health}})
    async def healthz(response: Response) -> Health:
        """Answer 200 if the loop is alive, a device is in service and nothing stops it; else 503."""
        found = health(monitor.snapshot())
        response.status_code = 200 if found.healthy else 503
        return found

    @app.get("/metrics", response_class=Response)
    async def metrics(request: Request) -> Response:
        """Return metrics for Prometheus, as text or as OpenMetrics."""
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), media_type=content_type)

    @app.post("/pause", status_code=202)
    async def pause() -> Asked:
        """Assign no work to any device until /resume."""
        control.pause()
        return Asked(asked="pause")

    @app.post("/resume", status_code=202)
    async def resume() -> Asked:
        """End what /pause began. Heat, battery and quiet hours may still pause devices."""
        control.resume()
        return Asked(asked="resume")

    @app.get("/{name}", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    async def files(request: Request, name: str = "") -> Response:
        return page.answer(name, request.headers.get("accept-language", ""))

    return app
