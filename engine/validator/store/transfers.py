"""Transfers to workers in the validator's database, each written ahead of what is done.

planned --> signed --> final        (a planned one may be taken back)
               '--> lost: another transaction took its nonce, so no block can include it
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from engine.runtime.sql import from_row, insert, update
from engine.validator.store.table import Table
from node_client.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Transfer:
    """A transfer. `signed_height`: the tip that a node named when it was signed."""

    id: int
    worker_address: str
    units: int
    state: str
    body: str | None
    tx_hash: str | None
    nonce: int | None
    signed_height: int
    included_height: int | None
    note: str | None

    @property
    def transaction(self) -> Transaction:
        """The signed transaction."""
        assert self.body is not None
        return Transaction.model_validate(json.loads(self.body))


class Transfers(Table):
    """Transfers in the validator's database."""

    def pin(self, chain: str) -> str | None:
        """Bind the database to a chain; return the other chain if it is bound already."""
        with self._database.write() as db:
            db.execute(
                "INSERT INTO meta VALUES ('payout_chain', ?) ON CONFLICT DO NOTHING", (chain,)
            )
            row = db.execute("SELECT value FROM meta WHERE key = 'payout_chain'").fetchone()
        return None if row["value"] == chain else str(row["value"])

    def plan(self, amounts: Iterable[tuple[str, int]]) -> None:
        """Add planned transfers of (worker, units), all of them or none."""
        with self._database.write() as db:
            for worker, units in amounts:
                planned = {"state": "planned", "planned_at": self._clock()}
                insert(db, "transfers", worker_address=worker, units=str(units), **planned)

    def take_back(self, transfer: int) -> None:
        """Forget a planned transfer, which nobody signed: its amount is owed as before."""
        with self._database.write() as db:
            db.execute("DELETE FROM transfers WHERE id = ? AND state = 'planned'", (transfer,))

    def in_state(self, state: str) -> list[Transfer]:
        """Return the transfers in this state, in the order in which they were planned."""
        rows = self._database.read("SELECT * FROM transfers WHERE state = ? ORDER BY id", state)
        return [
            from_row(
                Transfer,
                row,
                units=int(row["units"]),
                signed_height=row["signed_height"] or 0,
            )
            for row in rows
        ]

    def open_nonces(self, address: str) -> list[int]:
        """Return the nonces of this account's signed transfers."""
        signed = (transfer.transaction for transfer in self.in_state("signed"))
        return [tx.nonce for tx in signed if tx.from_address == address]

    def set_signed(self, transfer: int, body: str, tx_hash: str, nonce: int, tip: int) -> None:
        """Record the signed bytes, before they are sent."""
        signed = {"body": body, "tx_hash": tx_hash, "nonce": nonce, "signed_height": tip}
        self._set(transfer, state="signed", **signed)

    def set_included(self, transfer: int, height: int | None) -> None:
        """Record the block that includes it (None: it was rolled back)."""
        self._set(transfer, included_height=height)

    def set_final(self, transfer: int) -> None:
        """Record that the block that includes it is deep enough."""
        self._set(transfer, state="final")

    def set_lost(self, transfer: int, note: str) -> None:
        """Record that no block can include it; its amount is owed again."""
        self._set(transfer, state="lost", note=note)

    def _set(self, transfer: int, **values: Any) -> None:
        with self._database.write() as db:
            update(db, "transfers", "id = ?", transfer, **values)
