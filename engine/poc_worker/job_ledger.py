"""Jobs of validators and this worker's answers, on disk before an answer is sent.

    with open_job_ledger(path) as ledger:
        ledger.record_taken(Offer(url, job_id, task_id, "synthetic", payload_digest))
        ledger.record_result(url, job_id, result)
        await ledger.changes.add(lambda: ledger.record_result(url, job_id, result))   # with others

A job is identified by (validator's URL, job_id), and bound to its task and the digest of its payload
while it is kept. A ledger belongs to one account. The newest `KEPT` jobs are kept.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Any

from engine.runtime.database import Database, lock_file
from engine.runtime.group_commit import GroupCommit
from engine.runtime.sql import from_row, update

SCHEMA_VERSION = 1

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY, url TEXT NOT NULL, job_id TEXT NOT NULL, task_id TEXT NOT NULL,
    kind TEXT NOT NULL, payload_digest BLOB NOT NULL, taken_at REAL NOT NULL,
    result_hash TEXT, proof TEXT, data_sha256 TEXT, data_size INTEGER, device TEXT, seconds REAL,
    computed_at REAL,
    error TEXT, error_message TEXT,
    accepted INTEGER, reason TEXT, verdict_at REAL,
    UNIQUE (url, job_id)) STRICT;
"""

_RESULT = (
    "UPDATE jobs SET result_hash = ?, proof = ?, data_sha256 = ?, data_size = ?, device = ?,"
    " seconds = ?, computed_at = ? WHERE url = ? AND job_id = ?"
)
"""`Result`'s fields, in their order, and when it was computed."""
KEPT = 200_000
_PRUNE_EVERY = 1000


@dataclass(frozen=True, slots=True)
class Offer:
    """A job as it was received. `payload_digest`: 32 bytes, `digests.payload_digest`."""

    url: str
    job_id: str
    task_id: str
    kind: str
    payload_digest: bytes


@dataclass(frozen=True, slots=True)
class Result:
    """A checked result. `data_size` bytes with the SHA-256 `data_sha256` belong to it, if any."""

    result_hash: str
    proof: str | None
    data_sha256: str | None
    data_size: int | None
    device: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Known:
    """A job that was received before, and its result, if there is one."""

    offer: Offer
    result: Result | None
    accepted: bool | None
    """The validator's verdict."""


@contextmanager
def open_job_ledger(path: Path) -> "Iterator[JobLedger]":
    """Open or make the file. Raises BadInput if another process has it, DatabaseError."""
    lock = lock_file(
        path.with_name(path.name + ".lock"),
        _("another cpc-engine uses {path}").format(path=path),
        _("Stop it first, or give this one another account with --from."),
    )
    with lock, Database.open(path, SCHEMA, version=SCHEMA_VERSION) as database:
        ledger = JobLedger(database)
        ledger.prune()
        yield ledger


class JobLedger:
    """See the module. Every method raises DatabaseError.

    `changes`: the way to make them from the event loop, in groups.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.changes = GroupCommit(database)

    def find(self, url: str, job_id: str) -> Known | None:
        """Return what is known of a job."""
        rows = self._database.read("SELECT * FROM jobs WHERE url = ? AND job_id = ?", url, job_id)
        if not rows:
            return None
        row = rows[0]
        offer = from_row(Offer, row)
        result = None if row["result_hash"] is None else from_row(Result, row)
        accepted = None if row["accepted"] is None else bool(row["accepted"])
        return Known(offer, result, accepted)

    def record_taken(self, offer: Offer) -> None:
        """Record that work on the job begins; it may have begun before."""
        with self._database.write() as db:
            done = db.execute(
                "INSERT INTO jobs (url, job_id, task_id, kind, payload_digest, taken_at)"
                " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (url, job_id)"
                " DO UPDATE SET error = NULL, error_message = NULL",
                (*astuple(offer), time.time()),
            )
            if done.lastrowid is not None and done.lastrowid % _PRUNE_EVERY == 0:
                self.prune()

    def record_result(self, url: str, job_id: str, result: Result) -> None:
        """Record the checked result, before it is signed or sent."""
        with self._database.write() as db:
            db.execute(_RESULT, (*astuple(result), time.time(), url, job_id))

    def record_error(self, url: str, job_id: str, code: str, message: str) -> None:
        """Record why there is no result; the same job may come again."""
        self._set(url, job_id, error=code, error_message=message)

    def record_verdict(self, url: str, job_id: str, *, accepted: bool, reason: str) -> None:
        """Record the validator's verdict."""
        self._set(url, job_id, accepted=accepted, reason=reason, verdict_at=time.time())

    def counts(self) -> dict[str, int]:
        """Count jobs: taken, computed, accepted and rejected by their validators."""
        row = self._database.read(
            "SELECT count(*) AS taken, count(result_hash) AS computed,"
            " coalesce(sum(accepted), 0) AS accepted,"
            " coalesce(sum(NOT accepted), 0) AS rejected FROM jobs"
        )[0]
        return dict(row)

    def _set(self, url: str, job_id: str, **values: Any) -> None:
        with self._database.write() as db:
            update(db, "jobs", "url = ? AND job_id = ?", url, job_id, **values)

    def prune(self) -> None:
        """Delete all but the newest `KEPT` jobs."""
        with self._database.write() as db:
            db.execute("DELETE FROM jobs WHERE id <= (SELECT max(id) FROM jobs) - ?", (KEPT,))
