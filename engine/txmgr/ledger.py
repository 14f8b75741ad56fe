"""The ledger: what was seen, computed, signed, sent, confirmed; on disk before it is acted on.

    with Ledger.open(path, chain_id="cpc-devnet-1", genesis=first_hash, address=address) as ledger:
        ledger.record_computed(task, computed, seen_at=...)

SQLite with a write-ahead log and a full sync, so that `kill -9` or a power cut at any moment loses
nothing that a method has returned from. A result goes through these states, the view `progress`:

    computed --> signed --> sent --> included --> final
    any of the first four --> given_up (with code and reason)

`included` and `final` fall back to `sent` when their block is rolled back. A transaction that will
not be sent any more is `abandoned`, and stays here: a node may still hold it, and at most one of the
transactions of one nonce gets into a block. `spent` has every nonce of the account that a block was
seen to spend. One ledger belongs to one account on one chain, and to one process.
"""

import json
import sqlite3
import time
from contextlib import ExitStack
from gettext import gettext as _
from pathlib import Path
from typing import Self

from engine.pool.messages import Computed
from engine.runtime.closing import Closing
from engine.runtime.database import Database, lock_file
from engine.runtime.errors import LedgerError
from engine.tasks.derivation import BlockTask
from engine.txmgr.ledger_reader import LedgerReader
from engine.txmgr.schema import SCHEMA, SCHEMA_VERSION
from node_client.transaction import Transaction

UNKNOWN_GENESIS = "unknown"
"""Stands for the hash of the first block where no node has that any more."""
SCANNED_KEPT = 256
"""How many scanned block hashes are kept to find where a roll-back parted from the old chain."""


class _Database(Database):
    error = LedgerError


class Ledger(LedgerReader, Closing):
    """See the module. Thread-safe: the mining loop and the sender share one."""

    def __init__(self, database: Database, on_close: ExitStack) -> None:
        """`on_close` closes the database, and lets another process have it."""
        super().__init__(database)
        self._write = database.write
        self._on_close = on_close

    @classmethod
    def open(cls, path: Path, *, chain_id: str, genesis: str, address: str) -> Self:
        """Open or make the ledger at `path`.

        Raises LedgerError where another process has it, it belongs to another chain or account, or
        the file cannot be used.
        """
        lock = lock_file(
            path.with_name(path.name + ".lock"),
            _("another cpc-engine works with the ledger {path}").format(path=path),
            _("Stop it first, or give this one another account with --from."),
            error=LedgerError,
        )
        with ExitStack() as on_failure:
            on_failure.enter_context(lock)
            database = _Database.open(path, SCHEMA, version=SCHEMA_VERSION)
            on_failure.enter_context(database)
            ledger = cls(database, on_failure)
            ledger._pin(chain_id=chain_id, genesis=genesis, address=address)
            ledger._on_close = on_failure.pop_all()
        return ledger

    def close(self) -> None:
        """Close the file and let another process have it."""
        self._on_close.close()

    # What the mining loop writes down

    def record_block(self, height: int, block_hash: str, seen_at: float, tasks: int = 1) -> bool:
        """A block was seen that gives so many tasks; False where it was known already."""
        with self._write() as db:
            done = db.execute(
                "INSERT OR IGNORE INTO blocks (height, hash, seen_at, tasks) VALUES (?, ?, ?, ?)",
                (height, block_hash, seen_at, tasks),
            )
            return done.rowcount == 1

    def record_skipped(self, block_hash: str, reason: str) -> None:
        """A block that was seen gets no (or not every) answer."""
        with self._write() as db:
            db.execute("UPDATE blocks SET skipped = ? WHERE hash = ?", (reason, block_hash))

    def reopen_block(self, block_hash: str) -> None:
        """A block that a crash left without an answer is the tip still: it may be answered."""
        with self._write() as db:
            db.execute("UPDATE blocks SET skipped = NULL WHERE hash = ?", (block_hash,))

    def record_gap(self, first: int, last: int, reason: str) -> None:
        """Blocks `first` to `last` were never looked at."""
        with self._write() as db:
            db.execute("INSERT INTO gaps VALUES (?, ?, ?, ?)", (first, last, reason, time.time()))

    def record_computed(self, task: BlockTask, computed: Computed, seen_at: float) -> bool:
        """A checked result; False where the task has one already."""
        of_block = (task.task_id, task.block_hash, task.height, task.index)
        size = (task.task.seed.hex(), task.task.n, task.task.iterations)
        found = (computed.root.hex(), computed.proof, computed.device, computed.seconds)
        return self._add_result(*of_block, *size, *found, seen_at, time.time())

    def record_job(
        self, task_id: str, result_hash: str, proof: str, device: str, seconds: float
    ) -> bool:
        """A validator's job, checked, to be sent as well; False where the task has a result.

        It comes from no block: its block's hash is "", and it neither expires nor is rolled back.
        """
        now, found = time.time(), (result_hash, proof, device, seconds)
        return self._add_result(task_id, "", 0, 0, "", 0, 0, *found, now, now)

    def _add_result(self, *values: str | float) -> bool:
        with self._write() as db:
            done = db.execute(
                "INSERT OR IGNORE INTO results (task_id, block_hash, height, task_index, seed,"
                " size, iterations, result_hash, proof, device, seconds, seen_at, computed_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
            return done.rowcount == 1

    # What the sender writes down

    def record_signed(self, task_id: str, tx: Transaction, replaces: str | None = None) -> None:
        """The signed bytes, before they are sent anywhere.

        Signatures are deterministic: a result signed again with the same nonce gives the very
        transaction that was abandoned, which is taken up again. `replaces` names one of the same
        nonce that is not sent any more from now on; a block may hold it all the same.
        """
        with self._write() as db:
            db.execute(
                "UPDATE transactions SET state = 'abandoned', answer = 'replaced at a higher price'"
                " WHERE tx_hash = ? AND nonce = ? AND task_id = ?",
                (replaces, tx.nonce, task_id),
            )
            db.execute(
                "INSERT INTO transactions (tx_hash, task_id, nonce, body, state, signed_at)"
                " VALUES (?, ?, ?, ?, 'signed', ?) ON CONFLICT (tx_hash) DO UPDATE SET"
                " state = 'signed', sent_height = NULL, received = 0",
                (tx.hash(), task_id, tx.nonce, json.dumps(tx.to_json()), time.time()),
            )

    def record_sent(self, tx_hash: str, answer: str, tip: int) -> None:
        """The node's answer to a send: "received", or its words of refusal."""
        with self._write() as db:
            db.execute(
                "UPDATE transactions SET state = 'sent', answer = ?, sent_at = ?, sent_height = ?,"
                " received = received + ? WHERE tx_hash = ? AND state IN ('signed', 'sent')",
                (answer, time.time(), tip, answer == "received", tx_hash),
            )

    def record_included(self, tx_hash: str, height: int, block_hash: str) -> bool:
        """A block holds this transaction of ours. False where it is not ours.

        A rival of the same nonce can get in no more; its result needs another transaction.
        """
        with self._write() as db:
            row = db.execute(
                "SELECT task_id, nonce, state FROM transactions WHERE tx_hash = ?", (tx_hash,)
            ).fetchone()
            if row is None:
                return False
            _spend(db, row["nonce"], height)
            if row["state"] == "final":
                return True
            db.execute(
                "UPDATE transactions SET state = 'abandoned', answer = 'another took the nonce'"
                " WHERE tx_hash <> ? AND state <> 'abandoned' AND (nonce = ? OR task_id = ?)",
                (tx_hash, row["nonce"], row["task_id"]),
            )
            db.execute(
                "UPDATE transactions SET state = 'included', included_height = ?,"
                " included_hash = ?, included_at = ? WHERE tx_hash = ?",
                (height, block_hash, time.time(), tx_hash),
            )
            db.execute(
                "UPDATE results SET given_up = NULL, reason = NULL, open = 1"
                " WHERE task_id = ? AND given_up IS NOT NULL",
                (row["task_id"],),
            )
            return True

    def record_foreign(self, nonce: int, height: int, why: str) -> None:
        """A foreign transaction spent this nonce: the result that had it needs another."""
        with self._write() as db:
            _spend(db, nonce, height)
            db.execute(
                "UPDATE transactions SET state = 'abandoned', answer = ?"
                " WHERE nonce = ? AND state IN ('signed', 'sent')",
                (why, nonce),
            )

    def give_up(self, task_id: str, code: str, reason: str) -> None:
        """The result is worth nothing any more; its transaction, if any, frees its nonce."""
        with self._write() as db:
            db.execute(
                "UPDATE results SET given_up = ?, reason = ?, open = 0 WHERE task_id = ?"
                " AND given_up IS NULL",
                (code, reason, task_id),
            )
            db.execute(
                "UPDATE transactions SET state = 'abandoned' WHERE task_id = ?"
                " AND state IN ('signed', 'sent')",
                (task_id,),
            )

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
        if not done_with:
            return
        with self._write() as db:
            db.executemany(
                "UPDATE transactions SET body = json_remove(body, '$.payload') WHERE task_id = ?",
                done_with,
            )
            db.executemany("UPDATE results SET proof = '' WHERE task_id = ?", done_with)

    # How far the chain was read for our transactions

    def record_scanned(self, height: int, block_hash: str) -> None:
        """The block was searched."""
        with self._write() as db:
            db.execute("INSERT OR REPLACE INTO scanned VALUES (?, ?)", (height, block_hash))
            db.execute("DELETE FROM scanned WHERE height <= ?", (height - SCANNED_KEPT,))

    def roll_back(self, above: int) -> None:
        """Blocks above this height are gone: what they included waits again."""
        with self._write() as db:
            db.execute("DELETE FROM scanned WHERE height > ?", (above,))
            db.execute("DELETE FROM spent WHERE height > ?", (above,))
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

    def _pin(self, **identity: str) -> None:
        with self._write() as db:
            for key, value in identity.items():
                db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, value))
                found = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()[0]
                if found != value:
                    message = _("this ledger belongs to {key} {found}, not {value}")
                    advice = _("Name another file with --ledger: one account on one chain has one.")
                    raise LedgerError(
                        message.format(key=key, found=found, value=value), advice=advice
                    )


def _spend(db: sqlite3.Connection, nonce: int, height: int) -> None:
    db.execute("INSERT OR REPLACE INTO spent VALUES (?, ?)", (nonce, height))
