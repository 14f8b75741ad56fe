"""Ask this user's running engines what is wrong with them."""

from gettext import gettext as _

from engine.monitor.formatting import clock_time
from engine.monitor.http.control_client import SilentEngine, running_engines
from engine.monitor.http.health import engine_reasons
from engine.monitor.snapshot import Snapshot
from engine.node.preflight import Check


def check_running() -> list[Check]:
    """Return what each running engine says of itself; nothing where none runs."""
    found, silent = running_engines()
    checks = [check for _engine, seen in found for check in check_engine(seen)]
    return checks + [Check("engine", "fail", does_not_answer(one), one.advice) for one in silent]


def does_not_answer(engine: SilentEngine) -> str:
    """Return the sentence for an engine that cannot be asked."""
    return _("engine {pid} does not answer: {reason}").format(pid=engine.pid, reason=engine.reason)


def check_engine(seen: Snapshot) -> list[Check]:
    """Return what is wrong: failures where it stops the engine. One line where nothing is."""
    advice = _("See cpc-engine status, and what the engine printed.")
    checks = [Check("engine", "fail", _of(seen, reason), advice) for reason in engine_reasons(seen)]
    for one in seen.troubles:
        line = _("since {time}: {message}").format(time=clock_time(one.since), message=one.message)
        checks.append(Check("engine", "fail" if one.stops else "warn", _of(seen, line), one.advice))
    well = _("runs, and nothing is wrong with it")
    return checks or [Check("engine", "ok", _of(seen, well))]


def _of(seen: Snapshot, line: str) -> str:
    return _("engine {pid}: {state}").format(pid=seen.pid, state=line)
