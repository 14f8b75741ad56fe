"""The page: files of this package with translated texts. Nothing is loaded from another host."""

import html
import json
from gettext import gettext as _
from importlib import resources
from typing import Any, get_args

from starlette.responses import PlainTextResponse, Response

from engine.monitor.formatting import state_word
from engine.monitor.snapshot import DeviceState, EngineState

_TYPES = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}


class Page:
    """Answers requests for the page's files, which are read once."""

    def __init__(self) -> None:
        directory = resources.files("engine.monitor.http") / "page"
        self._files = {
            name: ((directory / name).read_text("utf-8"), media_type)
            for name, media_type in _TYPES.items()
        }
        template = (directory / "index.html").read_text("utf-8")
        self._files[""] = (_fill(template), "text/html")

    def answer(self, name: str) -> Response:
        """Return the file, or 404."""
        found = self._files.get(name)
        if found is None:
            return PlainTextResponse(_("There is no such page."), 404)
        return Response(found[0], media_type=found[1])


def _fill(template: str) -> str:
    for name, text in _words().items():
        template = template.replace(f"{{{{{name}}}}}", html.escape(text))
    return template


def _words() -> dict[str, str]:
    return {
        "lang": _("en"),  # the code of the language of these texts
        "texts": json.dumps(_texts_of_the_script(), ensure_ascii=False),
        "pause": _("Pause"),
        "resume": _("Resume"),
        "token_wanted": _("This engine needs its token:"),
        "enter": _("Enter"),
        "figures": _("Figures"),
        "devices": _("Devices"),
        "last_hour": _("The last hour"),
        "events": _("Events"),
        "no_script": _("This page needs JavaScript; /status has the same as JSON."),
    }


def _texts_of_the_script() -> dict[str, Any]:
    states = {
        state: state_word(state) for kind in (DeviceState, EngineState) for state in get_args(kind)
    }
    return {
        "states": states | {"lost": _("no answer")},
        "columns": [
            _("Device"),
            _("State"),
            _("Rate"),
            _("Tasks"),
            _("Temp"),
            _("Power"),
            _("Memory"),
            _("Last result"),
        ],
        "d": _("d"),
        "h": _("h"),
        "min": _("min"),
        "s": _("s"),
        "up": _("up {time}"),
        "now": _("now"),
        "none": _("none yet"),
        "lost": _("The engine does not answer: it has ended, or the network is gone."),
        "paused": _("Paused"),
        "since": _("since {time}: {message}"),
        "rate": _("Rate"),
        "tasks": _("{n} tasks in this run"),
        "confirmed": _("Confirmed"),
        "pending": _("{n} pending"),
        "given_up": _("Given up"),
        "taken": _("Jobs taken"),
        "declined": _("{n} declined"),
        "accepted": _("Accepted"),
        "rejected": _("{n} rejected"),
        "validators": _("Validators"),
        "blocks": _("blocks: {skipped} skipped, {missed} missed"),
        "height": _("Height"),
        "next_block": _("next block in"),
        "balance": _("Balance"),
        "fees": _("fees"),
        "temperature": _("Temperature"),
        "power": _("Power"),
        "confirmed_a_minute": _("Confirmed a minute"),
        "in_the_hour": _("{n} in the hour"),
    }
