"""Many rigs on one page: `cpc-engine fleet URL... --http ADDRESS:PORT`.

    with FleetWatch(fleet, every=5.0) as watch:
        app = AuthMiddleware(create_fleet_app(watch), token)

This program asks the rigs, once for all who look; a browser asks this program only. Nobody pauses a rig
from here.
"""

import threading
from collections.abc import Sequence

from fastapi import FastAPI, Request, Response

from engine import __version__
from engine.monitor.fleet import Fleet, RigView
from engine.monitor.http.routes import HeadAsGet
from engine.monitor.http.static import Page
from engine.runtime.closing import Closing


class FleetWatch(Closing):
    """Asks the rigs again and again in a thread; `rows` are the newest answers."""

    def __init__(self, fleet: Fleet, every: float) -> None:
        """`every`: seconds between two rounds."""
        self.rows: Sequence[RigView] = ()
        self._fleet, self._every = fleet, every
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="fleet", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the rounds."""
        self._ended.set()
        self._thread.join(timeout=1.0)

    def _watch(self) -> None:
        while not self._ended.is_set():
            self.rows = [RigView.of(rig) for rig in self._fleet.look()]
            self._ended.wait(self._every)


def create_fleet_app(watch: FleetWatch) -> FastAPI:
    """Return the application; `auth.py` decides who may use it."""
    app = FastAPI(title="cpc-engine fleet", version=__version__, docs_url=None, redoc_url=None)
    app.add_middleware(HeadAsGet)
    page = Page("fleet.html")

    @app.get("/rigs")
    async def rigs() -> list[RigView]:
        """Return a row for each rig, in the order of the command line."""
        return list(watch.rows)

    @app.get("/{name}", include_in_schema=False)
    @app.get("/", include_in_schema=False)
    async def files(request: Request, name: str = "") -> Response:
        return page.answer(name, request.headers.get("accept-language", ""))

    return app
