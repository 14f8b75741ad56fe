"""`cpc-engine pause`, `resume`, `status`: control a running engine without a network port."""

import time
from gettext import gettext as _
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.options import Json, say, say_json

if TYPE_CHECKING:
    from engine.monitor.http.control_client import RunningEngine, SilentEngine
    from engine.monitor.snapshot import Snapshot

PATIENCE_SECONDS = 5.0

Which = Annotated[
    str | None,
    typer.Option(
        "--engine",
        metavar="PID|ADDRESS",
        help=_("Which one, if several run: its process id or the address it mines for."),
    ),
]


def status(engine: Which = None, json: Json = False) -> None:
    """Show what the running engine does: devices, chain, results, latest events."""
    found, silent = _choose(engine)
    if json:
        say_json([seen.model_dump(mode="json") for _engine, seen in found])
    else:
        from rich.console import Console

        from engine.monitor.terminal.render import Size, draw

        console = Console()
        for _engine, seen in found:
            console.print(draw(seen, Size(console.width, 24)))
    _require_answers(silent)


def pause(engine: Which = None, json: Json = False) -> None:
    """Assign no work to the running engine's devices until `resume`; it keeps watching the chain."""
    _order(engine, "pause", json, paused=True)


def resume(engine: Which = None, json: Json = False) -> None:
    """End a requested pause. Heat, battery and quiet hours can still pause devices."""
    _order(engine, "resume", json, paused=False)


def _order(wanted: str | None, word: str, json: bool, *, paused: bool) -> None:
    found, silent = _choose(wanted)
    rows = []
    for engine, before in found:
        engine.order(word)
        seen = _until(engine, before, paused=paused)
        rows.append({"pid": seen.pid, "state": seen.state, "paused": seen.paused})
        if not json:
            say(_("engine {pid}: {state}").format(pid=seen.pid, state=_state(seen)))
    if json:
        say_json(rows)
    _require_answers(silent)


def _require_answers(silent: "list[SilentEngine]") -> None:
    """Raise BadInput where an engine did not answer, after the others were asked."""
    from engine.doctor.running import does_not_answer
    from engine.runtime.errors import BadInput

    if silent:
        message = "; ".join(does_not_answer(one) for one in silent)
        raise BadInput(message, advice=silent[0].advice)


def _until(engine: "RunningEngine", before: "Snapshot", *, paused: bool) -> "Snapshot":
    """Return what it says once its devices have followed, which is later than that it was asked."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        seen = engine.status()
        changed = seen.paused != before.paused or before.pause_asked == paused
        followed = bool(seen.paused) if paused else changed  # heat may pause them still
        if (seen.pause_asked == paused and followed) or time.monotonic() > deadline:
            return seen
        time.sleep(0.1)


def _state(seen: "Snapshot") -> str:
    from engine.monitor.formatting import state_word

    word = state_word(seen.state)
    return f"{word}, {seen.paused}" if seen.paused else word


def _choose(
    wanted: str | None,
) -> "tuple[list[tuple[RunningEngine, Snapshot]], list[SilentEngine]]":
    from engine.monitor.http.control_client import running_engines
    from engine.runtime.errors import BadInput

    found, silent = running_engines()
    if wanted is not None:
        found = [(one, seen) for one, seen in found if wanted in (str(seen.pid), seen.address)]
        silent = [one for one in silent if wanted == one.pid]
    if found or silent:
        return found, silent
    if wanted is None:
        raise BadInput(
            _("no engine of this user runs on this machine"),
            advice=_(
                "Start one: cpc-engine mine. To control another user's engine, run this as that user."
            ),
        )
    advice = _("cpc-engine status lists those that run.")
    raise BadInput(_("no engine {wanted} runs here").format(wanted=wanted[:80]), advice=advice)
