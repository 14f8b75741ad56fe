"""Tasks in the validator's database; what their states mean is said in `schema.py`.

A payload may have megabytes, so that it is read only where it is asked for.
"""

import json
import sqlite3
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from engine.runtime.database import Database
from engine.validator.store.requirements import Facts


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A customer's task. `reward` in units of 10^-18 CPC, times in Unix seconds."""

    task_id: str
    customer: str
    challenge_type: str
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
class Page:
    """Some of the tasks that were asked for, and how many there are."""

    tasks: list[TaskRow]
    total: int


_COLUMNS = ", ".join(TaskRow.__dataclass_fields__)


class Tasks:
    """What belongs together is written in one transaction by `Market` and `Verdicts`."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

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
                    to_text(payload),
                    to_text(facts.to_json()),
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
        found = self._find("WHERE task_id = ?", task_id)
        return found[0] if found else None

    def payload(self, task_id: str) -> dict[str, Any]:
        """The task's payload, as its customer posted it."""
        rows = self._database.read("SELECT payload FROM tasks WHERE task_id = ?", task_id)
        payload: dict[str, Any] = json.loads(rows[0]["payload"])
        return payload

    def page(self, status: str | None, challenge_type: str | None, limit: int, offset: int) -> Page:
        """Tasks, the newest first, filtered where a filter is given."""
        where = "WHERE (? IS NULL OR status = ?) AND (? IS NULL OR challenge_type = ?)"
        filters = (status, status, challenge_type, challenge_type)
        total = self._database.read(f"SELECT count(*) AS n FROM tasks {where}", *filters)[0]["n"]  # noqa: S608
        found = self._find(
            f"{where} ORDER BY created_at DESC, rowid DESC LIMIT ? OFFSET ?",
            *filters,
            limit,
            offset,
        )
        return Page(found, total)

    def pending(self, most: int) -> list[TaskRow]:
        """Tasks that wait for a worker, the next deadline first."""
        return self._find("WHERE status = 'pending' ORDER BY deadline, rowid LIMIT ?", most)

    def open(self) -> list[TaskRow]:
        """Tasks that have not ended."""
        return self._find("WHERE status IN ('pending', 'in_progress')")

    def overdue(self) -> list[TaskRow]:
        """Open tasks whose deadline passed and of which no result is being checked."""
        return self._find(
            "WHERE status IN ('pending', 'in_progress') AND deadline <= ? AND NOT EXISTS (SELECT 1"
            " FROM jobs j WHERE j.task_id = tasks.task_id AND j.state = 'committed')",
            self._clock(),
        )

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

    def _find(self, rest: str, *values: Any) -> list[TaskRow]:
        """`rest` is SQL of this file's own."""
        rows = self._database.read(f"SELECT {_COLUMNS} FROM tasks {rest}", *values)  # noqa: S608
        return [_task(row) for row in rows]


def new_task_id() -> str:
    """A random UUID, as the protocol's task ids are."""
    return str(uuid.uuid4())


def to_text(payload: dict[str, Any]) -> str:
    """JSON as it is kept: compact ASCII."""
    return json.dumps(payload, separators=(",", ":"))


def _task(row: sqlite3.Row) -> TaskRow:
    values = dict(row)
    facts = Facts.from_json(json.loads(values["facts"]))
    return TaskRow(**values | {"facts": facts, "reward": int(values["reward"])})
