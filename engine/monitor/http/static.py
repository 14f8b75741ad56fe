"""The page: files of this package with translated texts. Nothing is loaded from another host.

    page = Page("index.html", explorer="https://explorer.example/tx/{tx}")
    page.answer("", "ru, en;q=0.8")     # in the first language of the browser that there is

Without one that there is, it speaks the program's.
"""

import html
import json
from collections.abc import Callable
from gettext import gettext
from importlib import resources
from typing import Any, get_args

from starlette.responses import PlainTextResponse, Response

from engine.monitor.formatting import state_word
from engine.monitor.snapshot import DeviceState, EngineState
from engine.runtime.i18n import LANGUAGES, translator

_TYPES = {
    "page.css": "text/css",
    "common.js": "text/javascript",
    "page.js": "text/javascript",
    "charts.js": "text/javascript",
    "fleet.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


Speak = Callable[[str], str]


class Page:
    """Answers requests for the page's files, which are read once."""

    def __init__(self, template: str, *, explorer: str = "") -> None:
        """`explorer`: the URL of a transaction, with {tx} where its hash goes; or nothing."""
        directory = resources.files("engine.monitor.http") / "page"
        self._files = {
            name: ((directory / name).read_text("utf-8"), media_type)
            for name, media_type in _TYPES.items()
        }
        text = (directory / template).read_text("utf-8")
        spoken = {"": gettext} | {language: translator(language) for language in LANGUAGES}
        self._pages = {
            language: _fill(text, _words(speak) | {"explorer": explorer})
            for language, speak in spoken.items()
        }

    def answer(self, name: str, languages: str = "") -> Response:
        """Return the file, or 404. `languages`: Accept-Language (RFC 9110, 12.5.4)."""
        if not name:
            page = self._pages[_first_spoken(languages)]
            return Response(page, media_type="text/html", headers={"Vary": "Accept-Language"})
        found = self._files.get(name)
        if found is None:
            return PlainTextResponse(gettext("There is no such page."), 404)
        return Response(found[0], media_type=found[1])


def _first_spoken(asked: str) -> str:
    """Return the language that is spoken here and weighs most in Accept-Language; else ""."""
    best, weight = "", 0.0
    for part in asked.split(","):
        tag, _semicolon, quality = part.partition(";")
        language = tag.strip().lower().partition("-")[0]
        try:
            weighs = float(quality.strip().removeprefix("q=") or 1.0)
        except ValueError:
            continue
        if language in LANGUAGES and weighs > weight:
            best, weight = language, weighs
    return best


def _fill(template: str, words: dict[str, str]) -> str:
    for name, text in words.items():
        template = template.replace(f"{{{{{name}}}}}", html.escape(text))
    return template


def _words(_: Speak) -> dict[str, str]:
    return {
        "lang": _("en"),  # the code of the language of these texts
        "texts": json.dumps(_texts_of_the_script(_), ensure_ascii=False),
        "fleet_texts": json.dumps(_texts_of_the_fleet(_), ensure_ascii=False),
        "pause": _("Pause"),
        "resume": _("Resume"),
        "token_wanted": _("This engine needs its token:"),
        "enter": _("Enter"),
        "figures": _("Figures"),
        "devices": _("Devices"),
        "rigs": _("Rigs"),
        "charts": _("Charts"),
        "hour": _("Hour"),
        "day": _("Day"),
        "month": _("Month"),
        "events": _("Events"),
        "which_events": _("Which events"),
        "all_events": _("All"),
        "trouble_events": _("Warnings and errors"),
        "search": _("Search"),
        "no_script": _("This page needs JavaScript; /status has the same as JSON."),
    }


def _texts_of_the_script(_: Speak) -> dict[str, Any]:
    states = {
        state: state_word(state, _)
        for kind in (DeviceState, EngineState)
        for state in get_args(kind)
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
        "units": {
            "watts": _("{watts} W"),
            "gib": _("{number} GiB"),
            "megahertz": _("{number} MHz"),
            "milliseconds": _("{milliseconds} ms"),
            "seconds": _("{seconds} s"),
        },
        "up": _("up {time}"),
        "now": _("now"),
        "none": _("none yet"),
        "lost": _("The engine does not answer: it has ended, or the network is gone."),
        "paused": _("Paused"),
        "since": _("since {time}: {message}"),
        "rate": _("Rate"),
        "tasks": _("tasks in this run: {n}"),
        "confirmed": _("Confirmed"),
        "pending": _("{n} pending"),
        "given_up": _("Given up"),
        "taken": _("Jobs taken"),
        "declined": _("{n} declined"),
        "accepted": _("Accepted"),
        "rejected": _("{n} rejected"),
        "restarts": _("restarts: {n}"),
        "validators": _("Validators"),
        "blocks": _("blocks: {skipped} skipped, {missed} missed"),
        "height": _("Height"),
        "next_block": _("next block in"),
        "balance": _("Balance"),
        "fees": _("fees"),
        "received": _("received"),
        "temperature": _("Temperature"),
        "power": _("Power"),
        "per_joule": _("Tasks a joule"),
        "in_all": _("{n} in all"),
        "copy": _("copy"),
        "copied": _("copied"),
    }


def _texts_of_the_fleet(_: Speak) -> dict[str, Any]:
    shared = _texts_of_the_script(_)
    return {name: shared[name] for name in ("states", "d", "h", "min", "s", "units")} | {
        "columns": [
            _("rig"), _("state"), _("devices"), _("rate"), _("W"), _("confirmed"), _("pending")
        ],
        "lost": _("The program that asks the rigs does not answer: it has ended."),
        "ill": _("{n} with something wrong"),
        "well": _("all well"),
    }  # fmt: skip
