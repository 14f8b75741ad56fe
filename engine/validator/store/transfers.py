"""Transfers to workers in the validator's database, each written ahead of what is done.

planned --> signed --> final
               '--> lost: another transaction took its nonce, so no block can include it
"""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from engine.runtime.database import Database
from node_client.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer. `scanned_height`: no final block up to there spends its nonce."""

    id: int
    worker_address: str
    units: int
    state: str
    body: str | None
    tx_hash: str | None
    nonce: int | None
    signed_height: int
    scanned_height: int
    included_height: int | None
    note: str | None

    @property
    def transaction(self) -> Transaction:
        """The signed transaction."""
        assert self.body is not None
        return Transaction.model_validate(json.loads(self.body))


class Transfers:
    """Transfers in the validator's database."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def pin(self, chain: str) -> str | None:
        """Bind the database to a chain; return the other chain if it is bound already."""
        with self._database.write() as db:
            db.execute("INSERT OR IGNORE INTO meta VALUES ('payout_chain', ?)", (chain,))
            row = db.execute("SELECT value FROM meta WHERE key = 'payout_chain'").fetchone()
        return None if row["value"] == chain else str(row["value"])

    def plan(self, amounts: Iterable[tuple[str, int]]) -> None:
        """Add planned transfers of (worker, units), all of them or none."""
        with self._database.write() as db:
            db.executemany(
                "INSERT INTO transfers (worker_address, units, state, planned_at)"
                " VALUES (?, ?, 'planned', ?)",
                [(worker, str(units), self._clock()) for worker, units in amounts],
            )

    def in_state(self, state: str) -> list[Transfer]:
        """Return the transfers in this state, in the order in which they were planned."""
        rows = self._database.read("SELECT * FROM transfers WHERE state = ? ORDER BY id", state)
        return [
            Transfer(
                row["id"],
                row["worker_address"],
                int(row["units"]),
                row["state"],
                row["body"],
                row["tx_hash"],
                row["nonce"],
                row["signed_height"] or 0,
                row["scanned_height"] or 0,
                row["included_height"],
                row["note"],
            )
            for row in rows
        ]

    def next_nonce(self, address: str) -> int:
        """Return the nonce after those of all signed transfers of this account."""
        nonces = [
            transfer.transaction.nonce
            for transfer in self.in_state("signed")
            if transfer.transaction.from_address == address
        ]
        return max(nonces, default=-1) + 1

    def set_signed(self, transfer: int, body: str, tx_hash: str, nonce: int, tip: int) -> None:
        """Record the signed bytes, before they are sent."""
        self._set(
            transfer,
            "state = 'signed', body = ?, tx_hash = ?, nonce = ?, signed_height = ?,"
            " scanned_height = ?",
            (body, tx_hash, nonce, tip, tip),
        )

    def set_scanned(self, transfer: int, height: int) -> None:
        """Record that no block up to this one, all final, spends its nonce."""
        self._set(transfer, "scanned_height = ?", (height,))

    def set_included(self, transfer: int, height: int | None, *, scanned: int) -> None:
        """Record the block that includes it (None: it was rolled back)."""
        self._set(transfer, "included_height = ?, scanned_height = ?", (height, scanned))

    def set_final(self, transfer: int) -> None:
        """Record that the block that includes it is deep enough."""
        self._set(transfer, "state = 'final'", ())

    def set_lost(self, transfer: int, note: str) -> None:
        """Record that no block can include it; its amount is owed again."""
        self._set(transfer, "state = 'lost', note = ?", (note,))

    def _set(self, transfer: int, what: str, values: tuple[object, ...]) -> None:
        with self._database.write() as db:
            db.execute(
                f"UPDATE transfers SET {what} WHERE id = ?",  # noqa: S608 - SQL from this file
                (*values, transfer),
            )
