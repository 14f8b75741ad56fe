"""What blocks say of the account, in the ledger: which nonces they spent, and which results they hold.

    ledger.record_included(tx, height, block_hash)   # one that this ledger has: its result's
    ledger.record_elsewhere(tx, height, block_hash)  # signed with the same key by somebody else
    ledger.proven()                                  # every nonce below is spent

Only transactions that the account's key has signed get here, of blocks that link to each other. A
nonce is *proven* spent where such a block spent it. Of this engine's own transactions each proves its
nonce alone, and only those without a gap count together: they were signed at nonces that a node had
named, and would otherwise prove what it said. One of another program proves all nonces below its own.
`confirmed` has what was proven in another way: `how` is "block" (found by walking the chain back),
"nodes" (two of them said so), "operator", or "ledger" (by deep blocks, so that none is counted twice).
"""

import json
import sqlite3
import time
from typing import Literal

from engine.runtime.database import Database
from engine.txmgr.ledger_reader import LedgerReader
from node_client.transaction import Transaction, TxType

SCANNED_KEPT = 256
"""How many scanned block hashes are kept to find where a roll-back parted from the old chain."""


class ChainRecord(LedgerReader):
    """The part of the ledger that reading blocks writes."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._write = database.write

    def record_included(self, tx: Transaction, height: int, block_hash: str) -> bool:
        """A block holds this transaction of ours. False where this ledger has not signed it.

        A rival of the same nonce can get in no more; its result needs another transaction.
        """
        with self._write() as db:
            row = db.execute(
                "SELECT task_id, nonce, state FROM transactions WHERE tx_hash = ?", (tx.hash(),)
            ).fetchone()
            if row is None:
                return False
            if row["nonce"] != tx.nonce:
                self._record_other_reading(db, tx, row["task_id"], height, block_hash)
                return True
            _spend(db, tx, height, ours=True)
            if row["state"] != "final":
                _include(db, tx, row["task_id"], height, block_hash)
            return True

    def record_elsewhere(self, tx: Transaction, height: int, block_hash: str) -> bool:
        """A block holds a transaction that another program signed with this key.

        Return whether it is the answer to a task that has a result here: that result is done, and
        the transaction is its own from now on, as if it had been signed here.
        """
        with self._write() as db:
            _spend(db, tx, height, ours=False)
            db.execute(
                "UPDATE transactions SET state = 'abandoned', answer = ?"
                " WHERE nonce = ? AND state IN ('signed', 'sent')",
                (f"{tx.hash()} took the nonce", tx.nonce),
            )
            task_id = _task_id(tx)
            if task_id is None:
                return False
            db.execute(
                "INSERT OR REPLACE INTO sent_elsewhere VALUES (?, ?, ?, ?)",
                (task_id, json.dumps(tx.to_json()), height, block_hash),
            )
            return self.adopt_sent_elsewhere(task_id)

    def adopt_sent_elsewhere(self, task_id: str) -> bool:
        """Where a block holds another program's answer to this task, close our result with it.

        Also when the result is written down after that block was read. False where there is no such
        answer or no result, or a block holds a transaction of ours for it already.
        """
        with self._write() as db:
            seen = db.execute(
                "SELECT * FROM sent_elsewhere WHERE task_id = ?", (task_id,)
            ).fetchone()
            if seen is None:
                return False
            open_ = db.execute(
                "SELECT 1 FROM progress WHERE task_id = ? AND state NOT IN ('included', 'final')",
                (task_id,),
            ).fetchone()
            if open_ is None:
                return False
            tx = Transaction.model_validate(json.loads(seen["body"]))
            db.execute(
                "INSERT OR IGNORE INTO transactions (tx_hash, task_id, nonce, body, state, signed_at)"
                " VALUES (?, ?, ?, ?, 'abandoned', ?)",
                (tx.hash(), task_id, tx.nonce, seen["body"], time.time()),
            )
            _include(db, tx, task_id, seen["height"], seen["block_hash"])
            return True

    def record_received(self, tx: Transaction, height: int) -> bool:
        """A block holds this transfer to the account. False where that was known."""
        with self._write() as db:
            done = db.execute(
                "INSERT OR IGNORE INTO received VALUES (?, ?, ?, ?, ?)",
                (tx.hash(), height, tx.from_address, str(tx.amount), time.time()),
            )
            return bool(done.rowcount)

    def record_final(self, up_to_height: int) -> list[str]:
        """Everything included at this height or below is final. Gives the task ids.

        Those of results that are given up are not among them.
        """
        with self._write() as db:
            rows = db.execute(
                "UPDATE transactions SET state = 'final' WHERE state = 'included'"
                " AND included_height <= ? RETURNING task_id",
                (up_to_height,),
            ).fetchall()
            deep = self.contiguous(up_to_height)
            if rows and deep is not None:
                _confirm(db, "ledger", *deep)
            return [
                row["task_id"]
                for row in rows
                if db.execute(
                    "UPDATE results SET open = 0 WHERE task_id = ? AND given_up IS NULL",
                    (row["task_id"],),
                ).rowcount
            ]

    def forget_proofs(self, below_height: int) -> None:
        """Proofs of results that are done with, and so old that no roll-back reaches them: a proof
        is nine tenths of a result, and weeks of them would fill the disk. The chain has them.
        """
        old = "SELECT task_id FROM results WHERE open = 0 AND proof <> '' AND height < ?"
        done_with = [(row["task_id"],) for row in self._read(old, below_height)]
        if done_with:
            with self._write() as db:
                db.executemany(
                    "UPDATE transactions SET body = json_remove(body, '$.payload')"
                    " WHERE task_id = ?",
                    done_with,
                )
                db.executemany("UPDATE results SET proof = '' WHERE task_id = ?", done_with)
        if self._read("SELECT 1 FROM sent_elsewhere WHERE height < ? LIMIT 1", below_height):
            with self._write() as db:
                db.execute("DELETE FROM sent_elsewhere WHERE height < ?", (below_height,))

    # How far the chain was read

    def record_scanned(self, height: int, block_hash: str) -> None:
        """The block was searched."""
        with self._write() as db:
            db.execute("INSERT OR REPLACE INTO scanned VALUES (?, ?)", (height, block_hash))
            db.execute("DELETE FROM scanned WHERE height <= ?", (height - SCANNED_KEPT,))

    def begin_scan(self, height: int) -> None:
        """Reading begins at this block, with nothing that links it to blocks read before."""
        with self._write() as db:
            self.roll_back(above=height - 1)
            db.execute("DELETE FROM scanned")
            db.execute("INSERT OR REPLACE INTO meta VALUES ('scan_start', ?)", (str(height),))

    def roll_back(self, above: int) -> None:
        """Blocks above this height are gone: what they included waits again."""
        with self._write() as db:
            for table in ("scanned", "spends", "sent_elsewhere", "confirmed", "received"):
                db.execute(f"DELETE FROM {table} WHERE height > ?", (above,))  # noqa: S608
            db.execute(
                "UPDATE results SET open = 1 WHERE given_up IS NULL AND task_id IN (SELECT task_id"
                " FROM transactions WHERE state IN ('included', 'final') AND included_height > ?)",
                (above,),
            )
            db.execute(
                "UPDATE transactions SET included_height = NULL, included_hash = NULL,"
                " included_at = NULL, sent_height = NULL, state = CASE WHEN (SELECT given_up"
                " FROM results r WHERE r.task_id = transactions.task_id) IS NULL"
                " THEN 'sent' ELSE 'abandoned' END"
                " WHERE state IN ('included', 'final') AND included_height > ?",
                (above,),
            )

    # Which nonces are spent

    def confirm_nonce(
        self, how: Literal["block", "nodes", "operator"], first_unspent: int, height: int | None
    ) -> None:
        """Every nonce below `first_unspent` is spent. A roll-back below `height` takes it back."""
        with self._write() as db:
            _confirm(db, how, first_unspent, height)

    def _record_other_reading(
        self, db: sqlite3.Connection, tx: Transaction, task_id: str, height: int, block_hash: str
    ) -> None:
        """Our own signature, under other numbers: the digits were cut elsewhere (`ambiguity`).

        Its nonce was not spent when it was signed, so this is the result's transaction now; where
        it was, no block that links to ours can hold it, and somebody has made this one up.
        """
        spent = db.execute("SELECT 1 FROM spends WHERE nonce = ?", (tx.nonce,)).fetchone()
        if spent is None and tx.nonce >= self.proven():
            _spend(db, tx, height, ours=True)
            db.execute(
                "UPDATE transactions SET state = 'abandoned', nonce = ?, body = ? WHERE tx_hash = ?",
                (tx.nonce, json.dumps(tx.to_json()), tx.hash()),
            )
            _include(db, tx, task_id, height, block_hash)


def _spend(db: sqlite3.Connection, tx: Transaction, height: int, *, ours: bool) -> None:
    db.execute(
        "INSERT OR REPLACE INTO spends VALUES (?, ?, ?, ?)", (tx.nonce, height, tx.hash(), ours)
    )


def _confirm(db: sqlite3.Connection, how: str, first_unspent: int, height: int | None) -> None:
    db.execute(
        "INSERT OR REPLACE INTO confirmed VALUES (?, ?, ?, ?)",
        (how, first_unspent, height, time.time()),
    )


def _include(
    db: sqlite3.Connection, tx: Transaction, task_id: str, height: int, block_hash: str
) -> None:
    db.execute(
        "UPDATE transactions SET state = 'abandoned', answer = 'another took the nonce'"
        " WHERE tx_hash <> ? AND state <> 'abandoned' AND (nonce = ? OR task_id = ?)",
        (tx.hash(), tx.nonce, task_id),
    )
    db.execute(
        "UPDATE transactions SET state = 'included', included_height = ?,"
        " included_hash = ?, included_at = ? WHERE tx_hash = ?",
        (height, block_hash, time.time(), tx.hash()),
    )
    db.execute(
        "UPDATE results SET given_up = NULL, reason = NULL, open = 1"
        " WHERE task_id = ? AND given_up IS NOT NULL",
        (task_id,),
    )


def _task_id(tx: Transaction) -> str | None:
    """Return the task that this transaction answers, if any."""
    task_id = tx.payload.get("task_id") if tx.tx_type is TxType.SUBMIT_RESULT else None
    return task_id if isinstance(task_id, str) else None
