"""Tasks and their jobs in the validator's database; what they mean is said in `schema.py`."""

import json
import sqlite3
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.database import Database
from engine.validator.facts import Facts


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A customer's task. `reward` in units of 10^-18 CPC, times in Unix seconds."""

    task_id: str
    customer: str
    challenge_type: str
    payload: dict[str, Any]
    facts: Facts
    reward: int
    deadline: float
    created_at: float
    status: str
    attempts: int
    reason: str | None
    closed_at: float | None
    job_id: str | None

    @property
    def is_open(self) -> bool:
        """Whether it still has an end before it."""
        return self.status in ("pending", "in_progress")


@dataclass(frozen=True, slots=True)
class JobRow:
    """One worker's attempt at a task. `payload`: as it was sent, with the worker's own seed.

    `leaves`: drawn after the commitment. `full`: who checks the whole result, `none`, `self` or
    `second`. `data`: SHA-256 of the result's bytes, once they are here.
    """

    job_id: str
    task_id: str
    role: str
    worker_address: str | None
    guest: bool
    payload: dict[str, Any]
    state: str
    sent_at: float
    lease_until: float
    result_hash: str | None
    proof: str | None
    committed_at: float | None
    leaves: tuple[int, ...]
    full: str
    data: str | None
    data_size: int | None
    ended_at: float | None
    reason: str | None

    @property
    def is_open(self) -> bool:
        """Whether a verdict is still to come."""
        return self.state in ("out", "committed")


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the tasks that were asked for, and how many there are."""

    tasks: list[TaskRow]
    total: int


class Tasks:
    """Tasks and jobs. What belongs together is written in one transaction by `Market`."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    # Tasks

    def add(
        self,
        task_id: str,
        customer: str,
        payload: dict[str, Any],
        facts: Facts,
        reward: int,
        deadline: float,
    ) -> TaskRow:
        """A new task, pending."""
        with self._database.write() as db:
            db.execute(
                "INSERT INTO tasks (task_id, customer, challenge_type, payload, facts, reward,"
                " deadline, created_at, status) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'pending')",
                (
                    task_id,
                    customer,
                    facts.challenge_type,
                    _text(payload),
                    _text(facts.to_json()),
                    str(reward),
                    deadline,
                    self._clock(),
                ),
            )
        return self.existing(task_id)

    def existing(self, task_id: str) -> TaskRow:
        """The task of that id, which is known to be there."""
        found = self.task(task_id)
        assert found is not None
        return found

    def task(self, task_id: str) -> TaskRow | None:
        """The task of that id."""
        rows = self._database.read("SELECT * FROM tasks WHERE task_id = ?", task_id)
        return _task(rows[0]) if rows else None

    def page(self, status: str | None, challenge_type: str | None, limit: int, offset: int) -> Page:
        """Tasks, the newest first, filtered where a filter is given."""
        where = "(? IS NULL OR status = ?) AND (? IS NULL OR challenge_type = ?)"
        filters = (status, status, challenge_type, challenge_type)
        total = self._database.read(
            f"SELECT count(*) AS n FROM tasks WHERE {where}",  # noqa: S608 - a constant
            *filters,
        )[0]["n"]
        rows = self._database.read(
            f"SELECT * FROM tasks WHERE {where}"  # noqa: S608 - a constant
            " ORDER BY created_at DESC, rowid DESC LIMIT ? OFFSET ?",
            *filters,
            limit,
            offset,
        )
        return Page([_task(row) for row in rows], total)

    def pending(self, most: int) -> list[TaskRow]:
        """Tasks that wait for a worker, the next deadline first."""
        rows = self._database.read(
            "SELECT * FROM tasks WHERE status = 'pending' ORDER BY deadline, rowid LIMIT ?", most
        )
        return [_task(row) for row in rows]

    def open_tasks(self) -> list[TaskRow]:
        """Tasks that have not ended."""
        rows = self._database.read("SELECT * FROM tasks WHERE status IN ('pending', 'in_progress')")
        return [_task(row) for row in rows]

    def overdue(self) -> list[TaskRow]:
        """Open tasks whose deadline passed and of which no result is being checked."""
        rows = self._database.read(
            "SELECT * FROM tasks t WHERE status IN ('pending', 'in_progress') AND deadline <= ?"
            " AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.task_id = t.task_id"
            " AND j.state = 'committed')",
            self._clock(),
        )
        return [_task(row) for row in rows]

    def counts(self) -> dict[str, int]:
        """How many tasks have each status."""
        rows = self._database.read("SELECT status, count(*) AS n FROM tasks GROUP BY status")
        return {row["status"]: row["n"] for row in rows}

    def close(
        self, db: sqlite3.Connection, task_id: str, status: str, *, job_id: str | None, reason: str
    ) -> bool:
        """Within a transaction: the task's one end. False where it has ended before."""
        done = db.execute(
            "UPDATE tasks SET status = ?, job_id = ?, reason = ?, closed_at = ? WHERE task_id = ?"
            " AND status IN ('pending', 'in_progress')",
            (status, job_id, reason or None, self._clock(), task_id),
        )
        return done.rowcount == 1

    def reopen(self, db: sqlite3.Connection, task_id: str, *, failed_attempt: bool) -> None:
        """Within a transaction: it waits for a worker again, unless another job of it is open."""
        db.execute(
            "UPDATE tasks SET attempts = attempts + ?, status = CASE WHEN EXISTS (SELECT 1 FROM"
            " jobs j WHERE j.task_id = tasks.task_id AND j.state IN ('out', 'committed'))"
            " THEN status ELSE 'pending' END WHERE task_id = ? AND status = 'in_progress'",
            (failed_attempt, task_id),
        )

    # Jobs

    def send(
        self,
        job_id: str,
        task_id: str,
        payload: dict[str, Any],
        *,
        role: str,
        worker: str | None,
        nonce: str,
        lease: float,
    ) -> JobRow:
        """A job goes out to a worker (None: a guest), with a lease of so many seconds."""
        now = self._clock()
        with self._database.write() as db:
            db.execute(
                "INSERT INTO jobs (job_id, task_id, role, worker_address, guest, payload, state,"
                " sent_at, lease_until, nonce) VALUES (?, ?, ?, ?, ?, ?, 'out', ?, ?, ?)",
                (
                    job_id,
                    task_id,
                    role,
                    worker,
                    worker is None,
                    _text(payload),
                    now,
                    now + lease,
                    nonce,
                ),
            )
            db.execute("UPDATE tasks SET status = 'in_progress' WHERE task_id = ?", (task_id,))
        return self._existing(job_id)

    def job(self, job_id: str) -> JobRow | None:
        """The job of that id."""
        rows = self._database.read("SELECT * FROM jobs WHERE job_id = ?", job_id)
        return _job(rows[0]) if rows else None

    def jobs_of(self, task_id: str) -> list[JobRow]:
        """Every job of a task, in the order in which they were sent."""
        rows = self._database.read("SELECT * FROM jobs WHERE task_id = ? ORDER BY rowid", task_id)
        return [_job(row) for row in rows]

    def open_jobs(self) -> list[JobRow]:
        """Jobs without a verdict."""
        rows = self._database.read("SELECT * FROM jobs WHERE state IN ('out', 'committed')")
        return [_job(row) for row in rows]

    def commit(
        self,
        job_id: str,
        *,
        worker: str,
        result_hash: str,
        proof: str | None,
        signature: str | None,
        leaves: tuple[int, ...],
        full: str,
        data: tuple[str, int] | None,
    ) -> JobRow:
        """The worker's commitment, and with it what was drawn to check it."""
        sha256, size = data or (None, None)
        with self._database.write() as db:
            db.execute(
                "UPDATE jobs SET state = 'committed', worker_address = ?, result_hash = ?,"
                " proof = ?, signature = ?, committed_at = ?, leaves = ?, full = ?, data = ?,"
                " data_size = ? WHERE job_id = ? AND state = 'out'",
                (
                    worker,
                    result_hash,
                    proof,
                    signature,
                    self._clock(),
                    json.dumps(leaves),
                    full,
                    sha256,
                    size,
                    job_id,
                ),
            )
        return self._existing(job_id)

    def set_data(self, db: sqlite3.Connection, job_id: str, sha256: str, size: int) -> None:
        """Within a transaction: the result's bytes, as they were computed here."""
        db.execute(
            "UPDATE jobs SET data = ?, data_size = ? WHERE job_id = ?", (sha256, size, job_id)
        )

    def send_again(self, job_id: str, nonce: str, lease: float) -> None:
        """The worker is back, on a connection with another nonce, and the lease begins anew."""
        with self._database.write() as db:
            db.execute(
                "UPDATE jobs SET lease_until = ?, nonce = ? WHERE job_id = ? AND state = 'out'",
                (self._clock() + lease, nonce, job_id),
            )

    def end(self, db: sqlite3.Connection, job_id: str, state: str, reason: str) -> bool:
        """Within a transaction: the job's one end. False where it has ended before."""
        done = db.execute(
            "UPDATE jobs SET state = ?, reason = ?, ended_at = ? WHERE job_id = ?"
            " AND state IN ('out', 'committed')",
            (state, reason or None, self._clock(), job_id),
        )
        return done.rowcount == 1

    def _existing(self, job_id: str) -> JobRow:
        found = self.job(job_id)
        assert found is not None
        return found


def new_task_id() -> str:
    """A random UUID, as the protocol's task ids are."""
    return str(uuid.uuid4())


def _text(payload: dict[str, Any]) -> str:
    return json.dumps(payload, separators=(",", ":"))


def _task(row: sqlite3.Row) -> TaskRow:
    values = dict(row)
    return TaskRow(
        **values
        | {
            "payload": json.loads(values["payload"]),
            "facts": Facts.from_json(json.loads(values["facts"])),
            "reward": int(values["reward"]),
        }
    )


def _job(row: sqlite3.Row) -> JobRow:
    values = {name: row[name] for name in JobRow.__dataclass_fields__}
    return JobRow(
        **values
        | {
            "payload": json.loads(values["payload"]),
            "leaves": tuple(json.loads(values["leaves"] or "[]")),
            "guest": bool(values["guest"]),
        }
    )
