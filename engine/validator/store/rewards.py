"""Rewards: booked when a job is accepted, withheld for a time, then due. Units of 10^-18 CPC.

Until a reward is due it is at stake: a worker caught cheating forfeits what is withheld, and each
customer gets its payment back. Only an address that once signed a hello is paid, as only then its
owner has shown to have its key.

    credit + rewards of open tasks + rewards booked and not forfeited = what customers paid in
"""

import time
from collections.abc import Callable, Sequence

from engine.runtime.sql import Row, Transaction
from engine.validator.policy.audit_policy import Policy
from engine.validator.store.backend import Backend
from engine.validator.store.customers import Customers
from engine.validator.store.table import Table
from engine.validator.store.unit import Rows

_ONE_FORFEITS = f"SELECT pg_advisory_xact_lock({0x637063_04})"
_BOOKED = Rows(5, "rewards", ("job_id", "worker_address", "customer", "units", "booked_at"))


class Rewards(Table):
    """Rewards in the validator's database."""

    def __init__(
        self,
        database: Backend,
        policy: Policy,
        customers: Customers,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(database, clock)
        self._policy = policy
        self._customers = customers

    def book(self, job_id: str, worker: str, customer: str, units: int) -> None:
        """Book what an accepted job has earned, within a transaction."""
        self._database.later(_BOOKED, job_id, worker, customer, str(units), self._clock())

    def withheld(self, worker: str) -> int:
        """Return the units that the worker would lose now."""
        return _total(
            self._database.read(
                "SELECT units FROM rewards WHERE worker_address = ? AND booked_at > ?"
                " AND forfeited_at IS NULL",
                worker,
                self._held_since(),
            )
        )

    def forfeit(self, db: Transaction, worker: str) -> int:
        """Take back what is withheld, within a transaction, and return how much that was.

        One validator at a time: else two that ban the same workers may each wait for the other's rows.
        """
        if self._database.shared:
            db.execute(_ONE_FORFEITS)
        rows = db.execute(
            "UPDATE rewards SET forfeited_at = ? WHERE worker_address = ? AND booked_at > ?"
            " AND forfeited_at IS NULL RETURNING job_id, customer, units",
            (self._clock(), worker, self._held_since()),
        ).fetchall()
        for row in rows:
            task = db.execute("SELECT task_id FROM jobs WHERE job_id = ?", (row["job_id"],))
            self._customers.refund(
                row["customer"], int(row["units"]), "forfeited", task.fetchone()["task_id"]
            )
        return _total(rows)

    def due(self) -> dict[str, int]:
        """Return what each proven worker is owed: rewards no longer withheld, less transfers."""
        owed: dict[str, int] = {}
        earned = self._database.read(
            "SELECT r.worker_address, r.units FROM rewards r JOIN workers w"
            " ON w.address = r.worker_address WHERE w.proven = 1 AND r.forfeited_at IS NULL"
            " AND r.booked_at <= ? ORDER BY r.worker_address",
            self._held_since(),
        )
        for row in earned:
            owed[row["worker_address"]] = owed.get(row["worker_address"], 0) + int(row["units"])
        for row in self._database.read(
            "SELECT worker_address, units FROM transfers WHERE state <> 'lost'"
        ):
            owed[row["worker_address"]] = owed.get(row["worker_address"], 0) - int(row["units"])
        return owed

    def _held_since(self) -> float:
        return self._clock() - self._policy.hold_seconds


def _total(rows: Sequence[Row]) -> int:
    return sum(int(row["units"]) for row in rows)
