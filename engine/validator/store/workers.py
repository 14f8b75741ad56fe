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
FRESH_SECONDS = 0.25
"""For which units of work take a worker as it was read; another process's ban counts then."""


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


type _Change = Callable[[WorkerRow], WorkerRow]
_KNOWN = Rows(
    7,
    "workers",
    (
        *("proven", "good", "bad", "standing_at", "rate", "last_seen"),
        *("out_at", "out_reason"),
    ),
    keys=("address",),
)
_NEW = """INSERT INTO workers (address, first_seen, last_seen, standing_at) VALUES (?, ?, ?, ?)
    ON CONFLICT DO NOTHING"""


class Workers(Table):
    """Workers in the validator's database, which other validators change, too.

    Units of work keep what they read in memory for `FRESH_SECONDS`. What becomes of a worker is
    written when the unit ends, and its row is locked no sooner: in the order of addresses, as two
    validators may have the same workers.
    """

    def __init__(
        self, database: Backend, policy: Policy, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(database, clock)
        self._policy = policy
        self._blamed: dict[str, float] | None = None
        self._changes = AtEnd(1, self._write_changes)
        self._read: dict[str, WorkerRow] = {}
        self._asked: set[str] = set()
        self._usual: set[str] = set()
        self._fresh_until = 0.0
        database.when_undone(self._read.clear)

    def find(self, address: str) -> WorkerRow | None:
        """Return the worker, if it was ever seen."""
        return self.find_all([address]).get(address)

    def find_all(self, addresses: Iterable[str]) -> dict[str, WorkerRow]:
        """Return those of them that were ever seen."""
        if self._database.unit is None:
            return self._select(self._database.read, addresses)
        now = self._clock()
        if not now < self._fresh_until <= now + FRESH_SECONDS:
            self._read.clear()
            self._fresh_until = now + FRESH_SECONDS
            # It is most often about the same workers again: they are read by one statement.
            self._usual, self._asked = self._asked, set()
        wanted = list(addresses)
        self._asked.update(wanted)
        missing = {one for one in wanted if one not in self._read}
        if missing:
            missing |= self._usual - self._read.keys()
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

        def seen(worker: WorkerRow) -> WorkerRow:
            return replace(worker, last_seen=now, proven=worker.proven or proven)

        with self._database.write():
            known = self.find(address)
            self._change(address, seen, is_new=known is None)
            self._read[address] = seen(known or _new(address, now))
            return self._read[address]

    def credit(self, address: str, *, pace: float) -> None:
        """Record that a job of it was accepted, done in `pace` seconds a multiply-add."""
        now = self._clock()

        def credited(worker: WorkerRow) -> WorkerRow:
            rate = 1 / _next_pace(worker.rate, pace)
            return replace(self._after(worker, now, good=1.0), rate=rate, last_seen=now)

        with self._database.write():
            self._change(address, credited)

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
        now = self._clock()
        with self._database.write():
            self._change(address, lambda worker: self._after(worker, now, bad=weight))

    def ban(self, address: str, reason: str) -> None:
        """Ban it for cheating: no more jobs until it is pardoned."""
        now = self._clock()

        def banned(worker: WorkerRow) -> WorkerRow:
            if worker.banned_at is not None:
                return worker
            return replace(worker, banned_at=now, ban_reason=reason)

        with self._database.write():
            self._change(address, banned)
            if (known := self.find(address)) is not None:
                self._read[address] = banned(known)

    def pardon(self, address: str) -> None:
        """Lift the ban; what it forfeited stays forfeited. Raises BadInput."""
        with self._database.write() as db:
            banned = "address = ? AND out_at IS NOT NULL"
            pardoned = update(db, "workers", banned, address, out_at=None, out_reason=None)
            self._read.pop(address, None)
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

    def _after(
        self, worker: WorkerRow, now: float, *, good: float = 0.0, bad: float = 0.0
    ) -> WorkerRow:
        after = worker.reputation.after(
            now=now, half_life=self._policy.half_life, good=good, bad=bad
        )
        return replace(worker, reputation=after)

    def _change(self, address: str, change: _Change, *, is_new: bool = False) -> None:
        self._database.later(self._changes, address, change, is_new)

    def _write_changes(self, changes: Sequence[Values]) -> None:
        """Write what becomes of a unit's workers. New ones come first, then nothing but locks."""
        database, now = self._database, self._clock()
        if new := sorted({address for address, _change, is_new in changes if is_new}):
            with database.write() as db:
                db.executemany(_NEW, [(address, now, now, now) for address in new])
        addresses = {address for address, *_change in changes}
        known = self._select(database.apart, addresses, database.row_lock)
        for address, change, _is_new in changes:
            if address in known:
                known[address] = change(known[address])
        for worker in known.values():
            standing = worker.reputation
            values = (int(worker.proven), standing.good, standing.bad, standing.at)
            last = (worker.rate, worker.last_seen, worker.banned_at, worker.ban_reason)
            database.later(_KNOWN, *values, *last, worker.address)
        self._read |= known


def _next_pace(rate: float | None, pace: float) -> float:
    """Return a worker's measured seconds a multiply-add after one more job."""
    before = 1 / rate if rate else pace
    return max(FASTEST_PACE, before + PACE_WEIGHT * (pace - before))


def _new(address: str, now: float) -> WorkerRow:
    return WorkerRow(address, False, Reputation(0.0, 0.0, now), None, now, now, None, None)


def _worker(row: Row) -> WorkerRow:
    return from_row(
        WorkerRow,
        row,
        proven=bool(row["proven"]),
        reputation=Reputation(row["good"], row["bad"], row["standing_at"]),
        banned_at=row["out_at"],
        ban_reason=row["out_reason"],
    )
