"""Jobs in the validator's database, each one worker's attempt at a task; see `schema.py`."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from engine.poc_protocol.frames import JobResult
from engine.runtime.sql import Row, Transaction, from_row, quoted, update
from engine.validator.store.backend import Backend
from engine.validator.store.table import Table
from engine.validator.store.unit import Rows, padded
from engine.validator.store.validators import Validators


class JobRow(Struct, frozen=True, gc=False):
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


@dataclass(slots=True)
class _InHand:
    """A job as it is in the database, with its payload's text."""

    row: JobRow
    text: str
    nonce: str
    signature: str | None = None
    public_key: str | None = None


SHORT, MOST_IN_HAND = 16_384, 4096
"""Jobs that are kept in memory: characters of payload and proof of each, and how many."""
_COLUMNS = quoted(JobRow.__struct_fields__)
_SENT = Rows(
    1,
    "jobs",
    (
        *("job_id", "task_id", "role", "worker_address", "guest", "payload"),
        *("state", "sent_at", "lease_until", "nonce", "validator"),
    ),
)
_COMMITTED = Rows(
    2,
    "jobs",
    (
        *("state", "worker_address", "result_hash", "proof", "committed_at", "full"),
        *("data", "data_size", "leaves", "signature"),
    ),
    keys=("job_id",),
    where="state = 'out'",
)
_ENDED = Rows(
    3,
    "jobs",
    ("state", "reason", "ended_at"),
    keys=("job_id",),
    where="state IN ('out', 'committed')",
)


class Jobs(Table):
    """Jobs; `Market` and `Verdicts` write what belongs together in one transaction.

    Those that were sent here are kept in memory: no other validator changes them.
    """

    def __init__(
        self, database: Backend, validators: Validators, clock: Callable[[], float]
    ) -> None:
        super().__init__(database, clock)
        self._validators = validators
        self._in_hand: dict[str, _InHand] = {}
        database.when_undone(self._in_hand.clear)

    def send(
        self,
        job_id: str,
        task_id: str,
        *,
        text: str,
        own: bool,
        role: str,
        worker: str | None,
        nonce: str,
        lease: float,
    ) -> JobRow:
        """Add a job that goes out to a worker (None: a guest), with a lease in seconds.

        `text`: its payload's, which is the task's or its `own`. The task is in progress: see `claim`.
        """
        now = self._clock()
        job = JobRow(job_id, task_id, role, worker, worker is None, "out", now, now + lease)
        with self._database.write():
            self._database.later(
                _SENT,
                *(job_id, task_id, role, worker, int(job.guest), text if own else None),
                *(job.state, job.sent_at, job.lease_until, nonce, self._validators.id),
            )
            self._keep(_InHand(job, text, nonce))
        return job

    def find(self, job_id: str) -> JobRow | None:
        """Return the job with this id."""
        if (known := self._in_hand.get(job_id)) is not None:
            return known.row
        found = self._find("WHERE job_id = ?", job_id)
        return found[0] if found else None

    def payload(self, job_id: str) -> dict[str, Any]:
        """Return the payload that the worker was given."""
        payload: dict[str, Any] = json.loads(self.text(job_id))
        return payload

    def text(self, job_id: str) -> str:
        """Return the canonical text of that payload, which stays as it is while the job is there."""
        if (known := self._in_hand.get(job_id)) is not None:
            return known.text
        rows = self._database.read(
            "SELECT coalesce(j.payload, t.payload) AS payload FROM jobs j JOIN tasks t"
            " ON t.task_id = j.task_id WHERE j.job_id = ?",
            job_id,
        )
        return str(rows[0]["payload"])

    def forget(self) -> None:
        """Read all of them anew from now on."""
        self._in_hand.clear()

    def signature(self, job_id: str) -> tuple[str | None, str | None, str | None]:
        """Return the nonce of the job's connection, and what its worker signed; None for a guest.

        The third is the public key by which the signature was found to fit, None where it was not
        looked at in this process.
        """
        if (known := self._in_hand.get(job_id)) is not None:
            return known.nonce, known.signature, known.public_key
        row = self._database.read("SELECT nonce, signature FROM jobs WHERE job_id = ?", job_id)[0]
        return row["nonce"], row["signature"], None

    def late(self) -> list[JobRow]:
        """Return jobs of this validator's that are out and whose lease has ended."""
        mine = "WHERE state = 'out' AND lease_until <= ? AND validator = ?"
        return self._find(mine, self._clock(), self._validators.id)

    def of_task(self, task_id: str) -> list[JobRow]:
        """Return every job of a task, in the order in which they were sent."""
        return self._find("WHERE task_id = ? ORDER BY rowid", task_id)

    def tried(self, task_ids: Sequence[str]) -> dict[str, dict[str | None, float | None]]:
        """Return which workers had a job of each of these tasks, and when their last one ended.

        What ended in a unit of work that is still open may be missing, unless its task is pending.
        """
        found: dict[str, dict[str | None, float | None]] = {task_id: {} for task_id in task_ids}
        marks, ids = padded(task_ids)
        for row in self._read_apart(
            f"SELECT task_id, worker_address, ended_at FROM jobs WHERE task_id IN ({marks})"  # noqa: S608
            " ORDER BY sent_at",
            *ids,
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
        public_key: str | None = None,
    ) -> JobRow:
        """Record the worker's commitment, together with what was drawn to check it.

        `public_key`: the one by which its signature fits.
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
        drawn, row = str(list(leaves)), replace(job, leaves=tuple(leaves), **new)
        with self._database.write() as db:
            if (known := self._in_hand.get(job.job_id)) is not None and known.row.state == "out":
                later = (*new.values(), drawn, result.signature)
                self._database.later(_COMMITTED, *later, job.job_id)
                known.row, known.signature = row, result.signature
                known.public_key = public_key
                self._keep(known)
                return row
            is_out, more = "job_id = ? AND state = 'out'", {"signature": result.signature}
            if update(db, "jobs", is_out, job.job_id, **new, **more, leaves=drawn) == 0:
                return self._existing(job.job_id)
        return row

    def set_data(self, db: Transaction, job_id: str, sha256: str, size: int) -> None:
        """Record the result's bytes as computed here, within a transaction."""
        self._in_hand.pop(job_id, None)
        update(db, "jobs", "job_id = ?", job_id, data=sha256, data_size=size)

    def send_again(self, job_id: str, nonce: str, lease: float) -> None:
        """Record a new nonce and lease: the worker is back on another connection."""
        self._in_hand.pop(job_id, None)
        with self._database.write() as db:
            until = self._clock() + lease
            update(
                db, "jobs", "job_id = ? AND state = 'out'", job_id, lease_until=until, nonce=nonce
            )

    def end(self, db: Transaction, job_id: str, state: str, reason: str) -> bool:
        """End the job, within a transaction. Return False if it has ended before."""
        end: dict[str, Any] = {"state": state, "reason": reason or None, "ended_at": self._clock()}
        if (known := self._in_hand.get(job_id)) is not None:
            if not known.row.is_open:
                return False
            self._database.later(_ENDED, *end.values(), job_id)
            known.row = replace(known.row, **end)
            return True
        is_open = "job_id = ? AND state IN ('out', 'committed')"
        return update(db, "jobs", is_open, job_id, **end) == 1

    def _keep(self, job: _InHand) -> None:
        if len(job.text) + len(job.row.proof or "") > SHORT:
            self._in_hand.pop(job.row.job_id, None)
            return
        self._in_hand[job.row.job_id] = job
        while len(self._in_hand) > MOST_IN_HAND:
            del self._in_hand[next(iter(self._in_hand))]

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
