"""Tasks in the validator's database; `schema.py` says what their states mean.

A payload may have megabytes, so it is read only where it is needed.
"""

import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from engine.poc_protocol.strict_json import canonical
from engine.runtime.sql import Row, Transaction, from_row, update
from engine.validator.store.backend import Backend
from engine.validator.store.requirements import Requirements
from engine.validator.store.table import Table
from engine.validator.store.unit import Rows, padded
from engine.validator.store.validators import Validators


@dataclass(frozen=True, slots=True)
class TaskDraft:
    """A task as its customer posts it.

    `text`: the payload in its canonical form, which is kept, sent and digested; `requirements` are its.
    """

    customer: str
    text: str
    requirements: Requirements
    reward: int
    deadline: float


class TaskRow(Struct, frozen=True, gc=False):
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


_OPEN_HERE = "(status = 'pending' OR (status = 'in_progress' AND validator = ?))"
_COLUMNS = ", ".join(TaskRow.__struct_fields__).replace("requirements", "facts AS requirements")
_TRIED = "EXISTS (SELECT 1 FROM jobs j WHERE j.task_id = tasks.task_id) AS tried"
_ADDED = Rows(
    0,
    "tasks",
    (
        *("task_id", "customer", "challenge_type", "payload", "facts"),
        *("reward", "deadline", "created_at", "status", "home"),
    ),
)
_CLOSED = Rows(
    4,
    "tasks",
    ("status", "job_id", "reason", "closed_at"),
    keys=("task_id", "validator"),
    where="status = 'in_progress'",
)
MOST_IN_HAND = 4096


class Tasks(Table):
    """Tasks; `Market` and `Verdicts` write what belongs together in one transaction.

    Those in progress here are kept in memory: no other validator changes them.

    `home`: name of the directory with this validator's blobs, empty where all have the same.
    """

    def __init__(
        self, database: Backend, validators: Validators, clock: Callable[[], float]
    ) -> None:
        super().__init__(database, clock)
        self._validators = validators
        self.home = ""
        self._added_in: int | None = 0
        self._in_hand: dict[str, TaskRow] = {}
        database.when_undone(self._in_hand.clear)

    def add(self, task_id: str, draft: TaskDraft) -> TaskRow:
        """Add a task, pending."""
        facts, now, kind = draft.requirements, self._clock(), draft.requirements.challenge_type
        home = (self.home or None) if _has_bytes(facts) else None
        with self._database.write():
            self._database.later(
                _ADDED,
                *(task_id, draft.customer, kind, draft.text, canonical(facts.to_json())),
                *(str(draft.reward), draft.deadline, now, "pending", home),
            )
            self._added_in = self._database.unit
        return TaskRow(
            *(task_id, draft.customer, kind, facts, draft.reward, draft.deadline, now),
            *("pending", 0, None, None, None),
        )

    def existing(self, task_id: str) -> TaskRow:
        """Return the task with this id, which must exist."""
        found = self.task(task_id)
        assert found is not None
        return found

    def task(self, task_id: str) -> TaskRow | None:
        """Return the task with this id."""
        if (known := self._in_hand.get(task_id)) is not None:
            return known
        found = self._find("WHERE task_id = ?", task_id)
        return found[0] if found else None

    def forget(self) -> None:
        """Read all of them anew from now on."""
        self._in_hand.clear()

    def payload(self, task_id: str) -> dict[str, Any]:
        """Return the task's payload, as its customer posted it."""
        payload: dict[str, Any] = json.loads(self.text(task_id))
        return payload

    def text(self, task_id: str) -> str:
        """Return the payload's canonical text."""
        rows = self._database.read("SELECT payload FROM tasks WHERE task_id = ?", task_id)
        return str(rows[0]["payload"])

    def set_text(self, task_id: str, text: str) -> None:
        """Keep the payload in its canonical form."""
        with self._database.write() as db:
            update(db, "tasks", "task_id = ?", task_id, payload=text)

    def page(
        self, status: str | None, challenge_type: str | None, limit: int, offset: int
    ) -> TaskPage:
        """Return tasks, newest first, filtered where a filter is given."""
        where = (
            "WHERE (CAST(? AS TEXT) IS NULL OR status = ?)"
            " AND (CAST(? AS TEXT) IS NULL OR challenge_type = ?)"
        )
        filters = (status, status, challenge_type, challenge_type)
        total = self._database.read(f"SELECT count(*) AS n FROM tasks {where}", *filters)[0]["n"]  # noqa: S608
        found = self._find(
            f"{where} ORDER BY created_at DESC, rowid DESC LIMIT ? OFFSET ?",
            *filters,
            limit,
            offset,
        )
        return TaskPage(found, total)

    def pending(self, most: int, behind: int, *, lock: bool = False) -> list[tuple[TaskRow, bool]]:
        """Return tasks that wait for a worker of this validator, `behind` the earliest deadlines.

        `tried`: a worker had it already. `lock`: no other validator gets them until the unit of
        work ends, and those that another has locked are left out.
        """
        waiting = "WHERE status = 'pending' AND (home IS NULL OR home = ?)"
        unit = self._database.unit
        read = self._database.read if unit == self._added_in else self._read_apart
        rows = read(
            f"SELECT {_COLUMNS}, {_TRIED} FROM tasks {waiting}"  # noqa: S608
            " ORDER BY deadline, rowid LIMIT ? OFFSET ?"
            + (self._database.skip_locked if lock else ""),
            *(self.home, most, behind),
        )
        return [(_task(row), bool(row["tried"])) for row in rows]

    def lock(self, tasks: Sequence[TaskRow]) -> list[TaskRow]:
        """Lock pending tasks, within a transaction; return those that no other validator has locked."""
        marks, ids = padded([task.task_id for task in tasks])
        rows = self._database.apart(self._free(marks), *ids)
        free = {row["task_id"] for row in rows}
        return [task for task in tasks if task.task_id in free]

    def claim(self, tasks: Sequence[TaskRow]) -> dict[str, str]:
        """Have pending tasks in progress here, within a transaction, but those that others claim.

        Return the canonical texts of their payloads. What another validator claims at the same time
        is locked, and skipped.
        """
        marks, ids = padded([task.task_id for task in tasks])
        claimed = "UPDATE tasks SET status = 'in_progress', validator = ?"
        rows = self._database.apart(
            f"{claimed} WHERE task_id IN ({self._free(marks)}) RETURNING task_id, payload",
            *(self._validators.id, *ids),
            writes=True,
        )
        texts = {row["task_id"]: str(row["payload"]) for row in rows}
        for task in tasks:
            if task.task_id in texts:
                self._in_hand[task.task_id] = replace(task, status="in_progress")
        while len(self._in_hand) > MOST_IN_HAND:
            del self._in_hand[next(iter(self._in_hand))]
        return texts

    def open(self) -> list[TaskRow]:
        """Return tasks that have not ended."""
        return self._find("WHERE status IN ('pending', 'in_progress')")

    def blobs(self) -> set[str]:
        """Return the SHA-256 of what the workers of open tasks fetch."""
        rows = self._database.read(
            "SELECT facts FROM tasks WHERE status IN ('pending', 'in_progress')"
            """ AND facts NOT LIKE '%"blobs":[]%'"""
        )
        found = (Requirements.from_text(row["facts"]) for row in rows)
        return {sha256 for one in found for sha256, _size in one.blobs}

    def overdue(self) -> list[TaskRow]:
        """Lock and return open tasks whose deadline has passed and of which no result is being checked.

        Those that another validator has in hand, or has locked, are left to it.
        """
        committed = "SELECT 1 FROM jobs j WHERE j.task_id = tasks.task_id AND j.state = 'committed'"
        late = f"WHERE {_OPEN_HERE} AND deadline <= ? AND NOT EXISTS ({committed})"
        late += self._database.skip_locked
        return self._find(late, self._validators.id, self._clock())

    def counts(self) -> dict[str, int]:
        """Count the tasks of each status."""
        rows = self._database.read("SELECT status, count(*) AS n FROM tasks GROUP BY status")
        return {row["status"]: row["n"] for row in rows}

    def close(
        self, db: Transaction, task_id: str, status: str, *, job_id: str | None, reason: str
    ) -> float | None:
        """End the task, within a transaction. Return when; None if it has ended, or is another's."""
        now = self._clock()
        if self._in_hand.pop(task_id, None) is not None:
            end = (status, job_id, reason or None, now)
            self._database.later(_CLOSED, *end, task_id, self._validators.id)
            return now
        is_open = f"task_id = ? AND {_OPEN_HERE}"
        values = {"status": status, "job_id": job_id, "reason": reason or None, "closed_at": now}
        ended = update(db, "tasks", is_open, task_id, self._validators.id, **values)
        return now if ended else None

    def reopen(self, db: Transaction, task_id: str, *, failed_attempt: bool) -> None:
        """Make it pending again, within a transaction, unless another job of it is open."""
        self._in_hand.pop(task_id, None)
        db.execute(
            "UPDATE tasks SET attempts = attempts + ?, status = CASE WHEN EXISTS (SELECT 1 FROM"
            " jobs j WHERE j.task_id = tasks.task_id AND j.state IN ('out', 'committed'))"
            " THEN status ELSE 'pending' END WHERE task_id = ? AND status = 'in_progress'",
            (int(failed_attempt), task_id),
        )

    def _free(self, marks: str) -> str:
        free = f"SELECT task_id FROM tasks WHERE task_id IN ({marks}) AND status = 'pending'"  # noqa: S608
        return free + self._database.skip_locked

    def _find(self, rest: str, *values: Any) -> list[TaskRow]:
        """Select tasks; `rest` is SQL from this file."""
        rows = self._database.read(f"SELECT {_COLUMNS} FROM tasks {rest}", *values)  # noqa: S608
        return [_task(row) for row in rows]


def _has_bytes(requirements: Requirements) -> bool:
    return bool(requirements.blobs) or requirements.returns_data


def new_task_id() -> str:
    """Return a random UUID, as the protocol's task ids are."""
    return str(uuid.uuid4())


def _task(row: Row) -> TaskRow:
    requirements = Requirements.from_text(row["requirements"])
    return from_row(TaskRow, row, requirements=requirements, reward=int(row["reward"]))
