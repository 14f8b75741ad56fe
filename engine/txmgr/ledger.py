"""The ledger: what was seen, computed, signed, sent, confirmed; on disk before it is acted on.

    with Ledger.open(path, chain_id="cpc-devnet-1", genesis=first_hash, address=address) as ledger:
        ledger.record_computed(task, computed, seen_at=...)

SQLite with a write-ahead log and a full sync, so that `kill -9` or a power cut at any moment loses
nothing that a method has returned from. A result goes through these states, the view `progress`:

    computed --> signed --> sent --> included --> final
    any of the first four --> given_up (with code and reason)

`included` and `final` fall back to `sent` when their block is rolled back. A transaction that will
not be sent any more is `abandoned`, and stays here: a node may still hold it, and at most one of the
transactions of one nonce gets into a block. One ledger belongs to one account on one chain, and to
one process. What blocks say of the account is written down by `chain_record.py`.
"""

import time
from contextlib import AbstractContextManager, ExitStack
from gettext import gettext as _
from pathlib import Path
from typing import Self

from engine.pool.messages import Computed
from engine.runtime.closing import Closing
from engine.runtime.database import Database, Waits, lock_file
from engine.runtime.errors import LedgerError
from engine.tasks.derivation import BlockTask
from engine.txmgr.chain_record import ChainRecord
from engine.txmgr.schema import SCHEMA, SCHEMA_VERSION
from node_client.transaction import Transaction

UNKNOWN_GENESIS = "unknown"
"""Stands for the hash of the first block where no node has that any more."""


class _Database(Database):
    error = LedgerError


class Ledger(ChainRecord, Closing):
    """See the module. Thread-safe: the mining loop and the sender share one."""

    def __init__(self, database: Database, on_close: ExitStack) -> None:
        """`on_close` closes the database, and lets another process have it."""
        super().__init__(database)
        self._on_close = on_close

    @classmethod
    def open(
        cls, path: Path, *, chain_id: str, genesis: str, address: str, waits: Waits | None = None
    ) -> Self:
        """Open or make the ledger at `path`; `waits` is told where another program keeps it locked.

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
            database.waits = waits
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

    def note_day(self, joules: float, balance: int | None) -> None:
        """Add to the energy of this day, and note the balance in units, where it is known."""
        with self._write() as db:
            db.execute(
                "INSERT INTO days VALUES (date('now', 'localtime'), ?, ?) ON CONFLICT (day) DO UPDATE"
                " SET joules = joules + excluded.joules,"
                " balance = coalesce(excluded.balance, balance)",
                (joules, None if balance is None else str(balance)),
            )

    def together(self) -> AbstractContextManager[object]:
        """What is written in this block is on the disk at its end, or nothing of it is: one sync."""
        return self._write()

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
            if done.rowcount == 1:
                self.adopt_sent_elsewhere(str(values[0]))
            return done.rowcount == 1

    # What the sender writes down

    def record_signed(self, task_id: str, tx: Transaction, replaces: str | None = None) -> None:
        """The signed bytes, before they are sent anywhere.

        Signatures are deterministic: a result signed again with the same nonce gives the very
        transaction that was abandoned, which is taken up again. `replaces` names one of the same
        nonce that is not sent any more from now on; a block may hold it all the same.
        """
        with self._write() as db:
            if replaces is not None:
                db.execute(
                    "UPDATE transactions SET state = 'abandoned',"
                    " answer = 'replaced at a higher price'"
                    " WHERE tx_hash = ? AND nonce = ? AND task_id = ?",
                    (replaces, tx.nonce, task_id),
                )
            db.execute(
                "INSERT INTO transactions (tx_hash, task_id, nonce, body, state, signed_at)"
                " VALUES (?, ?, ?, ?, 'signed', ?) ON CONFLICT (tx_hash) DO UPDATE SET"
                " state = 'signed', sent_height = NULL, received = 0",
                (tx.hash(), task_id, tx.nonce, tx.model_dump_json(), time.time()),
            )
        self._parsed = self._parsed | {tx.hash(): tx}

    def record_sent(self, tx_hash: str, answer: str, tip: int) -> None:
        """The node's answer to a send: "received", or its words of refusal."""
        with self._write() as db:
            db.execute(
                "UPDATE transactions SET state = 'sent', answer = ?, sent_at = ?, sent_height = ?,"
                " received = received + ? WHERE tx_hash = ? AND state IN ('signed', 'sent')",
                (answer, time.time(), tip, answer == "received", tx_hash),
            )

    def set_aside(self, task_id: str, answer: str) -> None:
        """Its transaction is not sent any more, and frees its nonce; the result waits again."""
        with self._write() as db:
            db.execute(
                "UPDATE transactions SET state = 'abandoned', answer = ? WHERE task_id = ?"
                " AND state IN ('signed', 'sent')",
                (answer, task_id),
            )

    def reopen_returned(self) -> None:
        """Results whose block was rolled back, and is on the chain again, are worth something."""
        returned = (
            "given_up = 'rolled_back' AND EXISTS (SELECT 1 FROM scanned s"
            " WHERE s.height = results.height AND s.hash = results.block_hash)"
        )
        if self._read(f"SELECT 1 FROM results WHERE {returned} LIMIT 1"):  # noqa: S608
            with self._write() as db:
                db.execute(
                    "UPDATE results SET given_up = NULL, reason = NULL, open = 1"  # noqa: S608
                    f" WHERE {returned}"
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
