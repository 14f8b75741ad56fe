"""Tasks in the validator's database; `schema.py` says what their states mean.

A payload may have megabytes, so it is read only where it is needed.
"""

import json
import sqlite3
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.runtime.database import Database
from engine.validator.store.requirements import Requirements


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A customer's task. `reward` in units of 10^-18 CPC, times in Unix seconds."""

    task_id: str
    customer: str
    challenge_type: str
    requirements: Requirements
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
        """Whether it has not ended."""
        return self.status in ("pending", "in_progress")


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Some of the tasks that match a filter, and how many match."""

    tasks: list[TaskRow]
    total: int


_COLUMNS = ", ".join(TaskRow.__dataclass_fields__).replace("requirements", "facts AS requirements")


class Tasks:
    """Tasks; `Market` and `Verdicts` write what belongs together in one transaction."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def add(
        self,
        task_id: str,
        customer: str,
        payload: dict[str, Any],
        requirements: Requirements,
        reward: int,
        deadline: float,
    ) -> TaskRow:
        """Add a task, pending."""
        with self._database.write() as db:
            db.execute(
                "INSERT INTO tasks (task_id, customer, challenge_type, payload, facts, reward,"
                " deadline, created_at, status) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'pending')",
                (
                    task_id,
                    customer,
                    requirements.challenge_type,
                    to_text(payload),
                    to_text(requirements.to_json()),
                    str(reward),
                    deadline,
                    self._clock(),
                ),
            )
        return self.existing(task_id)

    def existing(self, task_id: str) -> TaskRow:
        """Return the task with this id, which must exist."""
        found = self.task(task_id)
        assert found is not None
        return found

    def task(self, task_id: str) -> TaskRow | None:
        """Return the task with this id."""
        found = self._find("WHERE task_id = ?", task_id)
        return found[0] if found else None

    def payload(self, task_id: str) -> dict[str, Any]:
        """Return the task's payload, as its customer posted it."""
        rows = self._database.read("SELECT payload FROM tasks WHERE task_id = ?", task_id)
        payload: dict[str, Any] = json.loads(rows[0]["payload"])
        return payload

    def page(
        self, status: str | None, challenge_type: str | None, limit: int, offset: int
    ) -> TaskPage:
        """Return tasks, newest first, filtered where a filter is given."""
        where = "WHERE (? IS NULL OR status = ?) AND (? IS NULL OR challenge_type = ?)"
        filters = (status, status, challenge_type, challenge_type)
        total = self._database.read(f"SELECT count(*) AS n FROM tasks {where}", *filters)[0]["n"]  # noqa: S608
        found = self._find(
            f"{where} ORDER BY created_at DESC, rowid DESC LIMIT ? OFFSET ?",
            *filters,
            limit,
            offset,
        )
        return TaskPage(found, total)

    def pending(self, most: int) -> list[TaskRow]:
        """Return tasks that wait for a worker, earliest deadline first."""
        return self._find("WHERE status = 'pending' ORDER BY deadline, rowid LIMIT ?", most)

    def open(self) -> list[TaskRow]:
        """Return tasks that have not ended."""
        return self._find("WHERE status IN ('pending', 'in_progress')")

    def overdue(self) -> list[TaskRow]:
        """Return open tasks whose deadline has passed and of which no result is being checked."""
        return self._find(
            "WHERE status IN ('pending', 'in_progress') AND deadline <= ? AND NOT EXISTS (SELECT 1"
            " FROM jobs j WHERE j.task_id = tasks.task_id AND j.state = 'committed')",
            self._clock(),
        )

    def counts(self) -> dict[str, int]:
        """Count the tasks of each status."""
        rows = self._database.read("SELECT status, count(*) AS n FROM tasks GROUP BY status")
        return {row["status"]: row["n"] for row in rows}

    def close(
        self, db: sqlite3.Connection, task_id: str, status: str, *, job_id: str | None, reason: str
    ) -> bool:
        """End the task, within a transaction. Return False if it has ended before."""
        done = db.execute(
            "UPDATE tasks SET status = ?, job_id = ?, reason = ?, closed_at = ? WHERE task_id = ?"
            " AND status IN ('pending', 'in_progress')",
            (status, job_id, reason or None, self._clock(), task_id),
        )
        return done.rowcount == 1

    def reopen(self, db: sqlite3.Connection, task_id: str, *, failed_attempt: bool) -> None:
        """Make it pending again, within a transaction, unless another job of it is open."""
        db.execute(
            "UPDATE tasks SET attempts = attempts + ?, status = CASE WHEN EXISTS (SELECT 1 FROM"
            " jobs j WHERE j.task_id = tasks.task_id AND j.state IN ('out', 'committed'))"
            " THEN status ELSE 'pending' END WHERE task_id = ? AND status = 'in_progress'",
            (failed_attempt, task_id),
        )

    def _find(self, rest: str, *values: Any) -> list[TaskRow]:
        """Select tasks; `rest` is SQL from this file."""
        rows = self._database.read(f"SELECT {_COLUMNS} FROM tasks {rest}", *values)  # noqa: S608
        return [_task(row) for row in rows]


def new_task_id() -> str:
    """Return a random UUID, as the protocol's task ids are."""
    return str(uuid.uuid4())


def to_text(payload: dict[str, Any]) -> str:
    """Return JSON as it is stored: compact ASCII."""
    return json.dumps(payload, separators=(",", ":"))


def _task(row: sqlite3.Row) -> TaskRow:
    values = dict(row)
    requirements = Requirements.from_json(json.loads(values["requirements"]))
    return TaskRow(**values | {"requirements": requirements, "reward": int(values["reward"])})
