"""Workers as the validator knows them: proven or not, their reputation, who is banned.

A worker is its address. `proven`: it once signed a hello, so the address is known to be its own.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from gettext import gettext as _

from engine.runtime.errors import BadInput
from engine.runtime.sql import Row, from_row, update
from engine.validator.policy.audit_policy import Policy
from engine.validator.store.backend import Backend
from engine.validator.store.reputation import Reputation
from engine.validator.store.table import Table
from engine.validator.store.unit import AtEnd, Rows, Values, padded

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


_STANDING = Rows(
    7, "workers", ("good", "bad", "standing_at", "rate", "last_seen"), keys=("address",)
)


class Workers(Table):
    """Workers in the validator's database, which other validators change, too.

    Within a unit of work each is read once. What it is credited with and blamed for is written when
    the unit ends: in the order of addresses, as two validators may have the same workers.
    """

    def __init__(
        self, database: Backend, policy: Policy, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(database, clock)
        self._policy = policy
        self._blamed: dict[str, float] | None = None
        self._outcomes = AtEnd(1, self._write_outcomes)
        self._read: dict[str, WorkerRow] = {}
        self._read_in: int | None = None
        database.when_undone(self._read.clear)

    def find(self, address: str) -> WorkerRow | None:
        """Return the worker, if it was ever seen."""
        return self.find_all([address]).get(address)

    def find_all(self, addresses: Iterable[str]) -> dict[str, WorkerRow]:
        """Return those of them that were ever seen."""
        unit = self._database.unit
        if unit is None:
            return self._select(self._database.read, addresses)
        if unit != self._read_in:
            self._read.clear()
            self._read_in = unit
        wanted = list(addresses)
        missing = [one for one in wanted if one not in self._read]
        if missing:
            self._read |= self._select(self._database.apart, missing)
        return {one: self._read[one] for one in wanted if one in self._read}

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
            self._read.pop(address, None)
        return _worker(row)

    def credit(self, address: str, *, pace: float) -> None:
        """Record that a job of it was accepted, done in `pace` seconds a multiply-add."""
        with self._database.write():
            self._database.later(self._outcomes, address, 1.0, 0.0, pace)

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
            self._database.later(self._outcomes, address, 0.0, weight, None)

    def ban(self, address: str, reason: str) -> None:
        """Ban it for cheating: no more jobs until it is pardoned."""
        with self._database.write() as db:
            new, now = "address = ? AND out_at IS NULL", self._clock()
            update(db, "workers", new, address, out_at=now, out_reason=reason)
            self._read.pop(address, None)

    def pardon(self, address: str) -> None:
        """Lift the ban; what it forfeited stays forfeited. Raises BadInput."""
        with self._database.write() as db:
            banned = "address = ? AND out_at IS NOT NULL"
            pardoned = update(db, "workers", banned, address, out_at=None, out_reason=None)
        if pardoned == 0:
            raise BadInput(_("no worker {address!r} is banned").format(address=address[:80]))

    def _select(
        self, read: Callable[..., Sequence[Row]], addresses: Iterable[str], lock: str = ""
    ) -> dict[str, WorkerRow]:
        if not (wanted := sorted(addresses)):
            return {}
        marks, values = padded(wanted)
        rows = read(
            f"SELECT * FROM workers WHERE address IN ({marks}) ORDER BY address{lock}",  # noqa: S608
            *values,
        )
        return {row["address"]: _worker(row) for row in rows}

    def _write_outcomes(self, outcomes: Sequence[Values]) -> None:
        """Add the good and bad outcomes of a unit of work to what is known of their workers."""
        database, now = self._database, self._clock()
        addresses = {address for address, *_outcome in outcomes}
        known = self._select(database.apart, addresses, database.row_lock)
        for address, good, bad, pace in outcomes:
            if (worker := known.get(address)) is None:
                continue
            after = worker.reputation.after(
                now=now, half_life=self._policy.half_life, good=good, bad=bad
            )
            known[address] = worker = replace(worker, reputation=after)
            if pace is not None:
                rate = 1 / _next_pace(worker.rate, pace)
                known[address] = replace(worker, rate=rate, last_seen=now)
        for worker in known.values():
            standing = worker.reputation
            values = (standing.good, standing.bad, standing.at, worker.rate, worker.last_seen)
            database.later(_STANDING, *values, worker.address)


def _next_pace(rate: float | None, pace: float) -> float:
    """Return a worker's measured seconds a multiply-add after one more job."""
    before = 1 / rate if rate else pace
    return max(FASTEST_PACE, before + PACE_WEIGHT * (pace - before))


def _worker(row: Row) -> WorkerRow:
    return from_row(
        WorkerRow,
        row,
        proven=bool(row["proven"]),
        reputation=Reputation(row["good"], row["bad"], row["standing_at"]),
        banned_at=row["out_at"],
        ban_reason=row["out_reason"],
    )
