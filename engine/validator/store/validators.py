"""The validator processes that share a database: who is there, and who takes over from whom.

Each has a row, and says every `BEAT_SECONDS` that it is there. One that was silent for `LEASE_SECONDS`
is taken over by the first that sees it, in one transaction: its row is removed, and its open jobs and
tasks are the other's. Whether it is gone or only slow is all one: `PostgresBackend.fence` keeps it
from writing anything then, and it begins anew. Seconds are the database server's.

A SQLite file has one validator at a time: what is there of others is taken over at once.
"""

import secrets
from collections.abc import Callable

from engine.validator.store.backend import Backend
from engine.validator.store.table import Table

BEAT_SECONDS = 2.0
LEASE_SECONDS = 12.0
_NOW = "extract(epoch FROM clock_timestamp())"
_END_SILENT = f"""DELETE FROM validators WHERE id IN (
    SELECT id FROM validators WHERE seen_at < {_NOW} - ? AND id <> ? FOR UPDATE SKIP LOCKED)"""  # noqa: S608
_LOCK = 0x637063_03
_HERE_STAYS = f"SELECT pg_advisory_xact_lock({_LOCK})"
_MAY_TAKE_OVER = f"SELECT pg_try_advisory_xact_lock({_LOCK}) AS got"
"""Nobody comes or leaves while another takes over: else it may get a job without its task."""
_ADOPT_TASKS = """UPDATE tasks SET validator = ? WHERE status = 'in_progress'
    AND NOT EXISTS (SELECT 1 FROM validators v WHERE v.id = tasks.validator)"""
_ADOPT_JOBS = """UPDATE jobs SET validator = ? WHERE state IN ('out', 'committed')
    AND NOT EXISTS (SELECT 1 FROM validators v WHERE v.id = jobs.validator) RETURNING job_id"""


class Validators(Table):
    """Validators in their database. `id`: this process's, empty in one that only looks or books."""

    def __init__(self, database: Backend, clock: Callable[[], float]) -> None:
        super().__init__(database, clock)
        self.id = ""
        self._next_beat = 0.0

    def enter(self) -> None:
        """Be one of them from now on, with an id of this run's own."""
        self._database.fence = None
        now = _NOW if self._database.shared else "0"
        new = secrets.token_hex(16)
        with self._database.write() as db:
            if self._database.shared:
                db.execute(_HERE_STAYS)
                db.execute("DELETE FROM validators WHERE id = ?", (self.id,))
            else:
                db.execute("DELETE FROM validators")
            db.execute(f"INSERT INTO validators VALUES (?, {now})", (new,))  # noqa: S608
        self.id = self._database.fence = new

    def leave(self) -> None:
        """Have the others take over at once."""
        self._database.fence = None
        with self._database.write() as db:
            db.execute(_HERE_STAYS)
            db.execute("DELETE FROM validators WHERE id = ?", (self.id,))

    def beat(self) -> bool:
        """Say that this process is there, if it is time; return whether others may have gone."""
        if not self._database.shared or self._clock() < self._next_beat:
            return False
        self._next_beat = self._clock() + BEAT_SECONDS
        with self._database.write() as db:
            sql = f"UPDATE validators SET seen_at = {_NOW} WHERE id = ?"  # noqa: S608
            db.execute(sql, (self.id,))
        return True

    def others(self) -> int:
        """Return how many others are there."""
        if not self._database.shared:
            return 0
        there = f"SELECT count(*) AS n FROM validators WHERE id <> ? AND seen_at >= {_NOW} - ?"  # noqa: S608
        return int(self._database.read(there, self.id, LEASE_SECONDS)[0]["n"])

    def take_over(self) -> list[str]:
        """Take over what has no validator any more. Return the ids of the open jobs among it."""
        with self._database.write() as db:
            if self._database.shared:
                if not db.execute(_MAY_TAKE_OVER).fetchone()["got"]:
                    return []  # another is at it; the next beat looks again
                db.execute(_END_SILENT, (LEASE_SECONDS, self.id))
            db.execute(_ADOPT_TASKS, (self.id,))
            rows = db.execute(_ADOPT_JOBS, (self.id,)).fetchall()
        return [row["job_id"] for row in rows]
