"""How far the chain was searched for the payer's transactions, and what was found there.

Each block that was searched names the one before it as its parent, so that a node cannot put a block
of its own in between. Kept for each account that pays, as one database may pay from several.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from engine.runtime.sql import Row, from_row
from engine.validator.store.backend import Backend
from engine.validator.store.table import SET_META, Table
from node_client.transaction import Transaction

KEPT = 256
"""So many searched blocks are kept to find where a roll-back parted from the old chain."""


@dataclass(frozen=True, slots=True)
class Spent:
    """A transaction of the account in a block that was searched. `body`: as POST /tx/send has it.

    `rooted`: the header's roots cover it; else a node can have put it under an honest header.
    """

    nonce: int
    height: int
    block_hash: str
    body: str
    rooted: bool

    @property
    def transaction(self) -> Transaction:
        """The transaction."""
        return Transaction.model_validate(json.loads(self.body))


class PayoutBlocks(Table):
    """Searched blocks, and spent nonces, of one account."""

    def __init__(self, database: Backend, clock: Callable[[], float], address: str) -> None:
        super().__init__(database, clock)
        self._address = address

    def searched(self) -> list[tuple[int, str]]:
        """Return height and hash of the blocks kept, the highest first."""
        rows = self._database.read(
            "SELECT height, hash FROM payout_blocks WHERE address = ? ORDER BY height DESC",
            self._address,
        )
        return [(row["height"], row["hash"]) for row in rows]

    def position(self) -> tuple[int, str] | None:
        """Return height and hash of the last block that was searched."""
        rows = self._database.read(
            "SELECT height, hash FROM payout_blocks WHERE address = ? ORDER BY height DESC LIMIT 1",
            self._address,
        )
        return (rows[0]["height"], rows[0]["hash"]) if rows else None

    def add(
        self, height: int, block_hash: str, own: Iterable[Transaction], *, rooted: bool = True
    ) -> None:
        """Record that a block was searched, and the account's transactions in it."""
        with self._database.write() as db:
            db.execute(
                "INSERT INTO payout_blocks VALUES (?, ?, ?)"
                " ON CONFLICT (address, height) DO UPDATE SET hash = excluded.hash",
                (self._address, height, block_hash),
            )
            db.execute(
                "DELETE FROM payout_blocks WHERE address = ? AND height <= ?",
                (self._address, height - KEPT),
            )
            for tx in own:
                body = json.dumps(tx.to_json())
                db.execute(
                    "INSERT INTO payout_spent VALUES (?, ?, ?, ?, ?, ?)"
                    " ON CONFLICT (address, nonce) DO UPDATE SET"
                    " height = excluded.height, block_hash = excluded.block_hash,"
                    " body = excluded.body, rooted = excluded.rooted WHERE payout_spent.rooted = 0",
                    (
                        self._address,
                        tx.nonce,
                        height,
                        block_hash,
                        body,
                        int(rooted),
                    ),
                )

    def take_back(self, above: int) -> None:
        """Forget what blocks above this height held."""
        with self._database.write() as db:
            for table in ("payout_blocks", "payout_spent"):
                db.execute(
                    f"DELETE FROM {table} WHERE address = ? AND height > ?",  # noqa: S608
                    (self._address, above),
                )
            if self._confirmed()[1] > above:
                db.execute("DELETE FROM meta WHERE key = ?", (self._confirmed_key,))

    def spent(self, nonce: int) -> Spent | None:
        """Return what spends this nonce, None where no searched block does."""
        rows = self._database.read(
            "SELECT nonce, height, block_hash, body, rooted FROM payout_spent"
            " WHERE address = ? AND nonce = ?",
            self._address,
            nonce,
        )
        return from_row(Spent, rows[0], rooted=bool(rows[0]["rooted"])) if rows else None

    def confirm(self, first_unspent: int, height: int) -> None:
        """Record that every nonce below is spent, as blocks up to this height, or nodes, or you say."""
        with self._database.write() as db:
            db.execute(SET_META, (self._confirmed_key, json.dumps([first_unspent, height])))

    def made_here(self) -> frozenset[str]:
        """Return the signatures of all transfers: in a block, each shows that its own nonce is spent.

        Not that those below are: a node's word may have chosen it.
        """
        rows = self._database.read("SELECT body FROM transfers WHERE body IS NOT NULL")
        return frozenset(_signature(row) for row in rows)

    def first_unspent(self, up_to_height: int) -> int:
        """Return the first nonce that no block at this height or below proves spent, with all below.

        A transfer made here counts only where none is missing below it.
        """
        confirmed, height = self._confirmed()
        first: int = confirmed if height <= up_to_height else 0
        rows = self._database.read(
            "SELECT nonce, body FROM payout_spent WHERE address = ? AND height <= ? ORDER BY nonce",
            self._address,
            up_to_height,
        )
        made_here = self.made_here()
        first = max([first, *(int(r["nonce"]) + 1 for r in rows if _signature(r) not in made_here)])
        for row in rows:
            first += int(row["nonce"] == first)
        return first

    def last_spent(self) -> int:
        """Return the highest nonce that a searched block spends, -1 without one."""
        (row,) = self._database.read(
            "SELECT coalesce(max(nonce), -1) AS last FROM payout_spent WHERE address = ?",
            self._address,
        )
        return int(row["last"])

    @property
    def _confirmed_key(self) -> str:
        return f"payout_confirmed {self._address}"

    def _confirmed(self) -> tuple[int, int]:
        rows = self._database.read("SELECT value FROM meta WHERE key = ?", self._confirmed_key)
        first, height = json.loads(rows[0]["value"]) if rows else (0, 0)
        return first, height


def _signature(row: Row) -> str:
    """Return the signature of a stored transaction."""
    return str(json.loads(row["body"])["signature"])
