"""`cpc-engine history`: what this user's engines did, by day."""

import csv
import io
import re
import time
from gettext import gettext as _
from typing import TYPE_CHECKING, Annotated

import typer

from engine.cli.options import Json, say, say_json
from engine.cli.table import say_table

if TYPE_CHECKING:
    from engine.txmgr.history import Day

_SECONDS = {"h": 3600, "d": 86400, "w": 7 * 86400}
_NUMBERS = (
    ("seen", _("blocks")),
    ("results", _("results")),
    ("final", _("final")),
    ("given_up", _("given up")),
    ("skipped", _("skipped")),
    ("missed", _("missed")),
    ("jobs", _("jobs")),
    ("accepted", _("accepted")),
    ("rejected", _("rejected")),
    ("joules", _("joules")),
)


def history(
    since: Annotated[
        str, typer.Option(metavar="SPAN", help=_("How far back: 12h, 7d, 4w; or all."))
    ] = "7d",
    csv_: Annotated[bool, typer.Option("--csv", help=_("Print CSV, with a header."))] = False,
    json: Json = False,
) -> None:
    """Show results, fees, what others paid, jobs and what was missed, by day, from the ledgers."""
    from engine.runtime.paths import state_directory
    from engine.txmgr.history import read_days

    days = read_days(state_directory(), since=_first_moment(since))
    if json:
        say_json(
            [
                vars(day)  # not asdict, which breaks a Counter
                | {"fees": str(day.fees), "received": str(day.received)}
                | {"balance": _text(day.balance)}
                for day in days
            ]
        )
    elif csv_:
        say(_as_csv(days))
    else:
        _say_table(days)


def _first_moment(span: str) -> float:
    from engine.runtime.errors import BadInput

    if span == "all":
        return 0.0
    if found := re.fullmatch(r"([1-9][0-9]{0,4})([hdw])", span):
        return time.time() - int(found[1]) * _SECONDS[found[2]]
    message = _("--since takes a span such as 12h, 7d or 4w, or all; not {span!r}")
    raise BadInput(message.format(span=span[:40]))


def _text(units: int | None) -> str | None:
    return None if units is None else str(units)


def _as_csv(days: "list[Day]") -> str:
    text = io.StringIO()
    names = ["day", *(name for name, _word in _NUMBERS), "fees", "received", "balance"]
    table = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    table.writerows(vars(day) for day in days)
    return text.getvalue().rstrip("\n")


def _say_table(days: "list[Day]") -> None:
    from collections import Counter

    from node_client.networks import format_cpc

    if not days:
        say(_("nothing was done in that time"))
        return
    shown = [pair for pair in _NUMBERS if any(getattr(day, pair[0]) for day in days)]
    heads = [_("day"), *(word for _name, word in shown), _("fees, CPC"), _("received, CPC")]
    rows = [
        [
            day.day,
            *(f"{getattr(day, name):.0f}" for name, _word in shown),
            format_cpc(day.fees),
            format_cpc(day.received),
        ]
        for day in days
    ]
    say_table(heads, rows, right=range(1, len(heads)))
    reasons: Counter[str] = Counter()
    for day in days:
        reasons.update(day.reasons)
    if reasons:
        say("")
        say(_("Not answered, or given up:"))
        for reason, count in reasons.most_common(10):
            say(f"{count:>8}  {reason}")
