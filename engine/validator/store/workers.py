"""Workers as the validator knows them: proven or not, their reputation, who is banned.

A worker is its address. `proven`: it once signed a hello, so the address is known to be its own.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from gettext import gettext as _

from engine.runtime.errors import BadInput
from engine.runtime.sql import Row, from_row, update
from engine.validator.policy.audit_policy import Policy
from engine.validator.store.backend import Backend
from engine.validator.store.reputation import Reputation
from engine.validator.store.table import Table

PACE_WEIGHT = 0.2
"""Weight of the newest job in a worker's measured speed."""
FASTEST_PACE = 1e-15
"""Seconds a multiply-add, less than any device takes."""


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker. `rate`: multiply-adds per second, as `credit` was told."""

    address: str
    proven: bool
    reputation: Reputation
    rate: float | None
    first_seen: float
    last_seen: float
    banned_at: float | None
    ban_reason: str | None


class Workers(Table):
    """Workers in the validator's database."""

    def __init__(
        self, database: Backend, policy: Policy, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(database, clock)
        self._policy = policy
        self._blamed: dict[str, float] | None = None

    def find(self, address: str) -> WorkerRow | None:
        """Return the worker, if it was ever seen."""
        return self._find(address)

    def all(self) -> list[WorkerRow]:
        """Return every worker, the last seen first."""
        rows = self._database.read("SELECT * FROM workers ORDER BY last_seen DESC")
        return [_worker(row) for row in rows]

    def score(self, worker: WorkerRow) -> float:
        """Return its reputation now, 0 to 1."""
        return worker.reputation.score(self._clock(), half_life=self._policy.half_life)

    def record_seen(self, address: str, *, proven: bool) -> WorkerRow:
        """Record that the worker is here, and return what is known of it."""
        now = self._clock()
        with self._database.write() as db:
            db.execute(
                "INSERT INTO workers (address, proven, first_seen, last_seen, standing_at)"
                " VALUES (?, ?, ?, ?, ?) ON CONFLICT (address) DO UPDATE SET"
                " last_seen = excluded.last_seen, proven = CASE WHEN excluded.proven = 1 THEN 1"
                " ELSE workers.proven END",
                (address, int(proven), now, now, now),
            )
            row = db.execute("SELECT * FROM workers WHERE address = ?", (address,)).fetchone()
        return _worker(row)

    def credit(self, address: str, *, pace: float) -> None:
        """Record that a job of it was accepted, done in `pace` seconds a multiply-add."""
        with self._database.write():
            known = self._find(address, self._database.row_lock)
            if known is None:
                return
            before = 1 / known.rate if known.rate else pace
            now = max(FASTEST_PACE, before + PACE_WEIGHT * (pace - before))
            self._set_reputation(known, good=1.0, rate=1 / now, last_seen=self._clock())

    @contextmanager
    def one_outage(self) -> Iterator[None]:
        """Count what a worker is blamed for within the block as one failure, the heaviest.

        A worker that falls silent with a hundred jobs at hand failed once: a hundred failures would
        keep it from work for weeks.
        """
        self._blamed = {}
        try:
            yield
        finally:
            self._blamed = None

    def blame(self, address: str, weight: float) -> None:
        """Record that it failed a job."""
        if self._blamed is not None:
            before = self._blamed.get(address, 0.0)
            self._blamed[address] = max(before, weight)
            weight -= before
        if weight <= 0:
            return
        with self._database.write():
            known = self._find(address, self._database.row_lock)
            if known is not None:
                self._set_reputation(known, bad=weight)

    def ban(self, address: str, reason: str) -> None:
        """Ban it for cheating: no more jobs until it is pardoned."""
        with self._database.write() as db:
            new, now = "address = ? AND out_at IS NULL", self._clock()
            update(db, "workers", new, address, out_at=now, out_reason=reason)

    def pardon(self, address: str) -> None:
        """Lift the ban; what it forfeited stays forfeited. Raises BadInput."""
        with self._database.write() as db:
            banned = "address = ? AND out_at IS NOT NULL"
            pardoned = update(db, "workers", banned, address, out_at=None, out_reason=None)
        if pardoned == 0:
            raise BadInput(_("no worker {address!r} is banned").format(address=address[:80]))

    def _find(self, address: str, lock: str = "") -> WorkerRow | None:
        rows = self._database.read("SELECT * FROM workers WHERE address = ?" + lock, address)  # noqa: S608
        return _worker(rows[0]) if rows else None

    def _set_reputation(
        self, known: WorkerRow, *, good: float = 0.0, bad: float = 0.0, **more: float
    ) -> None:
        new = known.reputation.after(
            now=self._clock(), half_life=self._policy.half_life, good=good, bad=bad
        )
        values = {"good": new.good, "bad": new.bad, "standing_at": new.at}
        with self._database.write() as db:
            update(db, "workers", "address = ?", known.address, **values, **more)


def _worker(row: Row) -> WorkerRow:
    return from_row(
        WorkerRow,
        row,
        proven=bool(row["proven"]),
        reputation=Reputation(row["good"], row["bad"], row["standing_at"]),
        banned_at=row["out_at"],
        ban_reason=row["out_reason"],
    )
