"""Many rigs on one page: `cpc-engine fleet URL... --http ADDRESS:PORT`.

    with FleetWatch(fleet, every=5.0) as watch:
        app = AuthMiddleware(create_fleet_app(watch), token)

This program asks the rigs, once for all who look; a browser asks this program only. Nobody pauses a rig
from here.
"""

import threading
from collections.abc import Sequence

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, Field

from engine import __version__
from engine.monitor.fleet import Fleet, Rig
from engine.monitor.http.routes import HeadAsGet
from engine.monitor.http.static import Page
from engine.runtime.closing import Closing


class RigView(BaseModel):
    """A row of the page; null where the rig did not answer."""

    url: str
    state: str = Field(description="of its engine; lost: it does not answer")
    trouble: str = Field(description="what is wrong, empty where nothing is")
    devices: int | None = None
    in_service: int | None = None
    tops: float | None = None
    watts: float | None = Field(None, description="of all cards with a reading")
    confirmed: int | None = None
    pending: int | None = None

    @classmethod
    def of(cls, rig: Rig) -> "RigView":
        """Return the row of a rig."""
        if (seen := rig.snapshot) is None:
            return cls(url=rig.url, state="lost", trouble=rig.trouble)
        watts = [one.power for one in seen.devices if one.power is not None]
        return cls(
            url=rig.url,
            state=seen.state,
            trouble=rig.trouble,
            devices=len(seen.devices),
            in_service=len(seen.in_service),
            tops=seen.tops,
            watts=sum(watts) if watts else None,
            confirmed=seen.results.confirmed,
            pending=seen.results.pending,
        )


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
