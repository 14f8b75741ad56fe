"""What ledgers say of the past, by day: results, fees, and what was not answered, with the reasons.

    for day in read_days(directory, since=time.time() - 7 * 86400):
        print(day.day, day.final, day.fees)

The files are opened for reading only, also while an engine writes to them. Days are local ones.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from gettext import gettext as _
from pathlib import Path

from engine.runtime.errors import LedgerError

_DAY = "date({}, 'unixepoch', 'localtime')"


@dataclass
class Day:
    """One day of all ledgers of this user. `reasons` with counts.

    In units: `fees` of final results, and what others sent to the accounts (`received`).

    `joules`: of the cards whose sensors say it. `balance`: the last of the day in units, of all
    accounts together; None where it was not noted.
    """

    day: str
    seen: int = 0
    skipped: int = 0
    missed: int = 0
    results: int = 0
    final: int = 0
    given_up: int = 0
    fees: int = 0
    received: int = 0
    joules: float = 0.0
    balance: int | None = None
    jobs: int = 0
    accepted: int = 0
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


def read_days(directory: Path, *, since: float) -> list[Day]:
    """Return the days from `since` (Unix seconds) on, the earliest first. Raises LedgerError."""
    days: dict[str, Day] = {}
    for path in sorted(directory.glob("*.sqlite")):
        with _reading(path) as database:
            tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master")}
            if {"results", "blocks", "gaps"} <= tables:
                _add_ledger(days, database, since)
                if "days" in tables:
                    _add_notes(days, database, since)
                if "received" in tables:
                    _add_received(days, database, since)
            elif "jobs" in tables:
                _add_jobs(days, database, since)
    return [days[name] for name in sorted(days)]


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            yield database
    except sqlite3.Error as error:
        raise LedgerError(
            _("the ledger {path} cannot be read: {error}").format(path=path, error=error),
            advice=_("Restore it from a backup, or move it out of the directory."),
        ) from error


def _add_ledger(days: dict[str, Day], database: sqlite3.Connection, since: float) -> None:
    at = _DAY.format("seen_at")
    for name, seen, skipped in database.execute(
        f"SELECT {at}, count(*), count(skipped) FROM blocks WHERE seen_at >= ? GROUP BY 1",  # noqa: S608
        (since,),
    ):
        day = days.setdefault(name, Day(name))
        day.seen, day.skipped = day.seen + seen, day.skipped + skipped
    for name, state, count in database.execute(
        f"SELECT {at}, state, count(*) FROM progress WHERE seen_at >= ? GROUP BY 1, 2",  # noqa: S608
        (since,),
    ):
        day = days.setdefault(name, Day(name))
        day.results += count
        day.final += count if state == "final" else 0
        day.given_up += count if state == "given_up" else 0
    for name, fee, count in database.execute(
        f"SELECT {at}, json_extract(body, '$.fee') AS fee, count(*) FROM transactions"  # noqa: S608
        " JOIN results USING (task_id) WHERE state = 'final' AND seen_at >= ? GROUP BY 1, fee",
        (since,),
    ):
        days[name].fees += int(fee) * count
    for name, missed, reason in database.execute(
        f"SELECT {_DAY.format('noted_at')}, sum(last - first + 1), reason FROM gaps"  # noqa: S608
        " WHERE noted_at >= ? GROUP BY 1, reason",
        (since,),
    ):
        day = days.setdefault(name, Day(name))
        day.missed += missed
        day.reasons[reason] += missed
    for name, reason, count in database.execute(
        f"SELECT {at}, skipped, count(*) FROM blocks WHERE skipped IS NOT NULL AND seen_at >= ?"  # noqa: S608
        f" GROUP BY 1, 2 UNION ALL SELECT {at}, reason, count(*) FROM results"
        " WHERE given_up IS NOT NULL AND seen_at >= ? GROUP BY 1, 2",
        (since, since),
    ):
        days[name].reasons[reason or ""] += count


def _add_notes(days: dict[str, Day], database: sqlite3.Connection, since: float) -> None:
    for name, joules, balance in database.execute(
        f"SELECT * FROM days WHERE day >= {_DAY.format('?')}",  # noqa: S608
        (since,),
    ):
        day = days.setdefault(name, Day(name))
        day.joules += joules
        if balance is not None:
            day.balance = (day.balance or 0) + int(balance)


def _add_received(days: dict[str, Day], database: sqlite3.Connection, since: float) -> None:
    for name, amount in database.execute(
        f"SELECT {_DAY.format('noted_at')}, amount FROM received WHERE noted_at >= ?",  # noqa: S608
        (since,),
    ):
        days.setdefault(name, Day(name)).received += int(amount)


def _add_jobs(days: dict[str, Day], database: sqlite3.Connection, since: float) -> None:
    for name, jobs, accepted, rejected in database.execute(
        f"SELECT {_DAY.format('taken_at')}, count(*), coalesce(sum(accepted), 0),"  # noqa: S608
        " coalesce(sum(NOT accepted), 0) FROM jobs WHERE taken_at >= ? GROUP BY 1",
        (since,),
    ):
        day = days.setdefault(name, Day(name))
        day.jobs, day.accepted = day.jobs + jobs, day.accepted + accepted
        day.rejected += rejected
