"""Jobs in the validator's database, each one worker's attempt at a task; see `schema.py`."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from engine.poc_protocol.frames import JobResult
from engine.poc_protocol.strict_json import canonical
from engine.runtime.sql import Row, Transaction, from_row, insert, quoted, update
from engine.validator.store.backend import Backend
from engine.validator.store.table import Table
from engine.validator.store.validators import Validators


@dataclass(frozen=True, slots=True)
class JobRow:
    """One worker's attempt at a task.

    `leaves`: drawn after the commitment. `full`: who checks the whole result, `none`, `self` or
    `second` (worker). `data`: SHA-256 of the result's bytes, once they are here.
    """

    job_id: str
    task_id: str
    role: str
    worker_address: str | None
    guest: bool
    state: str
    sent_at: float
    lease_until: float
    result_hash: str | None = None
    proof: str | None = None
    committed_at: float | None = None
    leaves: tuple[int, ...] = ()
    full: str = "none"
    data: str | None = None
    data_size: int | None = None
    ended_at: float | None = None
    reason: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether a verdict is still to come."""
        return self.state in ("out", "committed")


SHORT_TEXT, MOST_TEXTS = 4096, 1024
"""Payloads that are kept in memory: characters of each, and how many."""
_COLUMNS = quoted(JobRow.__dataclass_fields__)


class Jobs(Table):
    """Jobs; `Market` and `Verdicts` write what belongs together in one transaction."""

    def __init__(
        self, database: Backend, validators: Validators, clock: Callable[[], float]
    ) -> None:
        super().__init__(database, clock)
        self._validators = validators
        self._texts: dict[str, str] = {}

    def send(
        self,
        job_id: str,
        task_id: str,
        *,
        own_payload: dict[str, Any] | None,
        role: str,
        worker: str | None,
        nonce: str,
        lease: float,
    ) -> JobRow:
        """Add a job that goes out to a worker (None: a guest), with a lease in seconds.

        `own_payload`: the job's, where it is not the task's. The task is in progress: see `claim`.
        """
        now, payload = self._clock(), None if own_payload is None else canonical(own_payload)
        job = JobRow(job_id, task_id, role, worker, worker is None, "out", now, now + lease)
        with self._database.write() as db:
            insert(
                db,
                "jobs",
                job_id=job_id,
                task_id=task_id,
                role=role,
                worker_address=worker,
                guest=int(job.guest),
                payload=payload,
                state=job.state,
                sent_at=job.sent_at,
                lease_until=job.lease_until,
                nonce=nonce,
                validator=self._validators.id,
            )
        return job

    def find(self, job_id: str) -> JobRow | None:
        """Return the job with this id."""
        found = self._find("WHERE job_id = ?", job_id)
        return found[0] if found else None

    def payload(self, job_id: str) -> dict[str, Any]:
        """Return the payload that the worker was given."""
        payload: dict[str, Any] = json.loads(self.text(job_id))
        return payload

    def text(self, job_id: str) -> str:
        """Return the canonical text of that payload, which stays as it is while the job is there."""
        if (kept := self._texts.get(job_id)) is not None:
            return kept
        text = self._read_text(job_id)
        if len(text) <= SHORT_TEXT:  # each step of a job asks for it
            self._texts[job_id] = text
            if len(self._texts) > MOST_TEXTS:
                del self._texts[next(iter(self._texts))]
        return text

    def forget_texts(self) -> None:
        """Read them again from now on."""
        self._texts.clear()

    def _read_text(self, job_id: str) -> str:
        rows = self._database.read(
            "SELECT coalesce(j.payload, t.payload) AS payload FROM jobs j JOIN tasks t"
            " ON t.task_id = j.task_id WHERE j.job_id = ?",
            job_id,
        )
        return str(rows[0]["payload"])

    def signature(self, job_id: str) -> tuple[str | None, str | None]:
        """Return the nonce of the job's connection, and what its worker signed; None for a guest."""
        row = self._database.read("SELECT nonce, signature FROM jobs WHERE job_id = ?", job_id)[0]
        return row["nonce"], row["signature"]

    def late(self) -> list[JobRow]:
        """Return jobs of this validator's that are out and whose lease has ended."""
        mine = "WHERE state = 'out' AND lease_until <= ? AND validator = ?"
        return self._find(mine, self._clock(), self._validators.id)

    def of_task(self, task_id: str) -> list[JobRow]:
        """Return every job of a task, in the order in which they were sent."""
        return self._find("WHERE task_id = ? ORDER BY rowid", task_id)

    def tried(self, task_ids: Sequence[str]) -> dict[str, dict[str | None, float | None]]:
        """Return which workers had a job of each of these tasks, and when their last one ended."""
        found: dict[str, dict[str | None, float | None]] = {task_id: {} for task_id in task_ids}
        marks = ", ".join("?" * len(task_ids))
        for row in self._database.read(
            f"SELECT task_id, worker_address, ended_at FROM jobs WHERE task_id IN ({marks})"  # noqa: S608
            " ORDER BY sent_at",
            *task_ids,
        ):
            found[row["task_id"]][row["worker_address"]] = row["ended_at"]
        return found

    def commit(
        self,
        job: JobRow,
        worker: str,
        result: JobResult,
        *,
        leaves: Sequence[int],
        full: str,
        with_data: bool,
    ) -> JobRow:
        """Record the worker's commitment, together with what was drawn to check it.

        Return the job as it is then.
        """
        data = result.data if with_data else None
        new: dict[str, Any] = {
            "state": "committed",
            "worker_address": worker,
            "result_hash": result.result_hash,
            "proof": result.proof,
            "committed_at": self._clock(),
            "full": full,
            "data": data and data.sha256,
            "data_size": data and data.size,
        }
        with self._database.write() as db:
            drawn = {"signature": result.signature, "leaves": json.dumps(leaves)}
            is_out = "job_id = ? AND state = 'out'"
            if update(db, "jobs", is_out, job.job_id, **new, **drawn) == 0:
                return self._existing(job.job_id)
        return replace(job, leaves=tuple(leaves), **new)

    def set_data(self, db: Transaction, job_id: str, sha256: str, size: int) -> None:
        """Record the result's bytes as computed here, within a transaction."""
        update(db, "jobs", "job_id = ?", job_id, data=sha256, data_size=size)

    def send_again(self, job_id: str, nonce: str, lease: float) -> None:
        """Record a new nonce and lease: the worker is back on another connection."""
        with self._database.write() as db:
            until = self._clock() + lease
            update(
                db, "jobs", "job_id = ? AND state = 'out'", job_id, lease_until=until, nonce=nonce
            )

    def end(self, db: Transaction, job_id: str, state: str, reason: str) -> bool:
        """End the job, within a transaction. Return False if it has ended before."""
        is_open, now = "job_id = ? AND state IN ('out', 'committed')", self._clock()
        ended = update(
            db, "jobs", is_open, job_id, state=state, reason=reason or None, ended_at=now
        )
        return ended == 1

    def _existing(self, job_id: str) -> JobRow:
        found = self.find(job_id)
        assert found is not None
        return found

    def _find(self, rest: str, *values: Any) -> list[JobRow]:
        """Select jobs; `rest` is SQL from this file."""
        rows = self._database.read(f"SELECT {_COLUMNS} FROM jobs {rest}", *values)  # noqa: S608
        return [_job(row) for row in rows]


def _job(row: Row) -> JobRow:
    leaves = tuple(json.loads(row["leaves"] or "[]"))
    return from_row(JobRow, row, leaves=leaves, guest=bool(row["guest"]))
